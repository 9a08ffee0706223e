"""The feed of all runs: their events and their deletions, in one order, whatever the pages. Keeps B3, B12."""

import asyncio

from conductor.core.model.events.run_events import RunStarted
from conductor.store.port import Store
from conductor.store.records import Deletion
from tests.conductor.store.contract.places import Place
from tests.conductor.store.doomed_runs import live
from tests.conductor.store.material import creation, events, run_name

DOOMED, OTHER = run_name(1), run_name(2)


async def read(store: Store, after: int, size: int) -> list[tuple[str, bool]]:
    """Returns each run of the feed with whether the entry is its deletion, read in pages."""
    entries: list[tuple[str, bool]] = []
    while True:
        page = await store.feed(after, size)
        entries += [(entry.run, entry.stored is None) for entry in page.entries]
        if page.last_id == after:
            return entries
        after = page.last_id


async def test_a_deletion_has_its_place_among_the_events_and_outlives_the_run(place: Place) -> None:
    async with place.open() as store:
        await live(store, DOOMED, 1)
        before = await store.last_id()
        await store.append(creation(OTHER), 7.0)
        await store.delete(Deletion(DOOMED, 8.0, "it was a test"))
        await store.append(events(OTHER, RunStarted()), 9.0)
        while await store.purge(DOOMED):
            pass
    async with place.open() as store:
        for size in (1, 2, 500):
            assert await read(store, before, size) == [(OTHER, False), (DOOMED, True), (OTHER, False)]
        (deleted,) = [entry for entry in (await store.feed(0)).entries if entry.run == DOOMED]

    assert (deleted.delete_time, deleted.flow) == (8.0, "flows/survey")


async def test_a_deletion_wakes_those_that_follow_all_runs(store: Store) -> None:
    await live(store, DOOMED, 1)
    with store.watch() as watcher:
        waiting = asyncio.ensure_future(watcher.changed())
        await asyncio.sleep(0)
        await store.delete(Deletion(DOOMED, 8.0, "it was a test"))
        await asyncio.wait_for(waiting, 5)
