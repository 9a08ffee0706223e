"""A cache of bytes: a flow's bundle for all its steps, a step's result for all steps that need it.

Entries never become wrong: a blob is named by its content, and a result by a step and its end, after which it does not change. The
cache is bounded by bytes, and ignores entries that are too large.
"""

from collections import OrderedDict
from collections.abc import Hashable

MAX_KEPT_BYTES = 16 * 1024 * 1024
MAX_KEPT_PIECE_BYTES = 1024 * 1024


class KeptBytes:
    """The newest entries, by name."""

    def __init__(self) -> None:
        self._pieces: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0

    def get(self, name: Hashable) -> bytes | None:
        """Returns the entry of a name; None where there is none."""
        data = self._pieces.get(name)
        if data is not None:
            self._pieces.move_to_end(name)
        return data

    def put(self, name: Hashable, data: bytes) -> None:
        """Keeps an entry, and drops the oldest ones where there are too many bytes."""
        if name in self._pieces or len(data) > MAX_KEPT_PIECE_BYTES:
            return
        self._pieces[name] = data
        self._size += len(data)
        while self._size > MAX_KEPT_BYTES:
            self._size -= len(self._pieces.popitem(last=False)[1])
