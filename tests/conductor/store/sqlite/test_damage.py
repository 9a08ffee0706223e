"""A row that cannot be read is its run's trouble, and no other run's."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from conductor.core.model.events.run_events import RunStarted
from conductor.errors import DatabaseDamagedError
from conductor.store.records import RunFilter
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.upkeep.examination import examine
from tests.conductor.store.material import blob, creation, damages, events, every_read, run_name, settlement, tell_all

SOUND = run_name(1)
BROKEN = run_name(2)


async def make_damaged(folder: Path) -> None:
    async with await SqliteStore.open(folder) as store:
        for run in (SOUND, BROKEN):
            await store.append(creation(run), 1.0)
            await store.append(events(run, RunStarted()), 2.0)
            await store.append(events(run, RunStarted()), 3.0)
    connection = sqlite3.connect(folder / "conductor.db")
    statement = "UPDATE journal SET data = '{oops' WHERE position = 2 AND run = (SELECT key FROM runs WHERE run = ?)"
    connection.execute(statement, (BROKEN,))
    connection.commit()
    connection.close()


async def test_a_run_that_cannot_be_read_harms_no_other(tmp_path: Path) -> None:
    """Keeps I5."""
    await make_damaged(tmp_path / "data")
    async with await SqliteStore.open(tmp_path / "data") as store:
        sound, broken = await store.unfinished()

        assert (sound.run, sound.damage, len(sound.events)) == (SOUND, "", 3)
        assert broken.run == BROKEN
        assert [entry.position for entry in broken.events] == [1]
        assert "position 2 (RunStarted)" in broken.damage
        with pytest.raises(DatabaseDamagedError, match=f"run {BROKEN} cannot be read: journal, position 2"):
            await store.events(BROKEN)
        assert [item.position for item in await store.history(BROKEN, 0)] == [1]
        with pytest.raises(DatabaseDamagedError):
            await store.history(BROKEN, 1)
        assert len(await store.history(BROKEN, 2)) == 1
        assert len(await store.history(SOUND, 0)) == 3
        assert len((await store.runs(RunFilter(), 10)).rows) == 2


async def test_the_feed_passes_over_what_cannot_be_read(tmp_path: Path) -> None:
    """Keeps G5, I5."""
    await make_damaged(tmp_path / "data")
    async with await SqliteStore.open(tmp_path / "data") as store:
        page = await store.feed(0)

        assert [entry.run for entry in page.entries].count(BROKEN) == 2
        assert page.last_id == await store.last_id()


async def test_a_damaged_run_can_be_ended(tmp_path: Path) -> None:
    """Keeps I5."""
    await make_damaged(tmp_path / "data")
    async with await SqliteStore.open(tmp_path / "data") as store:
        assert await store.append(settlement(BROKEN), 4.0) == {BROKEN: 4}

        assert [stored.run for stored in await store.unfinished()] == [SOUND]


DAMAGES = {
    "an event that is no JSON": (
        "UPDATE journal SET data = '{oops' WHERE position = 2 AND run = 2",
        "journal, position 2 (RunStarted)",
    ),
    "an event of no known kind": (
        "UPDATE journal SET type = 'Nothing' WHERE position = 2 AND run = 2",
        "journal, position 2",
    ),
    "an event that is no text": (
        "UPDATE journal SET data = CAST(x'ff7b7d' AS TEXT) WHERE position = 2 AND run = 2",
        "journal, position 2 (RunStarted)",
    ),
    "an event that is gone": (
        "DELETE FROM journal WHERE position = 2 AND run = 2",
        "hold 5 rows where runs.last_position says 6",
    ),
    "text that is gone": ("DELETE FROM chunks WHERE run = 2", "hold 5 rows where runs.last_position says 6"),
    "a cursor that cannot be": ("UPDATE attempts SET cursor = -1 WHERE run = 2", "attempts, " + BROKEN),
}
HIDDEN = {
    "text that is no UTF-8": ("UPDATE chunks SET text = x'ffffffff' WHERE run = 2", "chunks, position 4"),
    "text that does not continue": ("UPDATE chunks SET end_byte = 999 WHERE run = 2", "chunks, position 4"),
    "a blob that is another": (
        "UPDATE blobs SET data = x'00' WHERE digest = (SELECT inputs FROM runs WHERE key = 2)",
        "its content does not match its digest",
    ),
    "a finding that is none": ("UPDATE findings SET data = '[' WHERE run = 2", "findings, 2: it is not a JSON object"),
    "a plan that is none": ("UPDATE runs SET plan = '[' WHERE key = 2", "runs, " + BROKEN),
}


async def live(folder: Path) -> None:
    """Two runs with everything; what each says differs, and so do their inputs."""
    async with await SqliteStore.open(folder) as store:
        for number, run in ((1, SOUND), (2, BROKEN)):
            inputs = blob(f"inputs {number}".encode())
            created = creation(run, inputs=inputs.digest)
            await store.append(replace(created, blobs=(*created.blobs, inputs)), 1.0)
            await store.append(events(run, RunStarted()), 2.0)
            await tell_all(store, run, "word", "f", cursor=2)
            await store.append(events(run, RunStarted()), 6.0)


def damage(folder: Path, script: str) -> None:
    connection = sqlite3.connect(folder / "conductor.db")
    assert connection.execute(script).rowcount == 1
    connection.commit()
    connection.close()


@pytest.mark.parametrize("what", [*DAMAGES, *HIDDEN])
async def test_a_damaged_row_is_named_and_harms_no_other_run(what: str, tmp_path: Path) -> None:
    """Keeps I5, I6: the examination names it; recovery finds what the run's state stands on; all else is read as ever."""
    script, named = (DAMAGES | HIDDEN)[what]
    await live(tmp_path)
    assert damages(tmp_path) == []
    damage(tmp_path, script)

    found = damages(tmp_path)
    assert {one.run for one in found} == {BROKEN}
    assert any(named in one.text for one in found), found
    async with await SqliteStore.open(tmp_path) as store:
        sound, broken = await store.unfinished()
        assert sound.damage == ""
        assert (named in broken.damage) == (what in DAMAGES)
        assert len(await store.history(SOUND, 0)) == 6
        assert len((await store.findings(SOUND, 10)).rows) == 1
        assert await store.blob(SOUND, blob(b"inputs 1").digest) == b"inputs 1"
        assert SOUND in [row.run for row in (await store.runs(RunFilter(labels={}), 10)).rows]
        assert {entry.run for entry in (await store.feed(0)).entries} == {SOUND, BROKEN}
        told = await complaints(store)
        assert all(BROKEN in text and named in text for text in told), told


