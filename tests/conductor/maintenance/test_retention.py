"""Runs that are too old or too many go, with their snapshots; those at work stay, and what is being pinned too. Keeps K6, B12."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from conductor.config import Retention as Policy
from conductor.core.model.events.run_events import RunStarted
from conductor.errors import NotFoundError, PreconditionError, StorageError
from conductor.maintenance.retention import ROUND_SECONDS, Retention, choose
from conductor.snapshots import SnapshotStore
from conductor.store.records import Deletion, RunFilter, SettledRun
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.writing import deletion
from tests.conductor.store.material import creation, events, run_name, settlement
from tests.kit.clock import ManualClock
from tests.kit.repositories import git

pytestmark = pytest.mark.processes

DAY = 86_400.0


def settled(*ends: float) -> list[SettledRun]:
    return [SettledRun(f"r{number}", end, 100) for number, end in enumerate(ends)]


@pytest.mark.parametrize(
    ("policy", "used", "expected"),
    [
        (Policy(), 10**12, []),
        (Policy(max_age_seconds=10), 0, ["r0", "r1"]),
        (Policy(max_bytes=1000), 1000, []),
        (Policy(max_bytes=1000), 1001, ["r0"]),
        (Policy(max_bytes=1000), 1201, ["r0", "r1", "r2"]),
        (Policy(max_bytes=1), 10**6, ["r0", "r1", "r2", "r3"]),
        (Policy(max_age_seconds=10, max_bytes=1000), 1250, ["r0", "r1", "r2"]),
        (Policy(max_age_seconds=10, max_bytes=1000), 1150, ["r0", "r1"]),
    ],
)
def test_the_oldest_go_until_the_rest_is_young_and_small_enough(policy: Policy, used: int, expected: list[str]) -> None:
    ends = settled(80, 89, 90, 95)

    assert [expired.run.run for expired in choose(ends, used, policy, now=100)] == expected


class Place:
    """A store with snapshots and a retention over it."""

    def __init__(self, store: SqliteStore, snapshots: SnapshotStore, folder: Path) -> None:
        self.store = store
        self.snapshots = snapshots
        self.folder = folder
        self.clock = ManualClock(100 * DAY)
        self.at_work: set[str] = set()

    async def add(self, number: int, end: float | None) -> str:
        """A run over a workspace of its own; gives the snapshot."""
        workspace = self.folder / f"workspace {number}"
        workspace.mkdir()
        (workspace / "file").write_text(f"content {number}")
        snapshot = await self.snapshots.pin(workspace)
        await self.snapshots.keep(run_name(number), snapshot.commit)
        await self.store.append(creation(run_name(number), snapshot=snapshot), 1.0)
        last = settlement(run_name(number)) if end is not None else events(run_name(number), RunStarted())
        await self.store.append(last, 1.0 if end is None else end)
        return snapshot.commit

    async def runs(self) -> list[int]:
        return sorted(int(row.run) for row in (await self.store.runs(RunFilter(), 100)).rows)

    def has(self, commit: str) -> bool:
        return (
            git(self.folder / "objects.git", "cat-file", "--batch-check", stdin=commit.encode()).split()[1] == b"commit"
        )

    @asynccontextmanager
    async def retaining(self, policy: Policy) -> AsyncIterator[Retention]:
        """A retention that has made its first round."""
        retention = Retention(self.store, self.snapshots, policy, self.clock, self.at_work.__contains__)
        task = asyncio.create_task(retention.run())
        await self.clock.until_waiting(self.clock.now() + ROUND_SECONDS)
        try:
            yield retention
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr("conductor.snapshots.store.RECENT_SECONDS", 0.0)
    async with await SqliteStore.open(tmp_path / "data") as store:
        yield Place(store, await SnapshotStore.open(tmp_path / "objects.git"), tmp_path)


async def test_old_runs_go_with_their_snapshots_and_those_at_work_stay_however_old(place: Place) -> None:
    old = await place.add(1, end=10 * DAY)
    young = await place.add(2, end=95 * DAY)
    working = await place.add(3, end=None)
    ending = await place.add(4, end=10 * DAY)
    place.at_work.add(run_name(4))

    async with place.retaining(Policy(max_age_seconds=int(30 * DAY))):
        assert await place.runs() == [2, 3, 4]
        assert [place.has(commit) for commit in (old, young, working, ending)] == [False, True, True, True]
        assert (await place.snapshots.read_files(young, ["file"])) == {"file": b"content 2"}
        place.at_work.clear()
        await place.clock.advance(ROUND_SECONDS)
        await place.clock.until_waiting(place.clock.now() + ROUND_SECONDS)

        assert await place.runs() == [2, 3]
        with pytest.raises(NotFoundError) as told:
            await place.store.run(run_name(1))
        assert "it was older than retention.max_age" in told.value.hint


async def test_without_a_bound_nothing_goes_but_what_a_user_deletes(place: Place) -> None:
    kept = await place.add(1, end=1.0)
    await place.add(2, end=None)
    gone = await place.add(3, end=2.0)

    async with place.retaining(Policy()) as retention:
        assert await place.runs() == [1, 2, 3]
        with pytest.raises(PreconditionError):
            await retention.delete(run_name(2), "")
        before = place.clock.now()
        await place.clock.advance(1)
        await retention.delete(run_name(3), "an id")
        await retention.delete(run_name(3), "an id")
        assert await place.runs() == [1, 2]
        await place.clock.until_waiting(before + 1 + ROUND_SECONDS)

    assert (place.has(kept), place.has(gone)) == (True, False)


async def test_what_was_marked_before_a_kill_is_taken_from_the_disk_by_the_next_start(place: Place) -> None:
    commit = await place.add(1, end=1.0)
    await place.store.delete(Deletion(run_name(1), 2.0, "by request"))
    assert place.has(commit)

    with structlog.testing.capture_logs() as logged:
        async with place.retaining(Policy()):
            assert await place.store.deleted_runs() == []
            assert not place.has(commit)

    # The few pages that it had are kept for the next runs: nothing is said of room that the disk did not get.
    assert [line["event"] for line in logged] == ["deleted_runs_purged"]


async def test_room_is_said_to_be_given_back_where_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "FREE_PAGES_KEPT", 0)
    monkeypatch.setattr(deletion, "SLICE_PAGES", 1)
    for number in range(1, 6):
        await place.add(number, end=1.0)
        await place.store.delete(Deletion(run_name(number), 2.0, "by request"))

    with structlog.testing.capture_logs() as logged:
        async with place.retaining(Policy()):
            assert await place.store.deleted_runs() == []

    assert [line["event"] for line in logged] == ["deleted_runs_purged", "room_given_back"]


async def test_trouble_of_the_database_only_puts_it_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.add(1, end=1.0)
    trouble = [StorageError("the disk is full")]
    usage = place.store.usage

    async def failing() -> object:
        if trouble:
            raise trouble.pop()
        return await usage()

    monkeypatch.setattr(place.store, "usage", failing)
    async with place.retaining(Policy(max_age_seconds=1)):
        assert await place.runs() == [1]
        await place.clock.advance(ROUND_SECONDS)
        await place.clock.until_waiting(place.clock.now() + ROUND_SECONDS)
        assert await place.runs() == []


async def test_what_was_pinned_a_moment_ago_outlives_a_pruning(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its pin and its run nothing but a workspace's newest snapshot names it, and that may be the next one's by then."""
    workspace = place.folder / "busy"
    workspace.mkdir()
    commits = []
    for number in range(4):
        (workspace / "file").write_text(f"{number}")
        commits.append((await place.snapshots.pin(workspace)).commit)

    monkeypatch.setattr("conductor.snapshots.store.RECENT_SECONDS", 3600.0)
    await place.snapshots.prune()
    assert [place.has(commit) for commit in commits] == [True] * 4
    monkeypatch.setattr("conductor.snapshots.store.RECENT_SECONDS", 0.0)
    await place.snapshots.prune()
    assert [place.has(commit) for commit in commits] == [False] * 4


async def test_pins_and_prunings_side_by_side_leave_every_pin_whole(place: Place) -> None:
    """A pin takes over objects that no ref names any more, and that a pruning is about to delete."""
    workspaces = [place.folder / f"side {number}" for number in range(4)]
    for workspace in workspaces:
        workspace.mkdir()
        for number in range(20):
            (workspace / f"file{number}").write_text(f"the same everywhere {number}")

    async def pin(number: int) -> str:
        commit = (await place.snapshots.pin(workspaces[number % 4])).commit
        await place.snapshots.keep(run_name(number), commit)
        names = [f"file{number}" for number in range(20)]
        assert all(isinstance(data, bytes) for data in (await place.snapshots.read_files(commit, names)).values())
        await place.snapshots.release(run_name(number))
        return commit

    async with asyncio.TaskGroup() as tasks:
        pins = [tasks.create_task(pin(number)) for number in range(8)]
        for _ in range(3):
            tasks.create_task(place.snapshots.prune())

    assert len({task.result() for task in pins}) == 1
