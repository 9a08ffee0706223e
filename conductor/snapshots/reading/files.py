"""Moves the slow reading of files into a thread, a batch at a time. It opens nothing itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

from conductor.snapshots.reading.entries import Item

BATCH_BYTES = 8 * 1024 * 1024
BATCH_ITEMS = 2000
Done = TypeVar("Done")


async def read_in_batches(items: Iterator[Item]) -> AsyncIterator[list[Item]]:
    """Yields the items, with at most one batch of content in memory."""
    while batch := await in_thread(lambda: _batch(items)):
        yield batch


async def in_thread(work: Callable[[], Done]) -> Done:
    """Does the work beside the event loop; waits for its end also when cancelled."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        # The thread reads through descriptors that the caller closes next: it must end first.
        await asyncio.wait([future])
        raise


def _batch(items: Iterator[Item]) -> list[Item]:
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.data or b"")
        if size >= BATCH_BYTES or len(batch) >= BATCH_ITEMS:
            break
    return batch
