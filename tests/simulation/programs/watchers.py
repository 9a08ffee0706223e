"""Simulated watchers: they follow a run's stored history by position, come and go, and begin where another one had been.

They read as `conductor.api.watch` does: pages of what lies above a position, told in order, each with its position as token.
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING

from tests.kit.histories import Entry, Visit, Watch
from tests.simulation.ground.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

PAGE = 7


class Watcher:
    """Wants to know everything of a run."""

    def __init__(self, world: "World", name: str, run: str, after: int) -> None:
        self.world = world
        self.name = name
        self.run = run
        self.rng = Random(f"watcher {world.seed} {name}")
        self.visits: list[tuple[int, list[Entry]]] = [(after, [])]
        self.has_heard_end = False
        self.process = Process(world.agenda, f"watcher {name}", self.rng)
        self.process.start(self._watch())

    @property
    def place(self) -> int:
        after, told = self.visits[-1]
        return told[-1].position if told else after

    def watch(self) -> Watch:
        visits = tuple(Visit(after, tuple(told)) for after, told in self.visits)
        return Watch(self.name, self.run, visits, self.has_heard_end)

    async def _watch(self) -> None:
        while True:
            page = self.read() if self.world.is_served else []
            for entry in page:
                self.visits[-1][1].append(entry)
                if self.rng.random() < 0.01:
                    break  # the connection was lost in the middle of a page
            if self.world.store.is_end(self.run, self.place):
                self.has_heard_end = True
                return
            if page and self.rng.random() < 0.1:
                self.world.seen["watcher comes back"] += 1
                self.visits.append((self.place, []))
            if page or not self.world.is_served:
                await asyncio.sleep(self.rng.random() * 0.5)
            else:
                await self.world.stored(self.process)

    def read(self) -> list[Entry]:
        """What lies above the token."""
        return self.world.store.page(self.run, self.place, PAGE)