async def complaints(store: SqliteStore) -> list[str]:
    """Returns the answer to every kind of read of the damaged run; any other error fails the test."""
    told = []
    for ask in every_read(store, BROKEN, blob(b"inputs 2").digest):
        try:
            await ask
        except DatabaseDamagedError as error:
            told.append(str(error))
    return told


async def test_labels_that_cannot_be_read_fail_no_list(tmp_path: Path) -> None:
    await live(tmp_path)
    damage(tmp_path, "UPDATE runs SET labels = '{oops' WHERE key = 2")

    async with await SqliteStore.open(tmp_path) as store:
        assert (await store.runs(RunFilter(labels={"a": "b"}), 10)).rows == ()
        assert {entry.run for entry in (await store.feed(0)).entries} == {SOUND}


async def test_a_database_too_large_to_look_through_opens_without_and_is_examined_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conductor.store.sqlite.upkeep.migration.CHECKED_BYTES", 4096)
    async with await SqliteStore.open(tmp_path) as store:
        for number in range(1, 200):
            await store.append(creation(run_name(number)), 1.0)
    path = tmp_path / "conductor.db"
    data = bytearray(path.read_bytes())
    page = data.rindex(run_name(150).encode()) // 4096
    data[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    path.write_bytes(data)

    async with await SqliteStore.open(tmp_path) as store:
        assert store.epoch == 2
    assert any(found.text.startswith("the file: ") for found in examine(tmp_path).damages)
