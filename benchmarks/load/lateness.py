"""Measures how late the timers of the processes are that make or hear load: where they are late, the conductor is not the cause."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benchmarks.measuring import ROOT, must, percentile

TICK_SECONDS = 0.01
TOLD_SECONDS = 0.5


async def measure_lateness(seconds: float) -> float:
    """Returns by how many ms a timer was late, at the 99th percentile."""
    late, until = [0.0], time.monotonic() + seconds
    while (due := time.monotonic() + TICK_SECONDS) < until:
        await asyncio.sleep(TICK_SECONDS)
        late.append(1000 * (time.monotonic() - due))
    return percentile(late, 0.99)


async def tell_lateness() -> None:
    """Prints the lateness of this process twice a second, until its stdin ends."""
    reading = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not reading.done():
        sys.stdout.write(f"{await measure_lateness(TOLD_SECONDS):.3f}\n")
        sys.stdout.flush()


class Player:
    """A process that plays a part of the load, and tells its lateness."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._told: list[float] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    def take_lateness(self) -> float:
        """Returns the worst lateness that it told since the last call; infinite where it told none, and so was held."""
        told, self._told = self._told, []
        return max(told, default=float("inf"))

    async def wait_until_told(self) -> None:
        """Waits until it works."""
        async with asyncio.timeout(20):
            while not self._told:
                must(self._process.returncode is None, "a player of the load goes on")
                await asyncio.sleep(0.02)

    async def hear(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._told.append(float(line))


@asynccontextmanager
async def playing(module: str, *arguments: str) -> AsyncIterator[Player]:
    """Starts a player, and ends it."""
    words: Sequence[str] = (sys.executable, "-m", module, *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdin=pipe, stdout=pipe)
    player = Player(process)
    hearing = asyncio.create_task(player.hear())
    try:
        await player.wait_until_told()
        yield player
    finally:
        process.kill()
        await process.wait()
        hearing.cancel()
