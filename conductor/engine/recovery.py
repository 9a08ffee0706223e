"""Reads what the last conductor left: its time, and its runs, folded into the state that the engine begins with.

The core decides what the state means and which commands follow (`restore`, `recover`). A run that cannot be read or folded is
passed on as damaged: the first decision ends it, and no other run is harmed (I5).
"""

import gc
import time
from collections.abc import Callable, Collection, Mapping

import structlog

from conductor.clock import Reading, SystemClock, continue_time, read_clocks
from conductor.core.decide.recover import restore
from conductor.core.folded.run import Run
from conductor.core.model.conductor_state import ConductorState, Limits
from conductor.core.model.registry import list_entries
from conductor.core.sub_runs.telling import list_open
from conductor.errors import DatabaseDamagedError, NotFoundError
from conductor.store.folding import fold_stored
from conductor.store.port import Store
from conductor.store.records import StoredRun
from conductor.store.refusals import damage_of
from conductor.store.shared import SharedStore

NOTABLE_SECONDS = 5.0  # of difference from the machine's clock

log = structlog.get_logger(__name__)


async def read_time(
    store: Store, read: Callable[[], Reading] = read_clocks, steady: Callable[[], float] = time.monotonic
) -> SystemClock:
    """Returns the clock, which continues the last conductor's, and keeps its offset for the next conductor.

    `read` reads the machine's clocks, `steady` only the steady one.
    """
    reading = read()
    past = await store.past()
    offset = continue_time(reading, past)
    if (past.boot, past.offset) != (reading.boot, offset):
        await store.keep_offset(reading.boot, offset)
    ahead = offset + reading.steady - reading.wall
    if abs(ahead) >= NOTABLE_SECONDS:
        hint = "restart the conductor while no run is at work, and it follows the machine's clock again"
        log.warning("time_differs", ahead_seconds=round(ahead, 3), hint=hint)
    return SystemClock(offset, steady)


async def read_shared_time(store: SharedStore, *, is_kept: bool = True) -> float:
    """Returns the offset that continues the time of the database's conductors, and keeps it for the next one.

    In another boot the database's clock is believed, and not the wall clock of this machine, which may differ from the last one's.
    """
    here = read_clocks()
    reading = Reading(await store.now(), here.steady, here.boot)
    past = await store.past()
    offset = continue_time(reading, past)
    if is_kept and (past.boot, past.offset) != (reading.boot, offset):
        await store.keep_offset(reading.boot, offset)
    return offset


async def read_state(
    store: Store, now: float, limits: Limits | None = None, configured: Mapping[str, str] | None = None
) -> ConductorState:
    """Returns the state of every run that has not ended, and the hosts: stored ones, and `configured` ones by address."""
    # What is read here stays: the garbage collector would double the time by searching it again and again while it grows.
    gc.disable()
    try:
        return await fold_state(store, now, limits, configured)
    finally:
        gc.freeze()
        gc.enable()


async def fold_state(
    store: Store, now: float, limits: Limits | None, configured: Mapping[str, str] | None = None
) -> ConductorState:
    """Folds the events of every run that has not ended."""
    runs: dict[str, Run] = {}
    damaged: dict[str, str] = {}
    cursors: dict[str, int] = {}
    for stored in await store.unfinished():
        run, damage = _fold(stored)
        if run is None:
            damaged[stored.run] = damage
            log.error("run_damaged", run=stored.run, damage=damage)
        else:
            runs[stored.run] = run
            cursors.update(stored.cursors)
    ended = {sub_run.id: sub_run for name in _list_absent(runs, damaged) if (sub_run := await _fold_ended(store, name))}
    registry = list_entries(configured or {}, await store.hosts())
    log.info("state_read", runs=len(runs), damaged=len(damaged), hosts=len(registry))
    return restore(runs, cursors, now, damaged=damaged, ended=ended, limits=limits, registry=registry)


def _list_absent(runs: Mapping[str, Run], damaged: Collection[str]) -> list[str]:
    """Returns the sub-runs that a step waits for and that are not at work: they ended just before the last conductor did."""
    waited_for = [run.steps[name].live_sub_run for run in runs.values() for name in list_open(run)]
    return [name for name in waited_for if name not in runs and name not in damaged]


async def _fold_ended(store: Store, name: str) -> Run | None:
    try:
        return fold_stored(name, await store.events(name))
    except (DatabaseDamagedError, NotFoundError) as error:
        log.error("sub_run_lost", run=name, damage=str(error))  # noqa: TRY400 (what is wrong is in the database)
        return None


def _fold(stored: StoredRun) -> tuple[Run | None, str]:
    """Returns the run, or the reason why it cannot be folded."""
    try:
        run = fold_stored(stored.run, stored.events)
    except DatabaseDamagedError as error:
        return None, stored.damage or damage_of(error)
    return (None, stored.damage) if stored.damage else (run, "")
