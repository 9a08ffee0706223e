"""The tenure of the active conductor: the ring and the upkeep of the store, from recovery until the lease ends.

On SQLite a tenure lasts as long as the process. On a shared database each takeover begins one, by the same recovery as a start,
and hosts hear its epoch before anything is started on them.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from conductor.core.model.conductor_state import ConductorState
from conductor.engine.seat import Seat
from conductor.engine.stored import Observer
from conductor.evaluation.evaluator import Evaluator
from conductor.ring import Ground, Ring


class Part(Protocol):
    """A part that works until it is cancelled."""

    async def run(self) -> None:
        """Works."""


class Tenure:
    """The parts that only the active conductor has. `upkeep` are those beside the ring."""

    def __init__(
        self,
        ground: Ground,
        state: ConductorState,
        seat: Seat,
        evaluator: Evaluator,
        *,
        upkeep: Sequence[Part],
        observers: Sequence[Observer],
    ) -> None:
        self.ring = Ring(ground, state, lambda *_: evaluator, observers=observers)
        self._seat = seat
        self._upkeep = upkeep
        self._ending = asyncio.Event()

    async def run(self, ready: Callable[[], None], present_seconds: float = 0.0) -> None:
        """Works until `end`, and then stores what waits; a failure of any part comes out, once all have ended.

        Hosts that are there hear the epoch first, for `present_seconds` at most. `ready` is called when requests are taken.
        """
        if present_seconds:
            await self._present(present_seconds)
        try:
            async with asyncio.TaskGroup() as tasks:
                engine = tasks.create_task(self.ring.engine.run())
                running = [tasks.create_task(part.run()) for part in (self.ring.links, *self._upkeep)]
                self._seat.engine = self.ring.engine
                ready()
                await self._ending.wait()
                for task in running:
                    task.cancel()
                await asyncio.wait(running)
                self.ring.engine.stop()
                await engine
        finally:
            self._seat.engine = None

    def end(self) -> None:
        """Lets go of the hosts, whose agents go on, stores what waits, and then lets `run` return."""
        self._ending.set()

    async def _present(self, seconds: float) -> None:
        """Presents the epoch to every host. One that is away hears it when it comes back, before anything else."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(link.present() for link in self.ring.executions.values()))
