"""Bounds the requests that are at one pool's endpoints at a time, over all attempts of this host."""

import asyncio


class Places(asyncio.Semaphore):
    """The slots of a pool. Their number may change, and the pool may be kept quiet for a time."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self._slots = slots
        self._surplus = 0  # places that are taken and not to be given again
        self._quiet_until = 0.0

    def resize(self, slots: int) -> None:
        """Sets the number of slots. Where it gets smaller, requests at work go on."""
        more, self._slots = slots - self._slots, slots
        self._surplus -= more
        while self._surplus < 0:
            self._surplus += 1
            super().release()

    def release(self) -> None:
        """Gives a place back."""
        if self._surplus > 0:
            self._surplus -= 1
        else:
            super().release()

    def keep_quiet(self, seconds: float) -> None:
        """Lets no request begin for a time."""
        self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + seconds)

    async def until_quiet_ends(self) -> None:
        """Waits until requests may begin."""
        left = self._quiet_until - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
            await self.until_quiet_ends()  # another refusal may have come meanwhile
