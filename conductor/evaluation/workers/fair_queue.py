"""Whose turn it is: jobs by owner, one owner after the other, and never more than so many of one owner at once.

So a run with two hundred prompts waits behind itself, and one whose expression hangs holds one worker of several. It bounds
nothing itself: who puts jobs in does (see `limits`).
"""

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Generic, TypeVar

Job = TypeVar("Job")


class FairQueue(Generic[Job]):
    """Jobs that wait, by owner."""

    def __init__(self, at_once: int = 1) -> None:
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._at_once = at_once
        self._changed = asyncio.Event()

    def waiting(self, owner: str) -> int:
        """How many jobs of an owner wait."""
        return len(self._waiting.get(owner, ()))

    def put(self, owner: str, job: Job) -> None:
        """Adds a job behind those of the same owner."""
        self._waiting.setdefault(owner, deque()).append(job)
        self._changed.set()

    async def take(self) -> tuple[str, Job]:
        """The next job of the owner whose turn it is; `done` must follow."""
        while (taken := self._take()) is None:
            self._changed.clear()
            await self._changed.wait()
        return taken

    async def until_one_waits(self, seconds: float) -> None:
        """Returns when there is a job that might be taken, and so much later still is one."""
        while True:
            while self._next_owner() is None:
                self._changed.clear()
                await self._changed.wait()
            await asyncio.sleep(seconds)
            if self._next_owner() is not None:
                return

    def done(self, owner: str) -> None:
        """Tells that the owner's job has ended."""
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
