"""Snapshots that go again, and those that must not. Real folders, locks and processes. Keeps J2, J3 and rule 13."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from agenthost.core.snapshots.eviction import DEFAULT_KEEPING, SETTLING_SECONDS, Keeping
from agenthost.errors import NoCapacityError, PreconditionError
from agenthost.snapshots.eviction import hold
from agenthost.snapshots.packs import Offer
from agenthost.snapshots.store import SnapshotStore
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.host_process import client_of, serving
from tests.agenthost.packs import pack, push
from tests.agenthost.running_host import open_host, push_snapshot, sandbox_tree
from tests.kit.processes import are_gone
from tests.kit.repositories import UserRepository
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

LATER = SETTLING_SECONDS + 1
TINY = Keeping(snapshots_bytes=1)


class Clock:
    """Wall time, moved forward by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return 1_700_000_000 + self.ahead


@pytest.fixture
def user(tmp_path: Path) -> UserRepository:
    repository = UserRepository.make(tmp_path / "project")
    repository.write("big.bin", os.urandom(50_000))
    repository.commit("second")
    return repository


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def opened(folder: Path, clock: Clock, keeping: Keeping = DEFAULT_KEEPING) -> SnapshotStore:
    return await SnapshotStore.open(folder / "data" / "snapshots", keeping, clock)


def aside(store: SnapshotStore) -> list[str]:
    return sorted(path.name.split("-")[0] for path in (store._folder / ".incoming").iterdir())


async def test_what_was_not_used_in_a_long_time_goes_and_its_id_is_missing_from_then_on(
    tmp_path: Path, user: UserRepository, clock: Clock
) -> None:
    store = await opened(tmp_path, clock)
    old = user.head
    await push(store, user, old)
    clock.ahead = DEFAULT_KEEPING.snapshots_unused_seconds - 1
    assert await store.eviction.evict() == 0
    clock.ahead += 1

    assert await store.eviction.evict() == 1
    assert (await store.find_missing([old])).missing == (old,)
    with pytest.raises(PreconditionError):
        store.locate(old)
    assert aside(store) == []
    assert store.eviction.figures.count == 0
    await push(store, user, old)
    assert store.locate(old).tree.is_dir()


async def test_asking_for_a_snapshot_and_finding_it_keeps_it(
    tmp_path: Path, user: UserRepository, clock: Clock
) -> None:
    """A conductor that was told that it is here comes with a Start."""
    store = await opened(tmp_path, clock, TINY)
    await push(store, user, user.head)
    clock.ahead = LATER
    assert (await store.find_missing([user.head])).checked_out == (user.head,)

    assert await store.eviction.evict() == 0
    clock.ahead += LATER
    assert await store.eviction.evict() == 1


async def test_a_push_makes_room_for_itself_and_is_refused_where_all_is_in_use(
    tmp_path: Path, user: UserRepository, clock: Clock
) -> None:
    store = await opened(tmp_path, clock, replace(DEFAULT_KEEPING, snapshots_bytes=60_000))
    first = user.head
    await push(store, user, first)
    user.write("more.bin", os.urandom(50_000))
    second = user.commit("third")
    with pytest.raises(NoCapacityError, match="all the space that they may"):
        await push(store, user, second)
    store.eviction.keep(first)
    clock.ahead = LATER
    with pytest.raises(NoCapacityError):
        await push(store, user, second)
    store.eviction.let_go(first)
    clock.ahead += LATER
    await push(store, user, second)

    assert (await store.find_missing([first, second])).checked_out == (second,)


async def test_a_snapshot_that_a_push_builds_upon_stays_until_the_push_is_done(
    tmp_path: Path, user: UserRepository, clock: Clock
) -> None:
    store = await opened(tmp_path, clock)
    base = user.head
    await push(store, user, base)
    user.write("src/app.py", "newer\n")
    newer = user.commit("newer")
    data, asked = pack(user, newer, f"^{base}"), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield data[:10]
        clock.ahead += LATER
        store.eviction._keeping = TINY
        assert await store.eviction.evict() == 0
        store.eviction._keeping = DEFAULT_KEEPING
        asked.set()
        yield data[10:]

    await store.receive(Offer(newer, bases=(base,)), slow())

    assert asked.is_set()
    assert set((await store.find_missing([base, newer])).checked_out) == {base, newer}


@pytest.mark.parametrize("stage", ["locked", "renamed", "half deleted", "stripped"])
async def test_an_eviction_that_was_killed_leaves_a_whole_snapshot_or_none(
    tmp_path: Path, user: UserRepository, clock: Clock, stage: str
) -> None:
    """Keeps J3: at every stage, the folders are as a killed daemon leaves them."""
    store = await opened(tmp_path, clock)
    await push(store, user, user.head)
    place, away = store._folder / user.head, store._folder / ".incoming" / f"evicted-{user.head}-x"
    if stage == "locked":
        holder = [
            sys.executable,
            "-c",
            "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], 0), 2); os.abort()",
            place,
        ]
        assert subprocess.run(holder, check=False).returncode == -signal.SIGABRT
    elif stage == "stripped":  # deleted by hand, in place
        (place / "ready").unlink()
    else:
        place.rename(away)
    if stage == "half deleted":
        (away / "ready").unlink()
        (away / "tree").chmod(0o755)
        (away / "tree" / "README.md").unlink()
    again = await opened(tmp_path, clock)
    found = await again.find_missing([user.head])

    assert bool(found.checked_out) is (stage == "locked")
    assert aside(again) == []
    await push(again, user, user.head)
    assert await again.find_damage(user.head) == ""


