"""The blobs of one conductor in a store that several may use: all names begin with its id, and others are not seen."""

from pathlib import Path

from conductor.blobs.port import BlobStore, check_name


class OwnBlobs(BlobStore):
    """What one conductor has in a store of blobs."""

    def __init__(self, blobs: BlobStore, conductor_id: str) -> None:
        self._blobs = blobs
        self._prefix = f"{conductor_id}/"

    @property
    def shown(self) -> str:
        """The whole store's place."""
        return self._blobs.shown

    async def put(self, name: str, source: Path) -> None:
        """Stores an object of this conductor."""
        await self._blobs.put(self._prefix + check_name(name), source)

    async def mark(self, name: str) -> None:
        """Stores a mark of this conductor."""
        await self._blobs.mark(self._prefix + check_name(name))

    async def get(self, name: str, target: Path) -> None:
        """Reads an object of this conductor."""
        await self._blobs.get(self._prefix + check_name(name), target)

    async def names(self, prefix: str, after: str = "") -> list[str]:
        """Lists names of this conductor, without its id."""
        found = await self._blobs.names(self._prefix + prefix, self._prefix + after if after else "")
        return [name.removeprefix(self._prefix) for name in found]

    async def delete(self, name: str) -> None:
        """Removes an object of this conductor."""
        await self._blobs.delete(self._prefix + check_name(name))

    async def close(self) -> None:
        """Closes the whole store."""
        await self._blobs.close()
