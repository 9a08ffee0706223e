"""The engine keeps its order: decide, store, adopt, answer, send. With a small core of its own, on a real database."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from conductor.core.model.commands import Accepted, AckExecution, Command, Evaluate
from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.events.run_events import RunCreated
from conductor.core.model.inputs import ExecutionLost, RequestCancel
from conductor.core.model.work import Work, WorkKind
from conductor.engine.inbox import InboxLimits
from conductor.engine.loop import Engine
from conductor.errors import (
    InvalidRequestError,
    NoCapacityError,
    NotFoundError,
    OutcomeUnknownError,
    PreconditionError,
    RequestIdReusedError,
    ShuttingDownError,
    StatusError,
    StorageError,
)
from conductor.store.records import Deletion
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.small_core import NOW, RUN, World, request, text
from tests.conductor.store.material import attempt, attempt_name, creation, run_name, settlement


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path / "data") as store:
        yield World(store, tmp_path / "data")


async def test_a_caller_is_answered_once_it_is_stored(world: World) -> None:
    """Keeps B1."""
    async with world.engine() as engine:
        accepted = await engine.submit(request())
        stored = await world.store.events(RUN)

    assert (accepted.run, accepted.repeated) == (RUN, False)
    assert [type(entry.event) for entry in stored] == [RunCreated]
    assert stored[0].time == NOW


async def test_nothing_is_sent_before_it_is_stored(world: World) -> None:
    """Keeps I1."""
    rows: list[int] = []

    def look(_: Command) -> None:
        connection = sqlite3.connect(world.folder / "conductor.db")
        rows.append(connection.execute("SELECT count(*) FROM journal").fetchone()[0])
        connection.close()

    world.on_send = look
    async with world.engine() as engine:
        await engine.submit(request())
        await engine.submit(request(run_name(2)))

    assert rows == [1, 2]


async def test_what_recovery_asks_for_is_sent_first(world: World) -> None:
    """Keeps I3."""
    again = Evaluate(Work("older", WorkKind.PROMPT, "a"))
    world.recovered = (again,)
    async with world.engine() as engine:
        await engine.submit(request())

    assert world.sent[0] == again


async def test_a_locked_database_delays_the_same_decision_and_refuses_new_requests(world: World) -> None:
    """Keeps I1."""
    async with world.engine() as engine, asyncio.TaskGroup() as group:
        with world.locked():
            first = group.create_task(engine.submit(request()))
            await world.until_it_pauses()
            calls = list(world.core.calls)
            with pytest.raises(StorageError, match="locked") as refused:
                await engine.submit(request(run_name(2)))
            state, sent, page = engine.state, list(world.sent), await world.store.feed(0)
            assert not first.done()
        await world.clock.advance(1)
        await first
        decided = [call for call in world.core.calls if call[0]]
        third = await engine.submit(request(run_name(3)))

    assert refused.value.code == "UNAVAILABLE"
    assert (state, sent, page.entries) == (ConductorState(), [], ())
    assert calls[-1] == decided[-1]
    assert len(decided) == 1
    assert third.run == run_name(3)
    assert len(await world.store.events(RUN)) == 1


async def test_what_comes_during_a_commit_is_one_commit(world: World) -> None:
    """Keeps D7."""
    await world.store.append(creation(RUN), 1.0)
    await world.store.append(attempt(RUN), 1.0)
    async with world.engine() as engine, asyncio.TaskGroup() as group:
        with world.locked():
            group.create_task(engine.submit(request(run_name(2))))
            await world.until_it_pauses()
            before = len(world.core.calls)
            for sequence in range(1, 101):
                await engine.offer(text(sequence, f"{sequence} "))
        await world.clock.advance(1)

    assert [count for count, _ in world.core.calls[before:] if count] == [1]
    assert world.sent[-1] == AckExecution("north", attempt_name(RUN), 100)
    whole = "".join(f"{sequence} " for sequence in range(1, 101)).encode()
    assert await world.store.channel(attempt_name(RUN), "answer", 0, 0) == (whole, len(whole))
    assert (await world.store.unfinished())[0].cursors == {attempt_name(RUN): 100}


async def test_a_link_waits_while_its_slot_is_full_and_goes_on_after_it(world: World) -> None:
    """Keeps D10."""
    await world.store.append(creation(RUN), 1.0)
    await world.store.append(attempt(RUN), 1.0)
    world.limits = InboxLimits(slot_bytes=1000)
    written = 0

    async def talk(engine: Engine) -> None:
        nonlocal written
        for sequence in range(1, 31):
            await engine.offer(text(sequence, "x" * 300))
            written = sequence

    async with world.engine() as engine, asyncio.TaskGroup() as group:
        with world.locked():
            talking = group.create_task(talk(engine))
            await world.until_it_pauses()
            held = written
        await world.clock.advance(1)
        await talking

    assert held < 10
    assert (await world.store.channel(attempt_name(RUN), "answer", 0, 0))[1] == 9000


async def test_it_wakes_when_the_core_asked_for_it(world: World) -> None:
    world.core.wakes = [NOW + 5, NOW + 9]
    async with world.engine():
        await world.clock.advance(4)
        assert [now for _, now in world.core.calls] == [NOW]
        await world.clock.advance(1)
        await world.clock.until_waiting(NOW + 9)
        await world.clock.advance(4)
        await world.clock.until_waiting(None)

    assert [now for _, now in world.core.calls][:3] == [NOW, NOW + 5, NOW + 9]


async def test_inputs_that_wait_are_taken_with_a_late_timer(world: World) -> None:
    """Keeps I4."""
    world.core.wakes = [NOW + 5]
    async with world.engine() as engine:
        engine.note(ExecutionLost("a", "gone"))
        await world.clock.advance(3600)
        await world.clock.until_waiting(None)

    assert world.core.calls[1] == (1, NOW + 3600)


async def test_stopping_stores_what_waits_and_takes_nothing_more(world: World) -> None:
    """Keeps I6."""
    await world.store.append(creation(RUN), 1.0)
    await world.store.append(attempt(RUN), 1.0)
    world.limits = InboxLimits(batch_inputs=1)
    engine = world.make()
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(engine.submit(request(run_name(number)))) for number in range(2, 6)]
        await asyncio.sleep(0)
        await engine.offer(text(1, "last words"))
        engine.stop()
        await group.create_task(engine.run())
        with pytest.raises(ShuttingDownError):
            await engine.submit(request(run_name(7)))
        with pytest.raises(ShuttingDownError):
            await engine.offer(text(2, "too late"))

    assert [caller.result().run for caller in callers] == [run_name(number) for number in range(2, 6)]
    assert (await world.store.channel(attempt_name(RUN), "answer", 0, 0))[0] == b"last words"


async def test_what_trying_again_does_not_mend_ends_it_and_lets_callers_go(world: World) -> None:
    """Keeps I1."""
    await world.store.append(creation(RUN), 1.0)
    engine = world.make()
    caller = asyncio.ensure_future(engine.submit(request(RUN)))
    await asyncio.sleep(0)

    with pytest.raises(Exception, match="stored already"):
        await engine.run()

    with pytest.raises(ShuttingDownError):
        await caller
    assert world.sent == []


async def test_who_waits_is_told_of_lasting_trouble_and_what_they_asked_for_still_comes_to_pass(world: World) -> None:
    """Keeps B1, rule 6: a deadline's length of silence is no answer."""
    async with world.engine() as engine, asyncio.TaskGroup() as group:
        with world.locked():
            asked = group.create_task(_outcome(engine.submit(request(request_id="id"))))
            await world.until_it_pauses()
            while not asked.done():
                await world.clock.advance(1)
                await asyncio.sleep(0)
        while engine.state == ConductorState():
            await world.clock.advance(1)
            await asyncio.sleep(0)
        again = await engine.submit(request(run_name(2), request_id="id"))

    told = asked.result()
    assert isinstance(told, OutcomeUnknownError)
    assert (told.code, told.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert "locked" in str(told)
    assert (again.run, again.repeated) == (RUN, True)


async def _outcome(work: Awaitable[object]) -> object:
    try:
        return await work
    except StatusError as error:
        return error


async def test_a_stop_does_not_wait_for_a_database_that_stays_locked(world: World) -> None:
    """Keeps I6."""
    engine = world.make()
    caller = asyncio.ensure_future(engine.submit(request()))
    await asyncio.sleep(0)
    engine.stop()

    with world.locked(), pytest.raises(StorageError, match="locked"):
        await engine.run()

    with pytest.raises(ShuttingDownError):
        await caller


async def test_the_same_request_gets_the_same_run_also_after_a_restart(world: World) -> None:
    """Keeps B2."""
    async with world.engine() as engine:
        await engine.submit(request(RUN, "id"))
    async with world.engine() as engine:
        again = await engine.submit(request(run_name(2), "id"))
        with pytest.raises(RequestIdReusedError):
            await engine.submit(request(run_name(3), "id", "another body"))
        other = await engine.submit(request(run_name(4), "another id"))

    assert (again.run, again.repeated) == (RUN, True)
    assert (other.run, other.repeated) == (run_name(4), False)
    assert [entry.run for entry in (await world.store.feed(0)).entries] == [RUN, run_name(4)]


async def test_requests_with_one_id_that_come_together_make_one_run(world: World) -> None:
    """Keeps B2: the first is not stored yet when the others are taken."""
    async with world.engine() as engine, asyncio.TaskGroup() as group:
        bodies = (("id", "d"), ("id", "d"), ("id", "another body"), ("other id", "d"))
        asked = [
            group.create_task(_outcome(engine.submit(request(run_name(number), *body))))
            for number, body in enumerate(bodies, start=1)
        ]

    told = [one.result() for one in asked]
    assert told[:2] == [Accepted(1, run_name(1)), Accepted(2, run_name(1), repeated=True)]
    assert isinstance(told[2], RequestIdReusedError)
    assert told[3] == Accepted(4, run_name(4))
    assert [entry.run for entry in (await world.store.feed(0)).entries] == [run_name(1), run_name(4)]


async def test_a_request_waits_while_another_with_its_id_is_undecided(world: World) -> None:
    """Keeps B2: the core may leave a request to its next decision, which a restart may never let it make."""
    world.core.late = 1
    async with world.engine() as engine, asyncio.TaskGroup() as group:
        first = group.create_task(engine.submit(request(RUN, "id")))
        await asyncio.sleep(0)
        again = group.create_task(engine.submit(request(run_name(2), "id")))

    assert first.result() == Accepted(1, RUN)
    assert again.result() == Accepted(2, RUN, repeated=True)


async def test_a_request_that_was_rejected_leaves_its_id_to_the_next(world: World) -> None:
    """Keeps B2."""
    async with world.engine() as engine:
        with pytest.raises(NoCapacityError):
            await engine.submit(RequestCancel(RUN, "NO_CAPACITY", "id", "d"))
        accepted = await engine.submit(request(RUN, "id"))

    assert (accepted.run, accepted.repeated) == (RUN, False)


async def test_a_request_makes_no_second_run_when_the_first_was_deleted(world: World) -> None:
    """Keeps B2, also for a client that asks again for hours."""
    async with world.engine() as engine:
        await engine.submit(request(RUN, "id"))
    await world.store.append(settlement(RUN), 2.0)
    await world.store.delete(Deletion(RUN, 9.0, "it was a test"))
    async with world.engine() as engine:
        with pytest.raises(NotFoundError) as refused:
            await engine.submit(request(run_name(2), "id"))
        with pytest.raises(RequestIdReusedError):
            await engine.submit(request(run_name(3), "id", "another body"))

    assert (refused.value.code, refused.value.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")
    assert RUN in str(refused.value)
    assert (
        refused.value.hint == "the same request made it before; it was deleted on 1970-01-01 00:00 UTC: it was a test"
    )


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("NOT_ACTIVE", PreconditionError),
        ("NO_CAPACITY", NoCapacityError),
        ("INVALID_REQUEST", InvalidRequestError),
        ("INTERNAL", StatusError),
    ],
)
async def test_a_reason_of_the_core_becomes_its_error(world: World, reason: str, error: type[StatusError]) -> None:
    """Keeps K1."""
    async with world.engine() as engine:
        with pytest.raises(error) as refused:
            await engine.submit(RequestCancel(RUN, reason))

    assert type(refused.value) is error
    assert (refused.value.reason, str(refused.value)) == (reason, "the core said so")


