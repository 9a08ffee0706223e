"""Shares work that several callers ask for at once: all who wait for it get the result of the next one that begins.

Work that has begun is not joined: a caller wants to see what was there when it asked.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SharedWork(Generic[Result]):
    """One waiting piece of work for each name. Work that no caller waits for any more is cancelled."""

    def __init__(self) -> None:
        self._next: dict[object, asyncio.Task[Result]] = {}
        self._callers: dict[asyncio.Task[Result], int] = {}

    async def join(self, name: object, work: Callable[[Callable[[], None]], Awaitable[Result]]) -> Result:
        """Returns the result of work of this name; `work` calls its argument when it begins."""
        task = self._next.get(name)
        if task is None:
            task = asyncio.ensure_future(self._do(name, work))
            self._next[name] = task
        self._callers[task] = self._callers.get(task, 0) + 1
        try:
            return await asyncio.shield(task)
        finally:
            self._callers[task] -= 1
            if not self._callers[task]:
                del self._callers[task]
                self._forget(name, task)
                task.cancel()

    async def _do(self, name: object, work: Callable[[Callable[[], None]], Awaitable[Result]]) -> Result:
        task = self._next[name]
        try:
            return await work(lambda: self._forget(name, task))
        finally:
            self._forget(name, task)

    def _forget(self, name: object, task: asyncio.Task[Result]) -> None:
        if self._next.get(name) is task:
            del self._next[name]
