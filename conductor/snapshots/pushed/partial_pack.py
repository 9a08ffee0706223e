"""A pack that comes in pieces, perhaps over several calls: its bytes lie in a file that is named by their digest.

What was written is kept when a call is cut, and when the conductor is killed. A machine that lost its power may have lost or
zeroed some of it: the digest of the whole finds that out, and the file goes, so that the next call begins from nothing.
"""

import hashlib
from pathlib import Path
from typing import Self

from conductor.errors import SnapshotInvalidError
from conductor.snapshots.git import DiskFullError, telling_of_full_disk

READ_BYTES = 1024 * 1024


class PartialPack:
    """One such file, open for appending. A context manager; blocking."""

    def __init__(self, path: Path, digest: str, byte_count: int) -> None:
        self.path = path
        self._digest = digest
        self._byte_count = byte_count
        self._file = path.open("ab")
        self.received_bytes = self._file.tell()
        if self.received_bytes > byte_count:  # another length was told before
            self._file.truncate(0)
            self.received_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @property
    def is_whole(self) -> bool:
        """Returns whether all of its bytes are here."""
        return self.received_bytes == self._byte_count

    def write(self, chunk: bytes) -> None:
        """Appends bytes; raises SnapshotInvalidError where they are more than were told."""
        if self.received_bytes + len(chunk) > self._byte_count:
            self.remove()
            raise SnapshotInvalidError(f"the pack is longer than the {self._byte_count} bytes that its offer told")
        try:
            with telling_of_full_disk():
                self._file.write(chunk)
                self._file.flush()
        except DiskFullError:
            self.remove()
            raise
        self.received_bytes += len(chunk)

    def check(self) -> None:
        """Raises SnapshotInvalidError where its bytes have another digest; they are removed then."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while piece := file.read(READ_BYTES):
                digest.update(piece)
        if digest.hexdigest() != self._digest:
            self.remove()
            raise SnapshotInvalidError("the pack's bytes have another digest than its offer told; push again")

    def remove(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)
