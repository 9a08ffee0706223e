"""A deleted run is gone at once and for good, and its request ids stay known. Keeps B2, B12."""

import pytest

from conductor.core.model.events.run_events import RunCancelRequested
from conductor.errors import NotFoundError, PreconditionError, RequestIdReusedError
from conductor.store.port import Store
from conductor.store.records import Deletion, StoredRequest
from conductor.store.refusals import run_was_deleted
from tests.conductor.store.contract.places import Place
from tests.conductor.store.doomed_runs import WORDS, is_invisible, live, look
from tests.conductor.store.material import creation, events, run_name, settlement

DOOMED, OTHER = run_name(1), run_name(2)


@pytest.mark.parametrize("used", ["request 1", "request 2", "request 3", "the first deletion"])
async def test_a_request_id_that_asked_for_something_else_deletes_nothing(store: Store, used: str) -> None:
    """J6: the same id twice means the same request twice; a caller who mixes ids up is told before anything is gone."""
    await live(store, DOOMED, 1)
    await live(store, OTHER, 2)
    await live(store, run_name(3), 3)
    await store.delete(Deletion(run_name(3), 8.0, "it was a test", "the first deletion"))

    for run in (DOOMED, run_name(4)):
        with pytest.raises(RequestIdReusedError):
            await store.delete(Deletion(run, 9.0, "it was a test", used))
    assert (await store.run(DOOMED)).run == DOOMED

    await store.delete(Deletion(run_name(3), 9.0, "it was a test", "the first deletion"))


async def test_a_run_at_work_is_not_deleted(store: Store) -> None:
    await live(store, DOOMED, 1, is_settled=False)
    before = await look(store, DOOMED)

    with pytest.raises(PreconditionError) as refused:
        await store.delete(Deletion(DOOMED, 9.0, "it was a test"))

    assert refused.value.reason == "RUN_ACTIVE"
    assert f"conductor cancel {DOOMED}" in refused.value.hint
    assert await look(store, DOOMED) == before


async def test_a_deletion_is_remembered_by_its_request_id_and_told_to_who_asks(store: Store) -> None:
    await live(store, DOOMED, 1)
    await store.delete(Deletion(DOOMED, 9.0, "the user asked for it", "an id"))
    while await store.purge(DOOMED):
        pass

    await store.delete(Deletion(DOOMED, 10.0, "the user asked for it", "an id"))
    for request_id in ("", "another id"):
        with pytest.raises(NotFoundError, match="there is no run") as refused:
            await store.delete(Deletion(DOOMED, 10.0, "the user asked for it", request_id))
        assert refused.value.hint == "it was deleted on 1970-01-01 00:00 UTC: the user asked for it"


async def test_what_a_deleted_run_was_asked_for_with_is_known_beyond_it(place: Place) -> None:
    """B2: nothing runs twice. The rows of the run are gone, and the conductor was restarted."""
    async with place.open() as store:
        await store.append(creation(DOOMED, request_id="made it"), 1.0)
        await store.append(events(DOOMED, RunCancelRequested("enough", "stopped it", "another digest")), 2.0)
        await store.append(settlement(DOOMED), 3.0)
        await store.delete(Deletion(DOOMED, 9.0, "it was a test"))
        while await store.purge(DOOMED):
            pass
    async with place.open() as store:
        known = await store.requests(["made it", "stopped it", "neither"])

    deleted = "it was deleted on 1970-01-01 00:00 UTC: it was a test"
    assert known == {
        "made it": StoredRequest("digest of the body", DOOMED, deleted),
        "stopped it": StoredRequest("another digest", DOOMED, deleted),
    }
    assert run_was_deleted(known["made it"]).reason == "RUN_NOT_FOUND"
    assert run_was_deleted(known["made it"]).hint == f"the same request made it before; {deleted}"


async def test_a_deletion_goes_on_after_a_kill(place: Place) -> None:
    """Keeps B12: the run is out of sight from the first moment, and `deleted_runs` names it until nothing of it is left."""
    async with place.open() as store:
        await live(store, DOOMED, 1)
        await live(store, OTHER, 2)
        whole = await look(store, OTHER)
        await store.delete(Deletion(DOOMED, 9.0, "it was a test"))
        place.kill()
    async with place.open() as store:
        assert await is_invisible(store, DOOMED)
        assert await store.deleted_runs() == [DOOMED]
        assert await store.known_runs([DOOMED, OTHER]) == {DOOMED, OTHER}
        await store.purge(DOOMED)
        place.kill()
    async with place.open() as store:
        for run in await store.deleted_runs():
            while await store.purge(run):
                pass
        assert await store.deleted_runs() == []
        assert await store.known_runs([DOOMED, OTHER]) == {OTHER}
        assert await is_invisible(store, DOOMED)
        assert await look(store, OTHER) == whole


async def test_what_two_runs_share_stays_until_the_second_goes(store: Store) -> None:
    await live(store, DOOMED, 1)
    await live(store, OTHER, 2)
    shared = (await store.run(OTHER)).plan.bundle
    await store.delete(Deletion(DOOMED, 9.0, "it was a test"))
    while await store.purge(DOOMED):
        pass

    assert await store.blob(OTHER, shared) == b"bundle"


async def test_sizes_are_those_of_what_only_a_run_holds(store: Store) -> None:
    await live(store, DOOMED, 1)
    await live(store, OTHER, 2)
    first, second = await store.settled_runs((0.0, ""))

    assert (first.run, second.run) == (DOOMED, OTHER)
    assert len(WORDS) < first.bytes < len(WORDS) + 4096
    assert await store.settled_runs((first.end_time, first.run)) == [second]


async def test_what_is_used_falls_when_a_run_is_purged(store: Store) -> None:
    """B12: retention by size deletes until that is enough, and must see that it was."""
    await live(store, DOOMED, 1)
    await live(store, OTHER, 2)
    before = await store.usage()
    await store.delete(Deletion(DOOMED, 9.0, "it was a test"))
    while await store.purge(DOOMED):
        pass
    after = await store.usage()

    assert (before.runs, after.runs, after.settled_runs) == (2, 1, 1)
    assert before.used_bytes - after.used_bytes > len(WORDS) / 2
