"""The store in memory forgets in a power cut what a real one may forget. All else is the contract suite's."""

from conductor.core.model.events.run_events import RunStarted
from conductor.store.records import Deletion
from tests.conductor.store.material import attempt, creation, events, run_name, settlement, speech
from tests.fakes.memory_store import MemoryDisk, MemoryStore

RUN, OTHER = run_name(1), run_name(2)


async def test_a_power_cut_takes_only_what_no_durable_decision_followed() -> None:
    disk = MemoryDisk()
    store = MemoryStore(disk)
    await store.append(creation(RUN), 1.0)
    await store.append(attempt(RUN), 2.0)
    await store.append(speech(RUN, "safe ", cursor=1), 3.0)
    await store.append(events(RUN, RunStarted()), 4.0)
    await store.append(speech(RUN, "lost", cursor=2), 5.0)
    disk.lose_power()
    again = MemoryStore(disk)

    assert [item.position for item in await again.history(RUN, 0)] == [1, 2, 3, 4]
    assert list((await again.unfinished())[0].cursors.values()) == [1]
    assert await again.append(speech(RUN, "said again", cursor=2), 6.0) == {RUN: 5}


async def test_a_power_cut_leaves_deletions_and_the_clock() -> None:
    disk = MemoryDisk()
    store = MemoryStore(disk)
    await store.append(creation(RUN), 1.0)
    await store.append(settlement(RUN), 2.0)
    await store.delete(Deletion(RUN, 9.0, "it was a test"))
    await store.keep_offset("boot", 7.0)
    await store.purge(RUN)
    disk.lose_power()
    again = MemoryStore(disk)

    assert await again.deleted_runs() == [RUN]
    assert (await again.past()).offset == 7.0
