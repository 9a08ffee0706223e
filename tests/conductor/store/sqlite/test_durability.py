"""Killed at any moment, the store has everything that it acknowledged, and nothing by halves."""

import asyncio
import signal
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conductor.core.model.events.run_events import RunCreated, RunStarted
from conductor.store.records import StoredEvent, StoredOutput
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import creation, events, run_name

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[4]
RUN = run_name(1)


async def kill_after(folder: Path, lines: int, acknowledged: dict[str, int]) -> None:
    """Lets an appender work until it said so many lines, kills it, and notes what it acknowledged."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.conductor.store.sqlite.appender", str(folder)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(lines):
        await note(process.stdout, acknowledged)
    process.send_signal(signal.SIGKILL)
    while await note(process.stdout, acknowledged):
        pass
    assert await process.wait() == -signal.SIGKILL


async def note(stream: asyncio.StreamReader, acknowledged: dict[str, int]) -> bool:
    line = await stream.readline()
    if line.endswith(b"\n"):
        run, position = line.split()
        acknowledged[run.decode()] = int(position)
    return bool(line)


async def read_all(store: SqliteStore, run: str) -> list[StoredEvent | StoredOutput]:
    found: list[StoredEvent | StoredOutput] = []
    while page := await store.history(run, found[-1].position if found else 0):
        found += page
    return found


@pytest.mark.parametrize("lines", [[1, 3, 5, 40, 150, 400]])
async def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path, lines: list[int]) -> None:
    """Keeps B1, I1."""
    acknowledged: dict[str, int] = {}
    for count in lines:
        await kill_after(tmp_path / "data", count, acknowledged)

    async with await SqliteStore.open(tmp_path / "data") as store:
        stored = await store.unfinished()
        assert store.epoch == len(lines) + 1
        assert {run.run for run in stored} >= acknowledged.keys()
        for run in stored:
            history = await read_all(store, run.run)
            assert run.damage == ""
            assert [entry.position for entry in history] == list(range(1, len(history) + 1))
            assert len(history) >= acknowledged.get(run.run, 0)
            first = history[0]
            assert isinstance(first, StoredEvent)
            assert isinstance(first.event, RunCreated)
            assert len(first.event.plan.steps) == 3
            assert (await store.run(run.run)).last_position == len(history)
            for entry in history:
                if isinstance(entry, StoredOutput):
                    text, _ = await store.channel(
                        entry.output.attempt, entry.output.channel, entry.offset, len(entry.output.text)
                    )
                    assert text.decode() == entry.output.text


async def test_a_backup_made_while_it_works_is_sound(tmp_path: Path) -> None:
    """Keeps I6."""
    acknowledged: dict[str, int] = {}
    await kill_after(tmp_path / "data", 30, acknowledged)
    database = tmp_path / "data" / "conductor.db"

    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    assert database.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
async def test_a_durable_decision_is_committed_full_and_text_is_not(
    store: SqliteStore, *, durable: bool, level: int
) -> None:
    """Keeps I1."""
    await store.append(replace(creation(RUN), durable=not durable), 1.0)

    await store.append(replace(events(RUN, RunStarted()), durable=durable), 2.0)

    def read(connection: sqlite3.Connection) -> tuple[object, ...]:
        return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode"))

    assert await store._writer.run(read) == (level, "wal")


async def test_readers_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store._readers.run(lambda connection: connection.execute("UPDATE meta SET epoch = 9").fetchall())
