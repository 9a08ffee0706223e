"""Rule 14: a compacted run is read as it was before: every position, every token, every byte, after a kill at any moment too."""

import asyncio
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from conductor.core.model.commands import Decision
from conductor.core.model.output import Channel
from conductor.errors import DatabaseDamagedError
from conductor.store.records import Deletion, StoredEvent, StoredOutput
from conductor.store.rows import windows
from conductor.store.sqlite.reading import history as reading
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.writing import compaction
from tests.conductor.store.material import (
    attempt,
    attempt_name,
    creation,
    damages,
    run_name,
    said,
    settlement,
)
from tests.conductor.store.whole_runs import CHANNELS, STEPS, assert_reads_as_before, compact, live, read

RUN, OTHER = run_name(1), run_name(2)
ALWAYS = (1e12, (0.0, ""))


def count(folder: Path, table: str) -> int:
    connection = sqlite3.connect(folder / "conductor.db")
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
    finally:
        connection.close()


def change(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "conductor.db")
    assert connection.execute(statement).rowcount == 1
    connection.commit()
    connection.close()


@pytest.mark.parametrize("seed", range(3))
async def test_every_reader_reads_as_before_and_after_a_kill_between_any_two_slices(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MAX_ENTRIES", 90)
    folder, moments = tmp_path / "data", []
    async with await SqliteStore.open(folder) as store:
        await live(store, RUN, seed)
        before = await read(store, RUN)
        rows = count(folder, "chunks")
        while await store.compact(RUN):
            moments.append(tmp_path / f"moment {len(moments)}")
            shutil.copytree(folder, moments[-1])
        await assert_reads_as_before(store, RUN, before, seed)
        assert await store.uncompacted_runs(*ALWAYS) == []

    assert len(before.history) > 250
    assert count(folder, "blocks") >= 3
    assert count(folder, "chunks") < rows / 5
    assert damages(folder) == []
    for moment in moments:
        async with await SqliteStore.open(moment) as store:
            assert await read(store, RUN) == before
            await compact(store, RUN)
            assert await read(store, RUN) == before
        assert damages(moment) == []
        assert count(moment, "chunks") == count(folder, "chunks")


async def test_who_reads_while_it_is_compacted_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAX_ENTRIES", 20)
    async with await SqliteStore.open(tmp_path) as store:
        await live(store, RUN, 7)
        before = await read(store, RUN)
        async with asyncio.TaskGroup() as tasks:
            compacting = tasks.create_task(compact(store, RUN))
            while not compacting.done():
                assert await read(store, RUN) == before
        assert compacting.result() > 10


async def test_a_page_is_of_one_moment_though_rows_become_a_block_in_the_middle_of_it(tmp_path: Path) -> None:
    async with await SqliteStore.open(tmp_path) as store:
        await live(store, RUN, 7)
        await compact(store, RUN)
        late = [said(RUN, f"{word} ", step=step) for word in range(50) for step in STEPS]
        await store.append(Decision(to_store=tuple(late)), 100.0)
    connections = [sqlite3.connect(tmp_path / "conductor.db", isolation_level=None) for _ in range(3)]
    reader, writer, other = connections
    window = compaction.make_window(other, RUN)
    assert window is not None
    whole = reading.read_history(other, RUN, window.after, 10**6)
    seen = []

    def compact_now(statement: str) -> None:
        if "FROM blocks" in statement and not seen:
            compaction.store_window(writer, window)
            seen.append(statement)

    reader.set_trace_callback(compact_now)
    # One row is left: SQLite is done with it, and with what it saw, before the blocks are asked for.
    page = reading.read_history(reader, RUN, window.upto - 1, 10**6)

    assert seen
    assert page == whole[-1:]
    assert reading.read_history(other, RUN, window.after, 10**6) == whole
    for connection in connections:
        connection.close()


async def test_a_run_at_work_is_left_alone_and_what_comes_late_goes_on_where_it_was(tmp_path: Path) -> None:
    async with await SqliteStore.open(tmp_path) as store:
        await live(store, RUN, 1)
        await store.append(creation(OTHER), 1.0)
        await store.append(attempt(OTHER), 1.0)
        for word in range(50):
            await store.append(Decision(to_store=(said(OTHER, f"{word} "),)), 2.0)

        assert await store.uncompacted_runs(98.0, (0.0, "")) == []
        assert await store.uncompacted_runs(*ALWAYS) == [(99.0, RUN)]
        assert not await store.compact(OTHER)
        assert await compact(store, RUN)
        before = await read(store, RUN)
        late = [said(RUN, f"{word} late ", channel, "risks") for word in range(60) for channel in CHANNELS]
        await store.append(Decision(to_store=tuple(late)), 100.0)
        assert await store.uncompacted_runs(*ALWAYS) == [(99.0, RUN)]
        assert await compact(store, RUN)
        after = await read(store, RUN)

    assert after.history[: len(before.history)] == before.history
    for place, whole in before.channels.items():
        more = "".join(f"{word} late " for word in range(60)) if "risks" in place[0] and place[1] in CHANNELS else ""
        assert after.channels[place] == whole + more.encode()
    assert damages(tmp_path) == []


async def test_rows_stay_where_a_block_would_not_be_smaller(tmp_path: Path) -> None:
    chance = random.Random(1)
    async with await SqliteStore.open(tmp_path) as store:
        await store.append(creation(RUN), 1.0)
        await store.append(attempt(RUN), 1.0)
        for _ in range(40):
            text = "".join(chr(chance.randrange(32, 127)) for _ in range(900))
            await store.append(Decision(to_store=(said(RUN, text),)), chance.random())
        await store.append(Decision(to_store=(said(RUN, "one word", Channel.LOG),)), 2.0)
        await store.append(settlement(RUN), 3.0)
        before = await store.history(RUN, 0)

        assert await compact(store, RUN)
        assert await store.uncompacted_runs(*ALWAYS) == []
        assert await store.history(RUN, 0) == before
    assert (count(tmp_path, "chunks"), count(tmp_path, "blocks")) == (41, 0)


async def test_a_window_of_a_run_that_was_deleted_or_moved_on_meanwhile_changes_nothing(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "conductor.db", isolation_level=None)
    async with await SqliteStore.open(tmp_path) as store:
        await live(store, RUN, 1)
        await live(store, OTHER, 2)
        windows = [compaction.make_window(connection, run) for run in (RUN, OTHER)]
        await compact(store, RUN)
        before = await read(store, RUN)
        await store.delete(Deletion(OTHER, 9.0, "it was a test"))
        rows = [count(tmp_path, table) for table in ("chunks", "blocks", "strips")]

        for window in windows:
            assert window is not None
            assert window.block is not None
            compaction.store_window(connection, window)

        assert await read(store, RUN) == before
        assert [count(tmp_path, table) for table in ("chunks", "blocks", "strips")] == rows
    connection.close()


async def test_a_compacted_run_is_deleted_whole(tmp_path: Path) -> None:
    """Keeps K6: nothing of it is left on the disk, and nothing else goes."""
    async with await SqliteStore.open(tmp_path) as store:
        await live(store, RUN, 1)
        await live(store, OTHER, 2)
        for run in (RUN, OTHER):
            await compact(store, run)
        before = await read(store, OTHER)
        await store.delete(Deletion(RUN, 9.0, "it was a test"))
        assert not await store.compact(RUN)
        while await store.purge(RUN):
            pass
        after = await read(store, OTHER)
        assert (after.history, after.channels) == (before.history, before.channels)
        await store.delete(Deletion(OTHER, 9.0, "it was a test"))
        while await store.purge(OTHER):
            pass
    assert [count(tmp_path, table) for table in ("chunks", "blocks", "strips", "attempts")] == [0] * 4


async def read_until_first(store: SqliteStore, position: int) -> list[StoredEvent | StoredOutput]:
    history: list[StoredEvent | StoredOutput] = []
    while len(history) < position - 1:
        history += await store.history(RUN, len(history), 999)
    return history


async def hear(store: SqliteStore, place: tuple[str, str]) -> tuple[bytes, str]:
    """Returns the beginning of a channel, or why it cannot be read."""
    try:
        return (await store.channel(*place, 0, 0))[0], ""
    except DatabaseDamagedError as error:
        return b"", str(error)


DAMAGES = {
    "bytes that changed": "UPDATE blocks SET data = CAST(substr(data, 1, 90) || x'a5a5' || substr(data, 93) AS BLOB) WHERE key = 2",
    "bytes that are gone": "UPDATE blocks SET data = x'' WHERE key = 2",
    "another block's bytes": "UPDATE blocks SET data = (SELECT data FROM blocks WHERE key = 1) WHERE key = 2",
    "a strip that is gone": "DELETE FROM strips WHERE block = 2 AND number = 0",
    "a strip of another length": "UPDATE strips SET start_byte = start_byte - 1 WHERE block = 2 AND number = 1",
}


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_damaged_block_is_named_and_all_else_is_read(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps I5, I6: with run and row; what stands before it and after it is given."""
    monkeypatch.setattr(windows, "MAX_ENTRIES", 90)
    async with await SqliteStore.open(tmp_path) as store:
        for number, run in enumerate((RUN, OTHER)):
            await live(store, run, number, large=0)
            await compact(store, run)
        whole, other = await read(store, RUN), await read(store, OTHER)
    connection = sqlite3.connect(tmp_path / "conductor.db")
    first, last = connection.execute("SELECT first_position, position FROM blocks WHERE key = 2").fetchone()
    connection.close()
    change(tmp_path, DAMAGES[what])

    found = damages(tmp_path)
    assert {damage.run for damage in found} == {RUN}
    assert any(f"blocks, position {last}" in damage.text for damage in found), found
    async with await SqliteStore.open(tmp_path) as store:
        assert await read(store, OTHER) == other
        named = f"a row of run {RUN} cannot be read: blocks, position {last}"
        assert await read_until_first(store, first) == whole.history[: first - 1]
        for position in (first - 1, (first + last) // 2, last - 1):
            with pytest.raises(DatabaseDamagedError, match=named) as raised:
                await store.history(RUN, position)
            assert raised.value.metadata == {"run": RUN}
        assert await store.history(RUN, last) == whole.history[last:]
        for place, text in whole.channels.items():
            heard, complaint = await hear(store, place)
            assert text.startswith(heard) or what == "a strip that is gone"
            assert named in (complaint or named)
            assert await store.channel(*place, max(len(text) - 5, 0), 0) == (text[-5:], len(text))


async def test_a_block_that_is_gone_is_missed_and_all_else_is_read(tmp_path: Path) -> None:
    """Keeps I5."""
    async with await SqliteStore.open(tmp_path) as store:
        await live(store, RUN, 1, texts=60, large=0)
        await compact(store, RUN)
        whole = await store.history(RUN, 0)
    change(tmp_path, "DELETE FROM blocks")

    found = damages(tmp_path)
    assert any(damage.run == RUN and "where runs.last_position says" in damage.text for damage in found), found
    async with await SqliteStore.open(tmp_path) as store:
        assert await store.history(RUN, 0) == [item for item in whole if isinstance(item, StoredEvent)]
        with pytest.raises(DatabaseDamagedError, match=f"run {RUN} cannot be read: strips, .* block 1 is missing"):
            await store.channel(attempt_name(RUN), "answer", 0, 0)


@pytest.mark.parametrize(
    ("damage", "named", "blocks"),
    [
        ("UPDATE chunks SET text = x'ff' WHERE position = 30", "chunks, position 30", 1),
        ("UPDATE chunks SET end_byte = 0 WHERE position = 30", "chunks, position 30", 1),
        ("UPDATE chunks SET end_byte = end_byte + 100000 WHERE position = 30", "ends at byte 1", 1),
        (
            "UPDATE chunks SET attempt = 77 WHERE position = 30",
            "chunks, ",
            0,
        ),  # a block of no attempt's text is refused
        ("DELETE FROM chunks WHERE position = 30", "where runs.last_position says", 1),
    ],
)
async def test_what_was_damaged_before_is_neither_hidden_nor_made_worse(
    damage: str, named: str, blocks: int, tmp_path: Path
) -> None:
    """Keeps I5: what can be is packed, and the examination goes on naming it."""
    async with await SqliteStore.open(tmp_path) as store:
        await live(store, RUN, 5, large=1)
        history = await store.history(RUN, 0)
        assert isinstance(history[29], StoredOutput)
    change(tmp_path, damage)
    assert any(named in found.text for found in damages(tmp_path))

    async with await SqliteStore.open(tmp_path) as store:
        assert await compact(store, RUN)
        assert await store.uncompacted_runs(*ALWAYS) == []
        after = await store.history(RUN, 30)
    assert after == history[30 : 30 + len(after)]
    assert len(after) == len(history) - 30
    assert count(tmp_path, "blocks") == blocks
    assert any(named in found.text for found in damages(tmp_path))
