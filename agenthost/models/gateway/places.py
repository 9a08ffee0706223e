"""Bounds the requests that are at one pool's endpoints at a time, over all attempts of this host."""

import asyncio
from collections import deque
from collections.abc import Callable


class Places:
    """The slots of a pool, given in the order of asking. Their number may change, and the pool may be kept quiet for a time.

    asyncio's semaphore cannot lose places while some are free.
    """

    def __init__(self, slots: int, tell: Callable[[float], None] = lambda _: None) -> None:
        """Makes places. `tell` gets the seconds for which an endpoint that refused a request wants no other."""
        self._slots = slots
        self._tell = tell
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._quiet_until = 0.0

    def locked(self) -> bool:
        """Returns whether the next one must wait."""
        return self._taken >= self._slots or bool(self._waiting)

    async def acquire(self) -> None:
        """Takes a place, when one is free."""
        if not self.locked():
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place came at the same time
                self.release()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Gives a place back."""
        self._taken -= 1
        self._call_next()

    def resize(self, slots: int) -> None:
        """Sets the number of slots. Where it gets smaller, requests at work go on."""
        self._slots = slots
        self._call_next()

    def keep_quiet(self, seconds: float) -> None:
        """Lets no request begin for a time."""
        self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + seconds)

    def note_refusal(self, seconds: float) -> None:
        """Keeps quiet, and tells others that use the same endpoint."""
        self.keep_quiet(seconds)
        self._tell(seconds)

    async def until_quiet_ends(self) -> None:
        """Waits until requests may begin."""
        left = self._quiet_until - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
            await self.until_quiet_ends()  # another refusal may have come meanwhile

    def _call_next(self) -> None:
        while self._waiting and self._taken < self._slots:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
