"""A migrated conductor reads as before, to the byte, after kills on the way. Keeps K15."""

from dataclasses import replace
from pathlib import Path

import pytest

from conductor.errors import DatabaseInUseError, DatabaseMovedError, MigrationError
from conductor.maintenance.migrating.migration import rehearse
from conductor.maintenance.migrating.places import opened
from conductor.store.postgresql.place import renew
from tests.conductor.maintenance.migrating.world import KilledError, change, damage, fill, leading, moved, read, served
from tests.conductor.store.material import creation, run_name

pytestmark = pytest.mark.processes


@pytest.fixture(
    params=[
        "sqlite postgresql",
        pytest.param("postgresql sqlite", marks=pytest.mark.long),
        pytest.param("sqlite sqlite", marks=pytest.mark.long),
    ]
)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The source and the target, of each pair of engines that matters."""
    engines = request.param.split()
    return tuple(  # type: ignore[return-value]
        request.getfixturevalue("database") if engine == "postgresql" else str(tmp_path / f"place-{number}")
        for number, engine in enumerate(engines)
    )


@pytest.fixture
async def source(places: tuple[str, str]) -> str:
    async with served(places[0]) as store:
        await fill(store)
    damage(places[0], run_name(7))
    return places[0]


@pytest.fixture
def target(places: tuple[str, str]) -> str:
    return places[1]


async def all_of(place: str) -> dict[str, object]:
    async with served(place) as store:
        return await read(store)


async def why_refused(place: str) -> str:
    try:
        async with served(place):
            return ""
    except DatabaseMovedError as error:
        return str(error)


async def test_there_and_back_everything_reads_as_before(source: str, target: str) -> None:
    before = await all_of(source)
    there = await moved(source, target)
    on_the_way = await all_of(target)
    back = await moved(target, source)

    if "://" in target or "dbname" in target:  # a new id would make it a conductor that nothing may serve
        with pytest.raises(DatabaseMovedError, match="was moved to"):
            await renew(target)
    assert on_the_way == before
    assert await all_of(source) == before
    assert (there.conductor_id, there.damaged) == (back.conductor_id, (run_name(7),))
    assert there.rows["chunks"] > 50 < there.rows["journal"]
    assert back.epoch >= there.epoch + 2  # it was opened once in between


async def test_a_kill_between_any_two_transactions_costs_nothing(source: str, target: str) -> None:
    before, kills = await all_of(source), 0
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
    assert f"was moved to {target}" in await why_refused(source)


async def test_a_source_that_was_served_meanwhile_is_copied_from_the_beginning(source: str, target: str) -> None:
    with pytest.raises(KilledError):
        await moved(source, target, budget=12)
    async with served(source) as store:
        await store.append(creation(run_name(99)), 100.0)
        before = await read(store)
    await moved(source, target)

    assert await all_of(target) == before


async def test_a_served_source_is_refused_and_a_moved_one_goes_nowhere_else(
    source: str, target: str, tmp_path: Path
) -> None:
    async with leading(source):
        with pytest.raises(DatabaseInUseError):
            await moved(source, target)
    await moved(source, target)

    assert (await moved(source, target)).rows == {}
    with pytest.raises(MigrationError, match="was moved to"):
        await moved(source, str(tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere").exists()


async def test_a_list_that_does_not_follow_from_the_journal_stops_it(source: str, target: str) -> None:
    change(source, "UPDATE runs SET verified = 99 WHERE verified = 1")

    with pytest.raises(MigrationError, match=r"run 0+1: 'runs\.verified' is 99, and the journal says 1"):
        await moved(source, target)
    async with served(source):
        pass


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "UPDATE journal SET data = data || char(0) WHERE id = (SELECT max(id) FROM journal)",
            r"'journal' at \d+ .*NUL",
        ),
        ("UPDATE attempts SET run = 99999 WHERE key = (SELECT max(key) FROM attempts)", r"'attempts' is .*run.*99999"),
    ],
)
async def test_a_damaged_row_that_the_target_cannot_take_is_told(
    tmp_path: Path, database: str, statement: str, why: str
) -> None:
    source = str(tmp_path / "source")
    async with served(source) as store:
        await fill(store, 2)
    change(source, statement)

    with pytest.raises(MigrationError, match=why) as refused:
        await moved(source, database)
    assert "conductor doctor" in refused.value.hint


async def test_a_rehearsal_says_the_same_and_changes_nothing(source: str, target: str) -> None:
    async with opened(source, "", is_source=True) as leaving, opened(target, "", is_source=False) as entering:
        rehearsed = await rehearse(leaving, entering)
    async with opened(target, "", is_source=False) as entering:
        standing = await entering.store.standing()
    migrated = await moved(source, target)

    assert standing is None
    assert rehearsed == replace(migrated, lost_snapshots=(), epoch=rehearsed.epoch)
