"""Has the small rows of settled runs packed, slice by slice, in the background.

A run has its turn some time after its end, when clients have stopped to watch it. After each slice there is a pause, so
that the engine's commits, which queue on the same thread, wait for one slice at most and mostly for none. A full disk, a busy
database or a kill only postpones it, and a run that cannot be read is passed over. The store decides what is packed, and how.
"""

import asyncio

import structlog

from conductor.clock import Clock
from conductor.errors import DatabaseDamagedError, StatusError
from conductor.store.port import Store

ROUND_SECONDS = 600.0
SETTLED_SECONDS = 60.0  # at least, since its end
PAUSE_SECONDS = 0.05

_log = structlog.get_logger(__name__)


class Compaction:
    """The part that compacts."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._never = asyncio.Event()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            try:
                if await self._compact_all():
                    await self._give_room_back()
            except StatusError as error:
                _log.warning("compaction_put_off", error=str(error))
            await self._wait(ROUND_SECONDS)

    async def _compact_all(self) -> bool:
        """Compacts every run that has its turn; returns whether there was one."""
        ended_before = self._clock.now() - SETTLED_SECONDS
        was_any = False
        after = (0.0, "")
        while page := await self._store.uncompacted_runs(ended_before, after):
            for _, run in page:
                await self._compact(run)
            after = page[-1]
            was_any = True
        return was_any

    async def _compact(self, run: str) -> None:
        try:
            while await self._store.compact(run):
                await self._wait(PAUSE_SECONDS)
        except DatabaseDamagedError as error:
            _log.warning("run_passed_over", run=run, error=str(error))
        else:
            _log.info("run_compacted", run=run)

    async def _give_room_back(self) -> None:
        while await self._store.shrink():
            await self._wait(PAUSE_SECONDS)

    async def _wait(self, seconds: float) -> None:
        await self._clock.wait(self._never, self._clock.now() + seconds)
