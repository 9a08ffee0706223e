"""A row that cannot be read is its run's trouble, and nobody else's."""

import sqlite3
from pathlib import Path

import pytest

from conductor.core.events import RunStarted
from conductor.errors import DatabaseDamagedError
from conductor.store.records import RunFilter
from conductor.store.store import Store
from tests.conductor.store.material import creation, events, run_name, settlement

SOUND = run_name(1)
BROKEN = run_name(2)


async def make_damaged(folder: Path) -> None:
    async with await Store.open(folder) as store:
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
    async with await Store.open(tmp_path / "data") as store:
        sound, broken = await store.unfinished()

        assert (sound.run, sound.damage, len(sound.events)) == (SOUND, "", 3)
        assert broken.run == BROKEN
        assert [entry.position for entry in broken.events] == [1]
        assert "position 2 (RunStarted)" in broken.damage
        with pytest.raises(DatabaseDamagedError, match=f"run {BROKEN} cannot be read: position 2"):
            await store.events(BROKEN)
        with pytest.raises(DatabaseDamagedError):
            await store.history(BROKEN, 0)
        assert len(await store.history(BROKEN, 2)) == 1
        assert len(await store.history(SOUND, 0)) == 3
        assert len((await store.runs(RunFilter(), 10)).rows) == 2


async def test_the_feed_passes_over_what_cannot_be_read(tmp_path: Path) -> None:
    """Keeps G5, I5."""
    await make_damaged(tmp_path / "data")
    async with await Store.open(tmp_path / "data") as store:
        page = await store.feed(0)

        assert [entry.run for entry in page.entries].count(BROKEN) == 2
        assert page.last_id == await store.last_id()


async def test_a_damaged_run_can_be_ended(tmp_path: Path) -> None:
    """Keeps I5."""
    await make_damaged(tmp_path / "data")
    async with await Store.open(tmp_path / "data") as store:
        assert await store.append(settlement(BROKEN), 4.0) == {BROKEN: 4}

        assert [stored.run for stored in await store.unfinished()] == [SOUND]
