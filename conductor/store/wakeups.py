"""Wakes watchers after commits. What was committed, they read from the store.

A watcher is one flag. It stays raised until the watcher looks, however often it is raised, so a slow watcher costs as much as a
quick one. No wake-up is lost as long as a watcher reads *after* `changed` returned: a commit between that read and the next
`changed` leaves the flag raised.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from conductor.errors import NoCapacityError

WATCHERS = 10_000

ALL_RUNS = ""


class Watcher:
    """A flag that commits raise."""

    def __init__(self) -> None:
        self._flag = asyncio.Event()

    async def changed(self) -> None:
        """Waits for a commit since the last return."""
        await self._flag.wait()
        self._flag.clear()

    def wake(self) -> None:
        """Raises the flag."""
        self._flag.set()


class Wakeups:
    """All watchers, by the run that they watch."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[Watcher]] = {}
        self._count = 0

    @property
    def count(self) -> int:
        """Returns how many watchers there are."""
        return self._count

    @contextmanager
    def watch(self, run: str) -> Iterator[Watcher]:
        """Opens a watcher of a run, or of ALL_RUNS. NoCapacityError above WATCHERS."""
        if self._count >= WATCHERS:
            raise NoCapacityError(f"there are {WATCHERS} watchers already")
        watcher = Watcher()
        self._watchers.setdefault(run, set()).add(watcher)
        self._count += 1
        try:
            yield watcher
        finally:
            self._count -= 1
            self._forget(run, watcher)

    def wake(self, runs: Iterable[str]) -> None:
        """Wakes the watchers of these runs, and those of all runs."""
        for run in (*runs, ALL_RUNS):
            for watcher in self._watchers.get(run, ()):
                watcher.wake()

    def wake_all(self) -> None:
        """Wakes every watcher."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.wake()

    def _forget(self, run: str, watcher: Watcher) -> None:
        self._watchers[run].discard(watcher)
        if not self._watchers[run]:
            del self._watchers[run]