async def test_a_folder_of_the_user_that_a_link_leads_to_is_not_touched(
    tmp_path: Path, user: UserRepository, clock: Clock
) -> None:
    """Keeps J3."""
    store = await opened(tmp_path, clock)
    shutil.rmtree(store._folder / ".incoming")
    (store._folder / ".incoming").symlink_to(user.folder)
    again = await opened(tmp_path, clock)
    (again._folder / ".incoming" / "link").symlink_to(user.folder)
    (again._folder / ("a" * 40)).symlink_to(user.folder)
    await opened(tmp_path, clock)

    assert user.git("status", "--porcelain") == ""
    assert (user.folder / "README.md").is_file()


async def test_what_another_process_holds_stays_and_others_go_instead(
    tmp_path: Path, user: UserRepository, clock: Clock
) -> None:
    store = await opened(tmp_path, clock)
    held, free = user.head, user.git("rev-parse", "HEAD~1").strip()
    for commit in (held, free):
        await push(store, user, commit)
        clock.ahead += 1
    descriptor = hold(store.locate(held).folder)
    store.eviction._keeping = TINY
    clock.ahead += LATER
    try:
        assert await store.eviction.evict() == 1
        assert (await store.find_missing([held, free])).checked_out == (held,)
        clock.ahead += LATER
    finally:
        os.close(descriptor)
    assert await store.eviction.evict() == 1


async def test_what_a_shim_reads_that_was_given_up_stays_until_it_ends(
    tmp_path: Path, user: UserRepository, clock: Clock
) -> None:
    store = await opened(tmp_path, clock)
    await push(store, user, user.head)
    descriptor = hold(store.locate(user.head).folder)
    await store.set_aside(user.head)
    again = await opened(tmp_path, clock)
    try:
        assert aside(again) == ["given"]
    finally:
        os.close(descriptor)
    await opened(tmp_path, clock)
    assert aside(again) == []


async def test_a_shim_without_any_daemon_keeps_its_snapshot(short_path: Path, repository: Path, clock: Clock) -> None:
    """Keeps rule 13: the daemon is killed, and the store of no daemon tries to evict under a living agent."""
    data, listen = short_path / "data", f"unix:{short_path}/s"
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        start = client.start_of("say ready", "hang")
        async with client.open(start=start) as conversation:
            await conversation.until_said("ready")
            tree = await sandbox_tree(client)
            await host.end(signal.SIGKILL)
        clock.ahead = 1e9  # by this clock, nothing was used for years
        store = await SnapshotStore.open(data / "snapshots", TINY, clock)
        assert await store.eviction.evict() == 0
        assert (store.locate(client.snapshot).tree / "README.md").is_file()
        clock.ahead += LATER
        os.kill(tree[0], signal.SIGKILL)
        await until(lambda: are_gone(tree))
        assert await store.eviction.evict() == 1


async def test_an_attempt_keeps_its_snapshot_from_the_start_to_the_last_look(
    short_path: Path, tmp_path: Path, repository: Path
) -> None:
    """Keeps rule 13: also while it waits for the proof, when no shim is there to hold anything."""
    other = UserRepository.make(tmp_path / "other")
    async with open_host(short_path, repository, proven=False, keeping=TINY) as client:

        async def push_another() -> None:
            """There is room for another snapshot only where this one, by its own note unused for years, goes."""
            os.utime(client.data / "snapshots" / client.snapshot / "ready", (1, 1))
            await push_snapshot(client.channel, other.folder)

        async with client.open(start=client.start_of("read README.md", "echo-input 1")) as conversation:
            await until(lambda: client.host.running == 1)
            with pytest.raises(grpc.aio.AioRpcError, match="all are in use or new"):
                await push_another()
            await conversation.until_said("# Hello")
            tree = await sandbox_tree(client)
            with pytest.raises(grpc.aio.AioRpcError, match="all are in use or new"):
                await push_another()
            await conversation.send(input=pb.Input(input_sequence=1, text="end"))
            finished = await conversation.finish()
        told = await client.hosts.GetHost(host_pb.GetHostRequest())
        await until(lambda: are_gone(tree))  # the shim outlives its own last word by a moment
        await push_another()
        assert (await client.refused(client.start_of("say x", step="late"))).reason == "SNAPSHOT_MISSING"

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert finished.attestation.checks[-1] == "snapshot: the same before and after"
    assert (told.snapshots.count, told.snapshots.most_bytes) == (1, 1)
    assert told.snapshots.bytes > 0
