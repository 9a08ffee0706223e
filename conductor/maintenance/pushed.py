"""Lets go of pushed snapshots that no caller used for long. A full disk, or a git that was killed, only postpones it."""

import asyncio

import structlog

from conductor.clock import Clock
from conductor.errors import StatusError
from conductor.snapshots.pushed.store import PushedSnapshots

ROUND_SECONDS = 600.0

_log = structlog.get_logger(__name__)


class PushedRetention:
    """The part that lets go."""

    def __init__(self, pushed: PushedSnapshots, clock: Clock) -> None:
        self._pushed = pushed
        self._clock = clock

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            try:
                await self._pushed.let_go()
            except (StatusError, OSError) as error:
                _log.warning("pushed_snapshots_kept", error=str(error))
            await self._clock.wait(asyncio.Event(), self._clock.now() + ROUND_SECONDS)
