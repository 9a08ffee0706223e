"""Carries the slow reading of files into a thread, a batch at a time. It opens nothing itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from conductor.snapshots.entries import Item

BATCH_BYTES = 8 * 1024 * 1024
BATCH_ITEMS = 2000


async def read_in_batches(items: Iterator[Item]) -> AsyncIterator[list[Item]]:
    """Gives the items, at most one batch of content in memory."""
    while batch := await _in_thread(items):
        yield batch


async def _in_thread(items: Iterator[Item]) -> list[Item]:
    future = asyncio.get_running_loop().run_in_executor(None, _batch, items)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        # The thread reads through descriptors that the caller closes next: it must be out of there first.
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
