"""A clock that stands still until a test moves it on."""

import asyncio


class ManualClock:
    """Time for tests. It knows what is being waited for, so that a test can wait until a task waits."""

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._moved = asyncio.Condition()
        self._begun = asyncio.Event()
        self._waits: list[float | None] = []

    def now(self) -> float:
        return self._now

    async def advance(self, seconds: float) -> None:
        """Lets time pass, and wakes the tasks that waited for it."""
        async with self._moved:
            self._now += seconds
            self._moved.notify_all()

    async def until_waiting(self, until: float | None) -> None:
        """Waits until a task waits for this very time."""
        while until not in self._waits:
            self._begun.clear()
            await self._begun.wait()

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        await asyncio.sleep(0)
        self._waits.append(until)
        self._begun.set()
        try:
            async with asyncio.TaskGroup() as group:
                first = [group.create_task(event.wait()), group.create_task(self._reach(until))]
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
                for task in first:
                    task.cancel()
        finally:
            self._waits.remove(until)

    async def _reach(self, until: float | None) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: until is not None and self._now >= until)
