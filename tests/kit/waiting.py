"""The one way in which a test waits for what another task, thread or process does. It fails where that does not come."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import TypeVar

Result = TypeVar("Result")

SECONDS = 30.0
PAUSE_SECONDS = 0.01


async def until(condition: Callable[[], bool], seconds: float = SECONDS, changed: asyncio.Event | None = None) -> None:
    """Waits until a condition holds; looks whenever an event is set, or every few milliseconds where there is none."""
    async with asyncio.timeout(seconds):
        while not condition():
            if changed is None:
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                changed.clear()
                await changed.wait()


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Does the same in a test without an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to pass within {seconds:g} s"
        time.sleep(PAUSE_SECONDS)


async def side_by_side(works: Iterable[Coroutine[None, None, Result]]) -> list[Result]:
    """Returns all results in order. Where one fails the others are cancelled: `gather` would leave them at work."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]
