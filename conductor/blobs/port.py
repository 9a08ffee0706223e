"""The blob store as the conductor needs it. The suite in tests/conductor/blobs runs against every implementation.

- An object is seen whole or not at all, also after a kill at any moment. It never changes: a name always has the same content.
- What `put` and `mark` have written when they return survives a power cut, as far as the store promises it.
- Readers check the content themselves: a store may be damaged, or lie. `get` gives what is there, and no byte more than the store
  told before, nor than MOST_BYTES.

Every method may raise BlobsUnavailableError: the same call may succeed later.
"""

import re
from pathlib import Path
from typing import Protocol

PAGE_NAMES = 1000
CHUNK_BYTES = 1024 * 1024
MOST_BYTES = 64 * 1024**3  # of an object
MAX_NAME_CHARACTERS = 300
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)+")


class BlobMissingError(Exception):
    """There is no object of this name."""


class BlobOversizedError(Exception):
    """The object has more bytes than its store told, or than any may have."""


class BlobStore(Protocol):
    """Objects by name. A name is made of words of small letters, digits and hyphens, with slashes between."""

    @property
    def shown(self) -> str:
        """The place of the objects, for people; no secret."""

    async def put(self, name: str, source: Path) -> None:
        """Stores the content of a file. Idempotent."""

    async def mark(self, name: str) -> None:
        """Stores an object without content, of which only the name counts. Idempotent."""

    async def get(self, name: str, target: Path) -> None:
        """Writes the content of an object into a new file.

        Raises BlobMissingError, BlobOversizedError; OSError where the file cannot be written.
        """

    async def names(self, prefix: str, after: str = "") -> list[str]:
        """Returns a page of the names below a prefix, which ends with a slash, in order; empty at the end."""

    async def delete(self, name: str) -> None:
        """Removes an object. Idempotent."""

    async def close(self) -> None:
        """Lets go of connections."""


def check_size(size: int, told: int | None = None) -> None:
    """Raises BlobOversizedError for more bytes than the store told, or than an object may have."""
    most = MOST_BYTES if told is None else min(told, MOST_BYTES)
    if size > most:
        raise BlobOversizedError(f"it has more than {most} bytes")


def check_name(name: str) -> str:
    """Returns a name that every store can have; raises ValueError for any other, which is a defect of the caller."""
    if len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise ValueError(f"no name of a blob: {name!r}")
    return name
