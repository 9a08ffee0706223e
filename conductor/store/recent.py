"""What was stored last of each run that is watched: who keeps up is told from here, and the database is not asked again.

A commit would otherwise cost each of its watchers a way to another thread, three queries and the reading of JSON that was written
a moment ago (architecture.md, rule 14). Who lags behind what is kept reads pages of the database as ever; both tell the same, in
the same order, so nobody notices which it was. It knows no database and wakes nobody.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

from conductor.store.records import Stored, StoredOutput

# Of one run. Unfinished runs are capped, and to others nothing is added.
RECENT_BYTES = 128 * 1024
EVENT_BYTES = 4096  # an event is reckoned as its largest: what is larger refers to blobs
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
        """Keeps a run's items from now on, until nobody wants them any more."""
        kept = self._runs.setdefault(run, _Run())
        kept.watchers += 1
        try:
            yield
        finally:
            kept.watchers -= 1
            if not kept.watchers:
                del self._runs[run]

    def add(self, written: Mapping[str, Sequence[Stored]]) -> None:
        """Takes what a commit has stored, in the order of commits."""
        for run, items in written.items():
            if (kept := self._runs.get(run)) is not None:
                _add(kept, items)

    def after(self, run: str, position: int, max_bytes: int) -> list[Stored] | None:
        """Gives what follows a position, as a page of history is; None where that is not known here."""
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
    """As many as fit, and one at least."""
    size = 0
    for number, item in enumerate(items):
        size += size_of(item)
        if size > max_bytes and number:
            return items[:number]
    return items


def size_of(item: Stored) -> int:
    """What an item is reckoned to hold, in bytes."""
    # Characters count as bytes for all but exact purposes.
    return ITEM_BYTES + (len(item.output.text) if isinstance(item, StoredOutput) else EVENT_BYTES)
