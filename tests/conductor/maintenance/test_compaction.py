"""Rule 14: settled runs are compacted some time later, with pauses, and trouble with one harms no other."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from conductor.core.model.commands import Decision
from conductor.maintenance.compaction import PAUSE_SECONDS, ROUND_SECONDS, SETTLED_SECONDS, Compaction
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import attempt, creation, run_name, said, settlement
from tests.kit.clock import ManualClock

ENDED = 500.0


async def live(store: SqliteStore, number: int, end: float) -> None:
    await store.append(creation(run_name(number)), 1.0)
    await store.append(attempt(run_name(number)), 1.0)
    for word in range(600):
        await store.append(Decision(to_store=(said(run_name(number), f"word {word} "),)), 2.0)
    await store.append(settlement(run_name(number)), end)


@asynccontextmanager
async def compacting(store: SqliteStore, clock: ManualClock) -> AsyncIterator[None]:
    task = asyncio.create_task(Compaction(store, clock).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def uncompacted(store: SqliteStore) -> list[int]:
    return [int(run) for _, run in await store.uncompacted_runs(1e12, (0.0, ""))]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path / "data") as opened:
        yield opened


async def test_a_run_has_its_turn_when_it_ended_a_while_ago_with_a_pause_after_each_slice(store: SqliteStore) -> None:
    for number in (1, 2, 3):
        await live(store, number, ENDED + number)
    clock = ManualClock(ENDED + 2 + SETTLED_SECONDS)

    async with compacting(store, clock):
        for left in ([2, 3], [3]):
            await clock.until_waiting(clock.now() + PAUSE_SECONDS)
            assert await uncompacted(store) == left
            await clock.advance(PAUSE_SECONDS)
        await clock.until_waiting(clock.now() + ROUND_SECONDS)
        assert await uncompacted(store) == [3]
        await clock.advance(ROUND_SECONDS)
        await clock.until_waiting(clock.now() + PAUSE_SECONDS)
        assert await uncompacted(store) == []


async def test_a_run_that_cannot_be_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps I5."""
    async with await SqliteStore.open(tmp_path) as store:
        for number in (1, 2):
            await live(store, number, ENDED + number)
    path = tmp_path / "conductor.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    data = bytearray(path.read_bytes())
    at = data.index(b"word 20 ") // 4096 * 4096  # the page of the first run's rows
    data[at : at + 16] = b"\xa5" * 16
    path.write_bytes(data)

    clock = ManualClock(ENDED + 1_000)
    monkeypatch.setattr("conductor.store.sqlite.upkeep.migration.CHECKED_BYTES", 0)
    async with await SqliteStore.open(tmp_path) as store, compacting(store, clock):
        await clock.until_waiting(clock.now() + PAUSE_SECONDS)
        await clock.advance(PAUSE_SECONDS)
        await clock.until_waiting(clock.now() + ROUND_SECONDS)
        assert await uncompacted(store) == [1]
