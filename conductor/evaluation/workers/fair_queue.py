"""A fair queue: owners take turns, and each has a limited number of jobs at once.

So a run with two hundred prompts delays only itself, and a run whose expression hangs holds one worker of several. The queue has no
bound of its own: its callers have (see `limits`).
"""

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Generic, TypeVar

Job = TypeVar("Job")


class FairQueue(Generic[Job]):
    """Waiting jobs, by owner."""

    def __init__(self, at_once: int = 1) -> None:
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._at_once = at_once
        self._changed = asyncio.Event()

    def waiting(self, owner: str) -> int:
        """Returns how many jobs of an owner wait."""
        return len(self._waiting.get(owner, ()))

    def put(self, owner: str, job: Job) -> None:
        """Adds a job behind those of the same owner."""
        self._waiting.setdefault(owner, deque()).append(job)
        self._changed.set()

    async def take(self) -> tuple[str, Job]:
        """Returns the next job of the owner whose turn it is; the caller must call `done` after it."""
        while (taken := self._take()) is None:
            self._changed.clear()
            await self._changed.wait()
        return taken

    async def until_one_waits(self, seconds: float) -> None:
        """Waits until a job can be taken, and still can after so many seconds."""
        while True:
            while self._next_owner() is None:
                self._changed.clear()
                await self._changed.wait()
            await asyncio.sleep(seconds)
            if self._next_owner() is not None:
                return

    def done(self, owner: str) -> None:
        """Ends a job of the owner."""
        self._busy[owner] -= 1
        if not self._busy[owner]:
            del self._busy[owner]
        self._changed.set()

    def _take(self) -> tuple[str, Job] | None:
        owner = self._next_owner()
        if owner is None:
            return None
        jobs = self._waiting[owner]
        job = jobs.popleft()
        if jobs:
            self._waiting.move_to_end(owner)
        else:
            del self._waiting[owner]
        self._busy[owner] += 1
        return owner, job

    def _next_owner(self) -> str | None:
        return next((owner for owner in self._waiting if self._busy.get(owner, 0) < self._at_once), None)
