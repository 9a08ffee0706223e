"""A conductor's store: the one in memory, whose commits take time, fail while the disk is full, and may be cut short.

Several conductors may have one disk in front of them: of one that was deposed, nothing is stored any more.
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.attempt_events import TurnChecked
from conductor.core.model.events.gate_events import GateOpened, GateResolved
from conductor.errors import StorageError
from conductor.store.records import StoredRun
from tests.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from tests.simulation.world import World

# K9 and K10: a gate was opened, and a gate was decided, and nothing that follows was done.
GATE_POINTS = {GateOpened: "gate opened", GateResolved: "gate decided"}


class Storage(MemoryStore):
    """What one start of the conductor opens."""

    def __init__(self, world: "World", rng: Random) -> None:
        super().__init__(world.store)
        self.is_deposed = False  # another one owns the disk
        self.clock_ahead = 0.0  # of the true time
        self._world = world
        self._rng = rng

    async def append(self, decision: Decision, time: float) -> dict[str, int]:
        world = self._world
        if decision.durable:
            world.pass_point("decided, not stored")
        await asyncio.sleep(self._rng.random() * world.commit_seconds * (1.0 if decision.durable else 0.1))
        if self.is_deposed or world.store_is_full:
            world.seen["commit failed"] += 1
            raise StorageError("the disk is full")
        world.check_times(decision, time, self.clock_ahead)
        positions = await super().append(decision, time)
        world.tell_stored()
        if decision.to_send:
            world.pass_point("stored, not sent")
        if any(isinstance(one, Record) and isinstance(one.event, TurnChecked) for one in decision.to_store):
            world.pass_point("turn checked, not told")
        for kind, point in GATE_POINTS.items():
            if any(isinstance(one, Record) and isinstance(one.event, kind) for one in decision.to_store):
                world.pass_point(point)
        await asyncio.sleep(self._rng.random() * 0.002)
        return positions

    async def unfinished(self) -> list[StoredRun]:
        found = await super().unfinished()
        self._world.store.check_folds(found)
        return found

    async def blob(self, run: str, digest: str) -> bytes:
        """Every blob holds its own name: no worker brings any."""
        await asyncio.sleep(self._rng.random() * 0.002)
        return digest.encode()
