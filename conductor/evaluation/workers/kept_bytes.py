"""Bytes that were needed lately: a flow's bundle for each of its steps, a step's result for all that need it.

What is kept is never wrong: a blob is named by its content, and a result by a step and its end, after which it does not change.
It is bounded by bytes; what is too large is not kept.
"""

from collections import OrderedDict
from collections.abc import Hashable

MAX_KEPT_BYTES = 16 * 1024 * 1024
MAX_KEPT_PIECE_BYTES = 1024 * 1024


class KeptBytes:
    """What was looked at last, by its name."""

    def __init__(self) -> None:
        self._pieces: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0

    def get(self, name: Hashable) -> bytes | None:
        """Returns what is kept under a name."""
        data = self._pieces.get(name)
        if data is not None:
            self._pieces.move_to_end(name)
        return data

    def put(self, name: Hashable, data: bytes) -> None:
        """Keeps a piece, and lets the oldest go where there are too many."""
        if name in self._pieces or len(data) > MAX_KEPT_PIECE_BYTES:
            return
        self._pieces[name] = data
        self._size += len(data)
        while self._size > MAX_KEPT_BYTES:
            self._size -= len(self._pieces.popitem(last=False)[1])
