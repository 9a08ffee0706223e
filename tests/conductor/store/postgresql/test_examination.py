"""An examination names every run with a row that cannot be right, and what the server may lose."""

import psycopg
import pytest

from conductor.core.model.events.event_parts import FindingCounts
from conductor.errors import DatabaseMovedError, StorageError
from conductor.store.postgresql.examination import examine, survey
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.raw import Move
from tests.conductor.store.material import attempt, creation, finding, findings, run_name, settlement, speech

pytestmark = pytest.mark.processes

SOUND, BROKEN = run_name(1), run_name(2)
# Each stays while the next comes: those that hide others come last.
DAMAGES = {
    "a blob": (r"UPDATE blobs SET data = '\x00' WHERE length(data) = 6", "its content does not match its digest"),
    "a block": (r"UPDATE blocks SET data = '\x00' WHERE run = (SELECT min(key) FROM runs)", "blocks, position"),
    "a plan": ("UPDATE runs SET plan = '[' WHERE key = BROKEN", "its plan or its failure cannot be read"),
    "a finding": ("UPDATE findings SET data = '[' WHERE run = BROKEN", "it is not a JSON object"),
    "a cursor": ("UPDATE attempts SET cursor = -1 WHERE run = BROKEN", "its cursor is -1"),
    "no UTF-8": (r"UPDATE chunks SET text = '\xffffff' WHERE position = 3 AND run = BROKEN", "chunks, position 3"),
    "a gap in a text": (
        "UPDATE chunks SET end_byte = 999 WHERE position = 4 AND run = BROKEN",
        "a text begins at byte",
    ),
    "gone": ("DELETE FROM chunks WHERE position = 3 AND run = BROKEN", "where the last position is"),
    "no JSON": ("UPDATE journal SET data = '{oops' WHERE position = 2 AND run = BROKEN", "journal, position 2"),
}


async def live(store: PostgresqlStore, run: str) -> None:
    await store.append(creation(run), 1.0)
    await store.append(attempt(run), 2.0)
    for number in range(40):
        await store.append(speech(run, f"word {number} ", cursor=number), 3.0)
    await store.append(findings(run, "risks", [finding("a")], FindingCounts(verified=1)), 4.0)


async def test_every_damage_is_named_with_its_run(database: str) -> None:
    """Keeps I5, I6."""
    async with await PostgresqlStore.open(database) as store:
        for run in (SOUND, BROKEN):
            await live(store, run)
        await store.append(settlement(SOUND), 5.0)
        while await store.compact(SOUND):
            pass
        assert [text for _, text in (await examine(database)).damages if "it does not fit" not in text] == []
        assert (await survey(database)).settled == tuple(await store.settled_runs((0.0, "")))
        for what, (script, named) in DAMAGES.items():
            with psycopg.connect(database, options="-c search_path=conductor") as connection:
                changed = connection.execute(script.replace("BROKEN", "(SELECT max(key) FROM runs)").encode())
                assert changed.rowcount == 1, what
            found = await examine(database)
            assert any(named in text for _, text in found.damages), (what, found.damages)
    assert {run for run, _ in found.damages} == {SOUND, BROKEN}


async def test_a_server_that_may_lose_what_it_was_told_is_doubted(database: str) -> None:
    async with await PostgresqlStore.open(database) as store:
        found = await examine(database)

        assert found.conductor_id == store.conductor_id
    assert found.damages == ()
    assert [doubt.partition(" is ")[0] for doubt, _ in found.doubts] == ["fsync", "full_page_writes"]


async def test_a_database_without_a_conductors_schema_says_so(database: str) -> None:
    with pytest.raises(StorageError, match="has no conductor's schema") as refused:
        await examine(database)

    assert "start its conductor once" in refused.value.hint


async def test_a_database_that_was_moved_is_neither_examined_nor_surveyed(database: str) -> None:
    """Keeps K15: the doctor and `prune` look at what is served, and say where it went."""
    await (await PostgresqlStore.open(database)).close()
    with psycopg.connect(database) as connection:
        move = Move("/elsewhere", "an id", 1).encode()
        connection.execute("UPDATE conductor.meta SET moved = %s", (move,))

    for look in (examine, survey):
        with pytest.raises(DatabaseMovedError, match="was moved to /elsewhere") as refused:
            await look(database)
        assert "conductor serve --data /elsewhere" in refused.value.hint
