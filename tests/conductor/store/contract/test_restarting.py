"""A process finds what the one before stored, whatever ended that. Keeps I1, I3."""

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.run_events import StepBecameReady
from tests.conductor.store.contract.places import Place
from tests.conductor.store.material import attempt, attempt_name, creation, run_name, said, speech

RUN, OTHER = run_name(1), run_name(2)


async def test_a_kill_loses_nothing_that_was_appended(place: Place) -> None:
    """Keeps I1: text that no durable decision followed included; only a power cut may take that."""
    async with place.open() as store:
        await store.append(creation(RUN, request_id="one"), 1.0)
        await store.append(attempt(RUN), 2.0)
        await store.append(speech(RUN, "not durable", cursor=3), 3.0)
        history, feed = await store.history(RUN, 0), await store.feed(0)
        place.kill()
    async with place.open() as store:
        (unfinished,) = await store.unfinished()
        assert await store.history(RUN, 0) == history
        assert await store.feed(0) == feed
        assert unfinished.cursors == {attempt_name(RUN): 3}
        assert list(await store.requests(["one"])) == ["one"]


async def test_what_is_written_after_a_kill_is_not_found(place: Place) -> None:
    """The tests of this folder rely on it."""
    async with place.open() as store:
        await store.append(creation(RUN), 1.0)
        place.kill()
        await store.append(creation(OTHER), 2.0)
    async with place.open() as store:
        assert await store.known_runs([RUN, OTHER]) == {RUN}


async def test_positions_and_ids_go_on_where_they_were(place: Place) -> None:
    """Keeps G1, G5."""
    async with place.open() as store:
        await store.append(creation(RUN), 1.0)
        await store.append(attempt(RUN), 1.0)
        await store.append(speech(RUN, "one "), 2.0)
        last = await store.last_id()
        place.kill()
    async with place.open() as store:
        mixed = Decision(to_store=(said(RUN, "two"), Record(RUN, StepBecameReady("docs"))))
        assert await store.append(mixed, 3.0) == {RUN: 5}
        (entry,) = (await store.feed(last)).entries
        assert (entry.stored.position, entry.id > last) == (5, True)
        assert await store.channel(attempt_name(RUN), "answer", 0, 0) == (b"one two", 7)


async def test_each_opening_counts_and_the_id_stays(place: Place) -> None:
    """Keeps I4: hosts tell an older conductor by its epoch."""
    seen = []
    for _ in range(3):
        async with place.open() as store:
            seen.append((store.conductor_id, store.epoch))
            assert await store.is_newest()
        place.kill()

    assert seen == [(seen[0][0], 1), (seen[0][0], 2), (seen[0][0], 3)]
