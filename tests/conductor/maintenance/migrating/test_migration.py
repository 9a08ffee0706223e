"""A migrated conductor reads as before, to the byte, whatever was killed on the way. Keeps K15."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from conductor.errors import DatabaseInUseError, DatabaseMovedError, MigrationError
from conductor.maintenance.migrating.migration import rehearse
from conductor.maintenance.migrating.places import opened
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.maintenance.migrating.world import KilledError, damage, fill, moved, read, served
from tests.conductor.store.material import creation, run_name

pytestmark = pytest.mark.processes


@pytest.fixture
async def source(tmp_path: Path) -> str:
    place = str(tmp_path / "source")
    async with served(place) as store:
        await fill(store)
    damage(Path(place), run_name(7))
    return place


async def all_of(place: str) -> dict[str, object]:
    async with served(place) as store:
        return await read(store)


async def why_refused(place: str) -> str:
    try:
        async with served(place):
            return ""
    except DatabaseMovedError as error:
        return str(error)


async def test_there_and_back_everything_reads_as_before(source: str, tmp_path: Path) -> None:
    before = await all_of(source)
    there = await moved(source, str(tmp_path / "there"))
    on_the_way = await all_of(str(tmp_path / "there"))
    back = await moved(str(tmp_path / "there"), source)

    assert on_the_way == before
    assert await all_of(source) == before
    assert (there.conductor_id, there.damaged) == (back.conductor_id, (run_name(7),))
    assert there.rows["chunks"] > 50 < there.rows["journal"]
    assert back.epoch == there.epoch + 2  # it was opened once in between


async def test_a_kill_between_any_two_transactions_costs_nothing(source: str, tmp_path: Path) -> None:
    before, target, kills = await all_of(source), str(tmp_path / "there"), 0
    while True:
        try:
            await moved(source, target, budget=2)  # one transaction further each time
            break
        except KilledError:
            kills += 1
            refused = await why_refused(target)
            if not refused:  # it was killed right after the last of them
                break
            assert "is not finished" in refused

    assert kills > 15
    assert await all_of(target) == before
    with pytest.raises(DatabaseMovedError, match=f"was moved to {target}"):
        await SqliteStore.open(Path(source))


async def test_a_source_that_was_served_meanwhile_is_copied_from_the_beginning(source: str, tmp_path: Path) -> None:
    target = str(tmp_path / "there")
    with pytest.raises(KilledError):
        await moved(source, target, budget=12)
    async with served(source) as store:
        await store.append(creation(run_name(99)), 100.0)
        before = await read(store)
    await moved(source, target)

    assert await all_of(target) == before


async def test_a_served_source_is_refused_and_a_moved_one_goes_nowhere_else(source: str, tmp_path: Path) -> None:
    async with served(source):
        with pytest.raises(DatabaseInUseError):
            await moved(source, str(tmp_path / "there"))
    await moved(source, str(tmp_path / "there"))

    assert (await moved(source, str(tmp_path / "there"))).rows == {}
    with pytest.raises(MigrationError, match="was moved to"):
        await moved(source, str(tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere").exists()


async def test_a_list_that_does_not_follow_from_the_journal_stops_it(source: str, tmp_path: Path) -> None:
    with sqlite3.connect(Path(source) / "conductor.db") as connection:
        connection.execute("UPDATE runs SET verified = 99 WHERE run = ?", (run_name(3),))
    connection.close()

    with pytest.raises(MigrationError, match=f"run {run_name(3)}: 'runs.verified' is 99, and the journal says 1"):
        await moved(source, str(tmp_path / "there"))
    async with served(source):
        pass


async def test_a_rehearsal_says_the_same_and_changes_nothing(source: str, tmp_path: Path) -> None:
    target = tmp_path / "there"
    async with opened(source, "", is_source=True) as leaving, opened(str(target), "", is_source=False) as entering:
        rehearsed = await rehearse(leaving, entering)
    made = target.exists()
    migrated = await moved(source, str(target))

    assert not made
    assert rehearsed == replace(migrated, lost_snapshots=())
