"""What is read of rows and blocks: whole with pages of any size, and a row that cannot be read is its run's trouble alone."""

import asyncio
from dataclasses import replace

import psycopg
import pytest

from conductor.core.model.events.run_events import RunStarted
from conductor.errors import DatabaseDamagedError
from conductor.store.postgresql.reading import history
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.postgresql.writing import compaction
from conductor.store.records import Deletion, RunFilter
from conductor.store.rows import windows
from tests.conductor.store import whole_runs
from tests.conductor.store.material import blob, creation, events, every_read, run_name, tell_all
from tests.conductor.store.whole_runs import assert_reads_as_before, compact, read

pytestmark = pytest.mark.processes

SOUND, BROKEN = run_name(1), run_name(2)


def change(database: str, statement: str) -> int:
    with psycopg.connect(database, options="-c search_path=conductor") as connection:
        return connection.execute(statement.encode()).rowcount


async def test_a_run_reads_as_before_in_small_pages_and_many_blocks(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps G1 and rule 14: also while it is compacted, and when it is deleted in the middle of that."""
    for module, name, size in (
        (windows, "MAX_ENTRIES", 20),
        (compaction, "MAX_ENTRIES", 20),
        (history, "PAGE_ITEMS", 7),
        (history, "PAGE_BLOCKS", 1),
        (history, "OPENED_BLOCKS", 1),
    ):
        monkeypatch.setattr(module, name, size)
    async with await PostgresqlStore.open(database) as store:
        await whole_runs.live(store, SOUND, 7)
        before = await read(store, SOUND)
        async with asyncio.TaskGroup() as tasks:
            compacting = tasks.create_task(compact(store, SOUND))
            while not compacting.done():
                assert await read(store, SOUND) == before
        await assert_reads_as_before(store, SOUND, before, 7)
        assert await store.uncompacted_runs(1e12, (0.0, "")) == []
        assert change(database, "TABLE blocks") >= 5
        await store.delete(Deletion(SOUND, 9.0, "it was a test"))
        while await store.purge(SOUND):
            pass
        for table in ("blocks", "strips", "chunks", "journal", "attempts", "findings", "finders", "blobs", "run_blobs"):
            assert change(database, f"TABLE {table}") == 0


DAMAGES = {
    "an event that is no JSON": ("UPDATE journal SET data = '{oops' WHERE position = 2 AND run = BROKEN", "position 2"),
    "an event of no known kind": ("UPDATE journal SET type = 'None' WHERE position = 2 AND run = BROKEN", "position 2"),
    "an event that is gone": ("DELETE FROM journal WHERE position = 2 AND run = BROKEN", "hold 5 rows where the last"),
    "a cursor that cannot be": ("UPDATE attempts SET cursor = -1 WHERE run = BROKEN", "attempts, " + BROKEN),
}
HIDDEN = {
    "text that is no UTF-8": (r"UPDATE chunks SET text = '\xffffff' WHERE run = BROKEN", "chunks, position 4"),
    "text of no channel": ("UPDATE chunks SET channel = 'none' WHERE run = BROKEN", "chunks, position 4"),
    "a blob that is another": (
        r"UPDATE blobs SET data = '\x00' WHERE digest = (SELECT inputs FROM runs WHERE key = BROKEN)",
        "its content does not match its digest",
    ),
    "a plan that is none": ("UPDATE runs SET plan = '[' WHERE key = BROKEN", "runs, " + BROKEN),
}


@pytest.mark.parametrize("what", [*DAMAGES, *HIDDEN])
async def test_a_damaged_row_is_named_and_harms_no_other_run(what: str, database: str) -> None:
    """Keeps I5."""
    script, named = (DAMAGES | HIDDEN)[what]
    async with await PostgresqlStore.open(database) as store:
        for number, run in ((1, SOUND), (2, BROKEN)):
            inputs = blob(f"inputs {number}".encode())
            created = creation(run, inputs=inputs.digest)
            await store.append(replace(created, blobs=(*created.blobs, inputs)), 1.0)
            await store.append(events(run, RunStarted()), 2.0)
            await tell_all(store, run, "word", "f", cursor=2)
            await store.append(events(run, RunStarted()), 6.0)
        assert change(database, script.replace("BROKEN", "(SELECT max(key) FROM runs)")) == 1
        sound, broken = await store.unfinished()

        assert sound.damage == ""
        assert (named in broken.damage) == (what in DAMAGES)
        assert len(await store.history(SOUND, 0)) == 6
        assert len((await store.findings(SOUND, 10)).rows) == 1
        assert await store.blob(SOUND, blob(b"inputs 1").digest) == b"inputs 1"
        assert SOUND in [row.run for row in (await store.runs(RunFilter(), 10)).rows]
        assert {entry.run for entry in (await store.feed(0)).entries} == {SOUND, BROKEN}
        told = []
        for ask in every_read(store, BROKEN, blob(b"inputs 2").digest):
            try:
                await ask
            except DatabaseDamagedError as error:
                told.append(str(error))
        assert all(BROKEN in text and named in text for text in told), told
        assert told or what in ("an event that is gone", "a cursor that cannot be")
