"""Blobs that were read lately: a flow's bundle is needed for each of its steps, a step's text for all that need it.

Blobs are named by their content, so what is kept is never wrong. It is bounded by bytes; what is too large is not kept.
"""

from collections import OrderedDict

MAX_KEPT_BYTES = 16 * 1024 * 1024
MAX_KEPT_BLOB_BYTES = 1024 * 1024


class KeptBlobs:
    """The blobs that were looked at last."""

    def __init__(self) -> None:
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, digest: str) -> bytes | None:
        """Gives a blob that is kept."""
        data = self._blobs.get(digest)
        if data is not None:
            self._blobs.move_to_end(digest)
        return data

    def put(self, digest: str, data: bytes) -> None:
        """Keeps a blob, and lets the oldest go where there are too many."""
        if digest in self._blobs or len(data) > MAX_KEPT_BLOB_BYTES:
            return
        self._blobs[digest] = data
        self._size += len(data)
        while self._size > MAX_KEPT_BYTES:
            self._size -= len(self._blobs.popitem(last=False)[1])
