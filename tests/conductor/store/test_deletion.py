"""A deleted run is gone at once and for good, and a kill at any point leaves a run whole or out of sight. Keeps B12, K6."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from conductor.core.model.events import RunCancelRequested, RunStarted
from conductor.errors import NotFoundError, PreconditionError, RequestIdReusedError
from conductor.store.records import Deletion, RunFilter, StoredRequest
from conductor.store.refusals import run_was_deleted
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.writing import deletion
from tests.conductor.store.material import (
    attempt_name,
    blob,
    creation,
    damages,
    events,
    every_read,
    run_name,
    settlement,
    tell_all,
)

DOOMED, OTHER = run_name(1), run_name(2)
WORDS = "word " * 30_000  # three rows


async def live(store: SqliteStore, run: str, number: int, *, is_settled: bool = True) -> None:
    """A run with everything that a run can have."""
    await store.append(creation(run, request_id=f"request {number}"), 1.0)
    await tell_all(store, run, f"{number} {WORDS}", f"{number}", cursor=3)
    await store.append(settlement(run) if is_settled else events(run, RunStarted()), 5.0)


async def look(store: SqliteStore, run: str) -> tuple[int, int, int, int]:
    """What there is of a run: events and texts, findings, bytes said, answers to its request id."""
    history, after = 0, 0
    while page := await store.history(run, after):
        history, after = history + len(page), page[-1].position
    found = await store.findings(run, 10)
    _, said = await store.channel(attempt_name(run), "answer", 0, 1)
    return history, len(found.rows), said, len(await store.requests([f"request {int(run)}"]))


async def is_invisible(store: SqliteStore, run: str) -> bool:
    for ask in every_read(store, run, blob(b"bundle").digest):
        with pytest.raises(NotFoundError):
            await ask
    listed = [row.run for row in (await store.runs(RunFilter(), 10)).rows]
    told = [entry.run for entry in (await store.feed(0)).entries]
    known = await store.requests([f"request {int(run)}"])
    return run not in listed and run not in told and all(request.deleted for request in known.values())


def rows(folder: Path) -> dict[str, int]:
    connection = sqlite3.connect(folder / "conductor.db")
    tables = ("runs", "journal", "attempts", "chunks", "blobs", "run_blobs", "requests", "finders", "findings")
    counted = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608
    connection.close()
    return counted


async def test_a_kill_at_any_point_leaves_a_run_whole_or_out_of_sight_and_the_rest_is_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "SLICE_ROWS", 2)
    monkeypatch.setattr(deletion, "SLICE_BLOBS", 1)
    folder, moments = tmp_path / "data", []

    def as_after_a_kill() -> None:
        moments.append(tmp_path / f"moment {len(moments)}")
        shutil.copytree(folder, moments[-1])

    async with await SqliteStore.open(folder) as store:
        await live(store, DOOMED, 1)
        await live(store, OTHER, 2)
        whole = await look(store, DOOMED)
        as_after_a_kill()
        await store.delete(Deletion(DOOMED, 9.0, "it was a test"))
        as_after_a_kill()
        while await store.purge(DOOMED):
            as_after_a_kill()
        as_after_a_kill()

    assert len(moments) > 8
    assert whole[1] == 1
    for number, moment in enumerate(moments):
        async with await SqliteStore.open(moment) as store:
            assert await look(store, OTHER) == whole
            if number == 0:
                assert await look(store, DOOMED) == whole
                await store.delete(Deletion(DOOMED, 9.0, "it was a test"))
            assert await is_invisible(store, DOOMED)
            for run in await store.deleted_runs():
                while await store.purge(run):
                    pass
            assert await store.deleted_runs() == []
        assert damages(moment) == []
        assert rows(moment) == rows(moments[-1])


async def test_what_two_runs_share_stays_until_the_second_goes(tmp_path: Path) -> None:
    async with await SqliteStore.open(tmp_path / "data") as store:
        await live(store, DOOMED, 1)
        await live(store, OTHER, 2)
        for run in (DOOMED, OTHER):
            await store.delete(Deletion(run, 9.0, "it was a test"))
            while await store.purge(run):
                pass
            left = rows(tmp_path / "data")
            assert left["blobs"] == (3 if run == DOOMED else 0)  # bundle, inputs and its own findings

    assert set(left.values()) == {0}


@pytest.mark.parametrize("used", ["request 1", "request 2", "request 3", "the first deletion"])
async def test_a_request_id_that_asked_for_something_else_deletes_nothing(store: SqliteStore, used: str) -> None:
    """J6: the same id twice means the same request twice; whoever mixes ids up is told before anything is gone."""
    await live(store, DOOMED, 1)
    await live(store, OTHER, 2)
    await live(store, run_name(3), 3)
    await store.delete(Deletion(run_name(3), 8.0, "it was a test", "the first deletion"))

    for run in (DOOMED, run_name(4)):
        with pytest.raises(RequestIdReusedError):
            await store.delete(Deletion(run, 9.0, "it was a test", used))
    assert (await store.run(DOOMED)).run == DOOMED

    await store.delete(Deletion(run_name(3), 9.0, "it was a test", "the first deletion"))


async def test_a_run_at_work_is_not_deleted(store: SqliteStore) -> None:
    await live(store, DOOMED, 1, is_settled=False)
    before = await look(store, DOOMED)

    with pytest.raises(PreconditionError) as refused:
        await store.delete(Deletion(DOOMED, 9.0, "it was a test"))

    assert refused.value.reason == "RUN_ACTIVE"
    assert f"conductor cancel {DOOMED}" in refused.value.hint
    assert await look(store, DOOMED) == before


async def test_a_deletion_is_remembered_by_its_request_id_and_told_to_who_asks(store: SqliteStore) -> None:
    await live(store, DOOMED, 1)
    await store.delete(Deletion(DOOMED, 9.0, "somebody asked for it", "an id"))
    while await store.purge(DOOMED):
        pass

    await store.delete(Deletion(DOOMED, 10.0, "somebody asked for it", "an id"))
    for request_id in ("", "another id"):
        with pytest.raises(NotFoundError, match="there is no run") as refused:
            await store.delete(Deletion(DOOMED, 10.0, "somebody asked for it", request_id))
        assert refused.value.hint == "it was deleted on 1970-01-01 00:00 UTC: somebody asked for it"


async def test_what_a_deleted_run_was_asked_for_with_is_known_beyond_it(tmp_path: Path) -> None:
    """B2: nothing runs twice. The rows of the run are gone, and the conductor was started anew."""
    async with await SqliteStore.open(tmp_path / "data") as store:
        await store.append(creation(DOOMED, request_id="made it"), 1.0)
        await store.append(events(DOOMED, RunCancelRequested("enough", "stopped it", "another digest")), 2.0)
        await store.append(settlement(DOOMED), 3.0)
        await store.delete(Deletion(DOOMED, 9.0, "it was a test"))
        while await store.purge(DOOMED):
            pass
    async with await SqliteStore.open(tmp_path / "data") as store:
        known = await store.requests(["made it", "stopped it", "neither"])

    deleted = "it was deleted on 1970-01-01 00:00 UTC: it was a test"
    assert known == {
        "made it": StoredRequest("digest of the body", DOOMED, deleted),
        "stopped it": StoredRequest("another digest", DOOMED, deleted),
    }
    assert run_was_deleted(known["made it"]).reason == "RUN_NOT_FOUND"
    assert run_was_deleted(known["made it"]).hint == f"the same request made it before; {deleted}"


async def test_deletions_and_their_requests_are_forgotten_together_the_oldest_first(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "DELETIONS_REMEMBERED", 2)
    for number in range(1, 5):
        await live(store, run_name(number), number)
        await store.delete(Deletion(run_name(number), 8.0 + number, "it was a test"))

    ids = [f"request {number}" for number in range(1, 5)]
    assert list(await store.requests(ids)) == ids[2:]
    with pytest.raises(NotFoundError) as forgotten:
        await store.run(run_name(2))
    assert forgotten.value.hint == ""


async def test_room_goes_back_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "FREE_PAGES_KEPT", 16)
    monkeypatch.setattr(deletion, "SLICE_PAGES", 64)
    async with await SqliteStore.open(tmp_path / "data") as store:
        for number in range(1, 11):
            await live(store, run_name(number), number)
        full = await store.usage()
        for number in range(1, 11):
            await store.delete(Deletion(run_name(number), 9.0, "it was a test"))
            while await store.purge(run_name(number)):
                pass
        emptied = await store.usage()
        slices = 1
        while await store.shrink():
            slices += 1
        shrunk = await store.usage()

    assert (full.runs, full.settled_runs, shrunk.runs) == (10, 10, 0)
    assert emptied.file_bytes == full.file_bytes
    assert emptied.used_bytes < full.used_bytes / 4
    assert slices > 2
    assert shrunk.file_bytes < full.file_bytes / 3
    assert (tmp_path / "data" / "conductor.db").stat().st_size == shrunk.file_bytes


async def test_sizes_are_those_of_what_only_a_run_holds(store: SqliteStore) -> None:
    await live(store, DOOMED, 1)
    await live(store, OTHER, 2)
    first, second = await store.settled_runs((0.0, ""))

    assert (first.run, second.run) == (DOOMED, OTHER)
    assert len(WORDS) < first.bytes < len(WORDS) + 4096
    assert await store.settled_runs((first.end_time, first.run)) == [second]
