"""Hands out turns, one at a time: owners come one after another, even if one of them waits for many turns."""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator


class FairTurns:
    """Waiting callers, by owner."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_taken = False

    @property
    def waiting(self) -> int:
        """Returns how many callers wait."""
        return sum(map(len, self._waiting.values()))

    @contextlib.asynccontextmanager
    async def hold(self, owner: str, wait_seconds: float) -> AsyncIterator[None]:
        """Waits for a turn and holds it; raises TimeoutError where none came in time."""
        if self._is_taken:
            await self._wait(owner, wait_seconds)
        self._is_taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, owner: str, seconds: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(turn)
        except (TimeoutError, asyncio.CancelledError):
            if turn.done():
                self._pass_on()
            turn.cancel()
            raise

    def _pass_on(self) -> None:
        self._is_taken = False
        while self._waiting and not self._is_taken:
            owner, turns = next(iter(self._waiting.items()))
            turn = turns.popleft()
            if turns:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
            if not turn.done():
                turn.set_result(None)
                self._is_taken = True
