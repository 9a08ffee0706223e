"""A deleted run leaves the disk slice by slice; a kill between any two leaves runs whole or out of sight. Keeps B12, K6."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from conductor.errors import NotFoundError
from conductor.store.records import Deletion
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.writing import deletion
from tests.conductor.store.doomed_runs import is_invisible, live, look
from tests.conductor.store.material import damages, run_name

DOOMED, OTHER = run_name(1), run_name(2)


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
