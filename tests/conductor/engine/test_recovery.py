"""The engine with the real core: what one conductor stored, the next one goes on with."""

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from conductor.core.decide.advance import advance
from conductor.core.decide.recover import recover
from conductor.core.model.commands import Command
from conductor.core.model.inputs import RequestCancel, RequestRun
from conductor.core.model.states import RunState
from conductor.engine.loop import Engine
from conductor.engine.recovery import read_state
from conductor.store.records import RunFilter
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import blob, plan, run_name
from tests.kit.clock import ManualClock

RUN = run_name(1)
BROKEN = run_name(2)
BLOBS = (blob(b"bundle"), blob(b'{"question":"why?"}'))


@asynccontextmanager
async def conductor(folder: Path, sent: list[Command]) -> AsyncIterator[tuple[Engine, SqliteStore]]:
    clock = ManualClock()
    async with await SqliteStore.open(folder) as store:
        state = await read_state(store, clock.now())
        engine = Engine(advance, state, store, sent.append, clock, recovered=recover(state))
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            await clock.until_waiting(None)
            yield engine, store
            engine.stop()


async def test_a_restarted_conductor_asks_again_for_what_it_was_doing(tmp_path: Path) -> None:
    """Keeps I3."""
    first: list[Command] = []
    async with conductor(tmp_path / "data", first) as (engine, store):
        await engine.submit(RequestRun(plan(RUN), BLOBS, "id", "digest"))
        before = engine.state.run(RUN)
        events = await store.events(RUN)

    second: list[Command] = []
    async with conductor(tmp_path / "data", second) as (engine, store):
        after = engine.state.run(RUN)
        repeated = await engine.submit(RequestRun(plan(run_name(7)), BLOBS, "id", "digest"))
        assert await store.events(RUN) == events

    assert first
    assert second == first
    assert after == before
    assert (repeated.run, repeated.repeated) == (RUN, True)


async def test_a_cancel_is_known_by_its_request_id_after_its_run_ended(tmp_path: Path) -> None:
    """Keeps B2, B7."""
    async with conductor(tmp_path / "data", []) as (engine, store):
        await engine.submit(RequestRun(plan(RUN), BLOBS))
        await engine.submit(RequestCancel(RUN, "enough", "cancel id", "digest"))
        known = await store.requests(["cancel id"])
    async with conductor(tmp_path / "data", []) as (engine, _):
        again = await engine.submit(RequestCancel(RUN, "enough", "cancel id", "digest"))

    assert "cancel id" in known
    assert (again.run, again.repeated) == (RUN, True)


async def test_a_run_that_cannot_be_read_is_ended_and_the_others_go_on(tmp_path: Path) -> None:
    """Keeps I5."""
    async with conductor(tmp_path / "data", []) as (engine, _):
        for run in (RUN, BROKEN):
            await engine.submit(RequestRun(plan(run), BLOBS))
    connection = sqlite3.connect(tmp_path / "data" / "conductor.db")
    script = "UPDATE journal SET data = '[]' WHERE position = 2 AND run = (SELECT key FROM runs WHERE run = ?)"
    assert connection.execute(script, (BROKEN,)).rowcount == 1
    connection.commit()
    connection.close()

    sent: list[Command] = []
    async with conductor(tmp_path / "data", sent) as (engine, store):
        rows = {row.run: row for row in (await store.runs(RunFilter(), 10)).rows}
        assert engine.state.run(RUN) is not None
        assert engine.state.run(BROKEN) is None

    assert rows[RUN].state is RunState.QUEUED
    assert rows[BROKEN].state is RunState.FAILED
    assert rows[BROKEN].failure is not None
    assert "position 2" in rows[BROKEN].failure.message
    assert sent


async def test_what_the_core_refuses_to_fold_is_damage_too(tmp_path: Path) -> None:
    """Keeps I5."""
    async with conductor(tmp_path / "data", []) as (engine, _):
        await engine.submit(RequestRun(plan(RUN), BLOBS))
    connection = sqlite3.connect(tmp_path / "data" / "conductor.db")
    connection.execute("""UPDATE journal SET type = 'StepFailed', data = '{"step": "missing", "failure":
        {"reason": "R", "message": "m"}}' WHERE position = 2""")
    connection.commit()
    connection.close()

    async with conductor(tmp_path / "data", []) as (_, store):
        row = await store.run(RUN)

    assert row.state is RunState.FAILED


async def test_a_start_looks_for_no_garbage_in_what_it_read_and_for_other_garbage_again(tmp_path: Path) -> None:
    async with conductor(tmp_path / "data", []) as (engine, _):
        await engine.submit(RequestRun(plan(RUN), BLOBS))
    gc.unfreeze()
    async with await SqliteStore.open(tmp_path / "data") as store:
        state = await read_state(store, 1.0)
    frozen = gc.get_freeze_count()
    gc.unfreeze()

    assert state.run(RUN) is not None
    assert frozen > 0
    assert gc.isenabled()
