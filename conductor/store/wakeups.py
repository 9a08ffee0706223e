"""Tells watchers that something was committed, and nothing else: what it was they read from the store.

A watcher is one flag. However often it is raised before the watcher looks, it is raised; so a slow watcher costs as much as
a quick one, and nobody waits for either. No wake-up is lost as long as a watcher reads *after* `changed` came back:
a commit between the reading and the next `changed` leaves the flag up.
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
        """Waits until there was a commit since the last time that this came back."""
        await self._flag.wait()
        self._flag.clear()

    def wake(self) -> None:
        """Raises the flag."""
        self._flag.set()


class Wakeups:
    """Who watches what."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[Watcher]] = {}
        self._count = 0

    @contextmanager
    def watch(self, run: str) -> Iterator[Watcher]:
        """Gives a watcher of a run, or of ALL_RUNS, for as long as the block lasts. NoCapacityError above WATCHERS."""
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

    def _forget(self, run: str, watcher: Watcher) -> None:
        self._watchers[run].discard(watcher)
        if not self._watchers[run]:
            del self._watchers[run]
