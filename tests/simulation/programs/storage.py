"""A conductor's way to the store in memory: commits take time, fail while the disk is full, and may be cut short.

Several conductors may have one store in front of them: of one that was deposed, nothing is stored any more.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from conductor.clock import Past
from conductor.core.model.commands import Decision
from conductor.errors import StorageError
from conductor.store.records import RunRow, StoredEvent, StoredRequest, StoredRun

if TYPE_CHECKING:
    from tests.simulation.world import World

CONDUCTOR = "c1"


class Storage:
    """What one start of the conductor opens."""

    def __init__(self, world: "World", rng: Random) -> None:
        self.conductor_id = CONDUCTOR
        self.epoch = world.store.begin_epoch()
        self.is_deposed = False  # another one owns the store
        self.clock_ahead = 0.0  # of the true time
        self._world = world
        self._store = world.store
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
        self._store.append(decision, time)
        world.tell_stored()
        if decision.to_send:
            world.pass_point("stored, not sent")
        await asyncio.sleep(self._rng.random() * 0.002)
        return {item.run: self._store.positions[item.run] for item in decision.to_store}

    async def unfinished(self) -> list[StoredRun]:
        return [
            StoredRun(
                run,
                tuple(StoredEvent(at, time, event) for at, (event, time) in enumerate(self._store.journal[run], 1)),
                self._store.cursors_of(run),
            )
            for run in self._store.unfinished()
        ]

    async def requests(self, request_ids: Sequence[str]) -> dict[str, StoredRequest]:
        known = self._store.requests
        return {one: StoredRequest(*known[one]) for one in request_ids if one in known}

    async def run(self, run: str) -> RunRow:
        found = self._store.runs[run]
        last = self._store.positions[run]
        counts = found.counts
        return RunRow(run, found.state, 0.0, None, None, found.plan, b"", found.failure, counts, last)

    async def blob(self, run: str, digest: str) -> bytes:
        """Every blob holds its own name."""
        await asyncio.sleep(self._rng.random() * 0.002)
        return digest.encode()

    async def past(self) -> Past:
        last = max((times[-1] for times in self._store.times.values()), default=0.0)
        is_at_work = any(not run.is_settled for run in self._store.runs.values())
        return Past(last, is_at_work, *self._store.kept_clock)

    async def keep_offset(self, boot: str, offset: float) -> None:
        self._store.kept_clock = (boot, offset)