async def test_a_run_that_ended_before_the_process_began_is_told_from_one_that_never_was(world: World) -> None:
    """Keeps B7."""
    await world.store.append(creation(RUN), 1.0)
    await world.store.append(settlement(RUN), 2.0)
    async with world.engine() as engine:
        with pytest.raises(PreconditionError) as ended:
            await engine.submit(RequestCancel(RUN, "RUN_NOT_RUNNING"))
        with pytest.raises(NotFoundError) as unknown:
            await engine.submit(RequestCancel(run_name(9), "RUN_NOT_RUNNING"))

    assert (ended.value.reason, str(ended.value)) == ("RUN_NOT_RUNNING", f"run {RUN} has ended: it succeeded")
    assert unknown.value.reason == "RUN_NOT_FOUND"


async def test_a_caller_that_went_away_disturbs_no_other(world: World) -> None:
    stored = asyncio.Event()
    world.on_send = lambda _: stored.set()
    async with world.engine() as engine, asyncio.TaskGroup() as group:
        with world.locked():
            gone = group.create_task(engine.submit(request()))
            await world.until_it_pauses()
            gone.cancel()
        await world.clock.advance(1)
        await stored.wait()
        await engine.submit(request(run_name(2)))

    assert len((await world.store.feed(0)).entries) == 2
