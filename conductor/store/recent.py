"""The newest items of watched runs, in memory: a watcher that keeps up reads them here, and not from the database.

Each commit would cost each watcher a hop to another thread, three queries and the parsing of JSON that was written a moment ago.
A watcher that lags behind reads pages from the store; both return the same items in the same order. This module knows no database
and wakes nothing.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

from conductor.store.records import Stored, StoredOutput

# For each run. Unfinished runs are capped, and nothing is added to others.
RECENT_BYTES = 128 * 1024
EVENT_BYTES = 4096  # each event counts as the largest: a larger one refers to blobs
ITEM_BYTES = 64


@dataclass(slots=True)
class _Run:
    watchers: int = 0
    size: int = 0
    items: deque[Stored] = field(default_factory=deque)


class Recent:
    """The last items of watched runs."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    @contextmanager
    def kept(self, run: str) -> Iterator[None]:
        """Keeps a run's items from now on, until the last such block is left."""
        kept = self._runs.setdefault(run, _Run())
        kept.watchers += 1
        try:
            yield
        finally:
            kept.watchers -= 1
            if not kept.watchers:
                del self._runs[run]

    def add(self, written: Mapping[str, Sequence[Stored]]) -> None:
        """Takes the items of a commit; commits come in their order."""
        for run, items in written.items():
            if (kept := self._runs.get(run)) is not None:
                _add(kept, items)

    def forget(self) -> None:
        """Forgets all items: it is not known whether they are what is stored."""
        for kept in self._runs.values():
            kept.items.clear()
            kept.size = 0

    def after(self, run: str, position: int, max_bytes: int) -> list[Stored] | None:
        """Returns a page of what follows a position; None where that is not kept here."""
        kept = self._runs.get(run)
        if kept is None or not kept.items:
            return None
        first, last = kept.items[0].position, kept.items[-1].position
        if not first <= position + 1 <= last + 1:
            return None
        newest_first = takewhile(lambda item: item.position > position, reversed(kept.items))
        return _page([*newest_first][::-1], max_bytes)


def _add(kept: _Run, items: Sequence[Stored]) -> None:
    kept.items.extend(items)
    kept.size += sum(map(size_of, items))
    while kept.size > RECENT_BYTES:
        kept.size -= size_of(kept.items.popleft())


def _page(items: list[Stored], max_bytes: int) -> list[Stored]:
    """Returns as many items as fit, and at least one."""
    size = 0
    for number, item in enumerate(items):
        size += size_of(item)
        if size > max_bytes and number:
            return items[:number]
    return items


def size_of(item: Stored) -> int:
    """Returns the bytes that an item counts for."""
    # Characters instead of bytes: this need not be exact.
    return ITEM_BYTES + (len(item.output.text) if isinstance(item, StoredOutput) else EVENT_BYTES)
