"""The engine's time: wall time at its start, and from there on the machine's steady clock, which cannot be set.

So time never jumps while the process lives, whatever happens to the machine's clock, and stored times still read as wall time.
This clock does not run while the machine sleeps; durations, never instants, go to hosts.

The clocks of runs, queues and pauses are stored as instants and run on while no conductor does. The time that a new process
starts with decides over them: a wall clock that was put forward by an hour would end every run early, one that was put back would
turn a pause of a second into an hour. The steady clock tells the truth, for as long as the machine is up. So (`continue_time`):

- While a run is at work, a start in the same boot continues what the last process kept: how far the engine's time lay ahead of
  the steady clock. Durations are then true, and shown times differ from the wall clock by its jump.
- While no run is at work, nothing is measured, and the start takes wall time: a clock that was wrong when the machine came up,
  and was corrected since, is right from the next such start on.
- In another boot, and where the machine names none, only the wall clock tells how long no conductor ran. It is believed: a jump
  forward across a reboot does end what ran.
- Time never begins before the newest stored event.
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
    """Tells the time, and waits for it."""

    def now(self) -> float:
        """Returns the time in seconds since 1970."""

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Returns when the event is set, or at `until`; None is never. Always lets other tasks run first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The machine's clocks at one moment. `boot` names the life of the steady one; empty where the machine names none."""

    wall: float
    steady: float
    boot: str


@dataclass(frozen=True, slots=True)
class Past:
    """The stored time: of the newest event, whether a run is at work, and the offset that the last process kept.

    `offset` is how far the engine's time lay ahead of the steady clock, in the boot of that name.
    """

    last_time: float = 0.0
    is_at_work: bool = False
    boot: str = ""
    offset: float = 0.0


def continue_time(reading: Reading, past: Past) -> float:
    """Returns how far the engine's time lies ahead of the steady clock from now on."""
    # A steady clock that lies below a stored time is another one, whatever its name.
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

    def go_on(self, offset: float) -> None:
        """Takes another offset, as of `continue_time`: this conductor takes over from another one."""
        self._offset = offset

    def now(self) -> float:
        """Returns the time in seconds since 1970."""
        # Whole microseconds, as the API shows them: a filter by a shown time means exactly that time.
        return round(self._offset + self._steady(), 6)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Returns when the event is set, or at `until`; None is never. Always lets other tasks run first."""
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(None if until is None else max(until - self.now(), 0)):
                await event.wait()
        except TimeoutError:
            return
