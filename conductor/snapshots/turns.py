"""Two kinds of work that must not overlap: one that may be done at once, and one that is done alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Turns:
    """Work together waits for work alone, and the other way round. Work that waits to be alone comes first."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._together = 0
        self._alone = False
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Lets no work be done alone in this block."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            await self._notify()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Lets no other work be done in this block."""
        self._waiting += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._alone and not self._together)
                self._alone = True
        finally:
            self._waiting -= 1
            await self._notify()
        try:
            yield
        finally:
            self._alone = False
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
