"""Reads what the last conductor left: the time that it had, and its runs, folded into the state that the engine begins with.

What the state means, and which commands follow from it, is the core's (`restore`, `recover`). A run that cannot be read or
folded is handed over as damaged: the first decision ends it, and no other run is harmed (I5).
"""

import gc
import time
from collections.abc import Callable

import structlog

from conductor.clock import Reading, SystemClock, continue_time, read_clocks
from conductor.core.decide.recover import restore
from conductor.core.model.conductor_state import ConductorState, Limits
from conductor.core.model.run import Run, apply
from conductor.store.port import Store
from conductor.store.records import StoredRun

NOTABLE_SECONDS = 5.0  # of difference to the machine's clock

log = structlog.get_logger(__name__)


async def read_time(
    store: Store, read: Callable[[], Reading] = read_clocks, steady: Callable[[], float] = time.monotonic
) -> SystemClock:
    """Returns the clock, which goes on from the last conductor's, and keeps its offset for the next conductor.

    `read` reads the machine's clocks, `steady` only the one that nobody sets.
    """
    reading = read()
    past = await store.past()
    offset = continue_time(reading, past)
    if (past.boot, past.offset) != (reading.boot, offset):
        await store.keep_offset(reading.boot, offset)
    ahead = offset + reading.steady - reading.wall
    if abs(ahead) >= NOTABLE_SECONDS:
        hint = "it follows the machine's clock again when the conductor is started while no run is at work"
        log.warning("time_differs", ahead_seconds=round(ahead, 3), hint=hint)
    return SystemClock(offset, steady)


async def read_state(store: Store, now: float, limits: Limits | None = None) -> ConductorState:
    """Gives the state of every run that has not ended."""
    # What is read here stays: to look for garbage in it, again and again while it grows, would be half of the time that it takes.
    gc.disable()
    try:
        return await _read_state(store, now, limits)
    finally:
        gc.freeze()
        gc.enable()


async def _read_state(store: Store, now: float, limits: Limits | None) -> ConductorState:
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
    log.info("state_read", runs=len(runs), damaged=len(damaged))
    return restore(runs, cursors, now, damaged=damaged, limits=limits)


def _fold(stored: StoredRun) -> tuple[Run | None, str]:
    """Gives the run, or why there is none."""
    run: Run | None = None
    for entry in stored.events:
        try:
            run = apply(run, entry.event, entry.time)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is this run's trouble alone
            return None, f"position {entry.position}: {type(error).__name__}: {error}"
    if stored.damage or run is None:
        return None, stored.damage or "it has no events"
    return run, ""
