"""Reads files in a thread, a batch at a time. It opens nothing itself."""

from collections.abc import AsyncIterator, Iterator

from conductor.snapshots.reading.entries import Item
from servicekit.threads import in_thread

BATCH_BYTES = 8 * 1024 * 1024
BATCH_ITEMS = 2000


async def read_in_batches(items: Iterator[Item]) -> AsyncIterator[list[Item]]:
    """Yields the items, with at most one batch of content in memory."""
    while batch := await in_thread(lambda: _batch(items)):
        yield batch


def _batch(items: Iterator[Item]) -> list[Item]:
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.data or b"")
        if size >= BATCH_BYTES or len(batch) >= BATCH_ITEMS:
            break
    return batch
