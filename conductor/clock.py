"""The engine's time: wall time when the process began, and from there on the monotonic clock.

So time never jumps while the process lives, whatever is done to the machine's clock, and what is stored still reads as wall
time. Nor does it run backwards from one process to the next, when the machine's clock was set back in between: it begins no
earlier than what is stored, or a step that waits a second for its next attempt would wait an hour. A machine that slept did not
let this clock run; durations, never instants, go to hosts.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time, and waits for it."""

    def now(self) -> float:
        """Gives the time in seconds since 1970."""

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Comes back when the event is set, or when it is `until`; None is never. Always lets other tasks go first."""


class SystemClock:
    """The clock of the machine."""

    def __init__(self, earliest: float = 0.0) -> None:
        self._offset = max(time.time(), earliest) - time.monotonic()

    def now(self) -> float:
        """Gives the time in seconds since 1970."""
        # Whole microseconds, as the API shows them: who filters by a time that was shown means that very time.
        return round(self._offset + time.monotonic(), 6)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Comes back when the event is set, or when it is `until`; None is never. Always lets other tasks go first."""
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(None if until is None else max(until - self.now(), 0)):
                await event.wait()
        except TimeoutError:
            return
