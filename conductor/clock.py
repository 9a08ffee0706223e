"""The engine's time: wall time when it began, and from there on the machine's steady clock, which nobody sets.

So time never jumps while the process lives, whatever is done to the machine's clock, and what is stored still reads as wall
time. A machine that slept did not let this clock run; durations, never instants, go to hosts.

The clocks of runs, queues and pauses are stored as instants and run on while no conductor does. What a new process takes for
the present decides over them: a wall clock that was put forward an hour in between would end every run early, one that was put
back would have a step wait an hour for a pause of a second. The truth lies in the steady clock, which goes on for as long as
the machine is up. So (`continue_time`):

- While a run is at work, a start in the same boot goes on from what the last process kept: how far the engine's time lay ahead
  of the steady clock. Durations are then what truly passed, and what is shown is off by what the wall clock jumped.
- When no run is at work, nothing is measured, and the start takes wall time: so a clock that was wrong when the machine came up,
  and was mended since, is right here at the next such start.
- In another boot, and where the machine names none, only the wall clock is left to tell how long nobody was there. It is believed,
  for want of better: a jump forward across a reboot does end what ran.
- Time never begins before what is stored.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/time")  # each has a steady clock of its own


class Clock(Protocol):
    """What tells the time, and waits for it."""

    def now(self) -> float:
        """Gives the time in seconds since 1970."""

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Comes back when the event is set, or when it is `until`; None is never. Always lets other tasks go first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a machine's clocks show at one moment. `boot` names the life of the steady one; empty where nothing does."""

    wall: float
    steady: float
    boot: str


@dataclass(frozen=True, slots=True)
class Past:
    """What is stored of the time: of the newest event, whether a run is at work, and what the last process kept.

    `offset` is how far the engine's time lay ahead of the steady clock, in the boot of that name.
    """

    last_time: float = 0.0
    is_at_work: bool = False
    boot: str = ""
    offset: float = 0.0


def continue_time(reading: Reading, past: Past) -> float:
    """Gives how far the engine's time is to lie ahead of the steady clock."""
    # Where a steady clock shows less than what is stored, it is another one, whatever it is called.
    is_same = bool(reading.boot) and reading.boot == past.boot and past.offset + reading.steady >= past.last_time
    if past.is_at_work and is_same:
        return past.offset
    return max(reading.wall, past.last_time) - reading.steady


def read_clocks() -> Reading:
    """Reads the machine's clocks."""
    try:
        boot = f"{_BOOT_ID.read_text().strip()} {_NAMESPACE.readlink()}"
    except OSError:
        boot = ""
    return Reading(time.time(), time.monotonic(), boot)


class SystemClock:
    """The clock of the machine; `offset` as of `continue_time`, `steady` the steady clock that it lies ahead of."""

    def __init__(self, offset: float | None = None, steady: Callable[[], float] = time.monotonic) -> None:
        self._offset = continue_time(read_clocks(), Past()) if offset is None else offset
        self._steady = steady

    def now(self) -> float:
        """Gives the time in seconds since 1970."""
        # Whole microseconds, as the API shows them: who filters by a time that was shown means that very time.
        return round(self._offset + self._steady(), 6)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Comes back when the event is set, or when it is `until`; None is never. Always lets other tasks go first."""
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(None if until is None else max(until - self.now(), 0)):
                await event.wait()
        except TimeoutError:
            return
