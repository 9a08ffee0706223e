"""Measures what a conductor uses at a level of load, and what uses the rest of the machine."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.services import TICKS, descendants, resident_kib, seconds_of
from tests.kit.metrics import scrape

DATABASE = "postgres"
_IDLE = (3, 4)  # of the columns of a processor in /proc/stat: idle, and waiting for the disk


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters that only rise, all in seconds."""

    time: float
    conductor: float
    loop: float  # the thread of the conductor's event loop, which decides, and carries every message
    waited: float  # that thread, while it could run and both processors were taken
    committing: float  # the engine, for its store
    database: float
    players: float
    busy: float  # every processor of the machine


@dataclass(frozen=True, slots=True)
class Usage:
    """Shares of a processor between two readings; `committing` and `waited` are shares of the time."""

    conductor: float
    loop: float
    waited: float
    committing: float
    database: float
    players: float
    busy: float
    resident_mib: float

    @property
    def others(self) -> float:
        """Returns what programs took that are no part of the measurement, and the conductor's short-lived ones."""
        return max(0.0, self.busy - self.conductor - self.database - self.players)


class Gauges:
    """Reads the counters of one conductor and of the players of its load."""

    def __init__(self, conductor: int, metrics: Path, players: Iterable[int]) -> None:
        self._conductor = conductor
        self._metrics = metrics
        self._players = (os.getpid(), *players)

    async def read(self) -> Reading:
        """Reads every counter now."""
        scraped = await scrape(self._metrics)
        loop, waited = _scheduled(self._conductor)
        return Reading(
            time.monotonic(),
            seconds_of(self._conductor),
            loop,
            waited,
            scraped.value("conductor_store_commit_seconds_sum"),
            _sum(pid for pid in descendants(os.getpid()) if _name(pid) == DATABASE),
            _sum(self._players),
            _busy(),
        )

    def usage(self, before: Reading, after: Reading) -> Usage:
        """Returns the shares between two readings."""
        taken = after.time - before.time
        names = [each.name for each in fields(Reading)][1:]
        shares = {name: (getattr(after, name) - getattr(before, name)) / taken for name in names}
        return Usage(**shares, resident_mib=resident_kib(self._conductor) / 1024)


def _sum(pids: Iterable[int]) -> float:
    return sum(seconds_of(pid) for pid in pids)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _scheduled(pid: int) -> tuple[float, float]:
    """Returns how long the first thread of a process ran, and how long it waited for a processor."""
    ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(ran) / 1e9, int(waited) / 1e9


def _busy() -> float:
    columns = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(columns) - sum(columns[at] for at in _IDLE)) / TICKS
