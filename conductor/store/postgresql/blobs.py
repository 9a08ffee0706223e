"""Blobs in the database, in chunks of 1 MiB: see `conductor.blobs.port`.

Chunks are written first, each in a transaction of its own, where nothing looks for them. The one statement that names them makes
the object visible, and it is fenced, as its deletion is: a conductor that was superseded shows nothing and removes nothing. Chunks
that no object names are those of an upload that was cut; they go after an hour.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import psycopg

from conductor.blobs.port import CHUNK_BYTES, PAGE_NAMES, BlobMissingError, BlobStore, check_name, check_size
from conductor.errors import BlobsUnavailableError, StorageError
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import Connection, ReaderPool, connect
from conductor.store.postgresql.failures import translate
from conductor.store.postgresql.pipeline import Row, Statement, ask
from servicekit.threads import in_thread

# Stores statements as one transaction behind the fence, durably.
Commit = Callable[[Sequence[Statement]], Awaitable[None]]

_ADD_CHUNK = "INSERT INTO blob_chunks (upload, number, data) VALUES (%s, %s, %s)"
# Chunks that took so long that they were taken for cut make no object.
_ADD = """
INSERT INTO blob_objects (name, upload, chunks) SELECT %s, %s, %s
WHERE (SELECT count(*) FROM blob_chunks WHERE upload = %s) = %s ON CONFLICT DO NOTHING
"""
_FIND = "SELECT upload, chunks FROM blob_objects WHERE name = %s"
# At most one byte more than a chunk of ours has.
_READ = "SELECT substring(data FOR %s) FROM blob_chunks WHERE upload = %s AND number = %s"
_NAMES = "SELECT name FROM blob_objects WHERE name > %s AND name >= %s AND name < %s ORDER BY name LIMIT %s"
_DELETE: tuple[str, ...] = (
    "DELETE FROM blob_chunks WHERE upload IN (SELECT upload FROM blob_objects WHERE name = %s)",
    "DELETE FROM blob_uploads WHERE upload IN (SELECT upload FROM blob_objects WHERE name = %s)",
    "DELETE FROM blob_objects WHERE name = %s",
)
_FORGET_CUT = """
WITH cut AS (
  DELETE FROM blob_uploads u WHERE time < clock_timestamp() - interval '1 hour'
    AND NOT EXISTS (SELECT 1 FROM blob_objects o WHERE o.upload = u.upload) RETURNING upload
) DELETE FROM blob_chunks WHERE upload IN (SELECT upload FROM cut)
"""


class PostgresqlBlobs(BlobStore):
    """The blobs of one schema."""

    def __init__(self, address: DatabaseAddress, readers: ReaderPool, commit: Commit) -> None:
        self._address = address
        self._readers = readers
        self._commit = commit

    @property
    def shown(self) -> str:
        """The database."""
        return f"the {self._address.shown}"

    async def put(self, name: str, source: Path) -> None:
        """Writes chunks, then the object."""
        if await self._ask(_FIND, check_name(name)):
            return
        upload = secrets.randbits(62) + 1
        chunks = await self._upload(upload, source)
        await self._commit([(_FORGET_CUT, ()), (_ADD, (name, upload, chunks, upload, chunks))])
        if not await self._ask(_FIND, name):
            raise BlobsUnavailableError(f"the blob {name} took too long on its way to {self.shown}")

    async def mark(self, name: str) -> None:
        """Writes an object without chunks."""
        await self._commit([(_ADD, (check_name(name), 0, 0, 0, 0))])

    async def get(self, name: str, target: Path) -> None:
        """Reads chunk after chunk."""
        found = await self._ask(_FIND, check_name(name))
        if not found:
            raise BlobMissingError(name)
        upload, chunks = found[0]
        check_size(chunks * CHUNK_BYTES)
        with target.open("xb") as file:
            for number in range(chunks):
                rows = await self._ask(_READ, CHUNK_BYTES + 1, upload, number)
                if not rows:
                    raise BlobMissingError(name)
                check_size(len(rows[0][0]), CHUNK_BYTES)
                await in_thread(file.write, rows[0][0])

    async def names(self, prefix: str, after: str = "") -> list[str]:
        """Reads a page of names."""
        end = f"{prefix[:-1]}0"  # the character after the slash
        return [str(name) for (name,) in await self._ask(_NAMES, after, prefix, end, PAGE_NAMES)]

    async def delete(self, name: str) -> None:
        """Removes the object and its chunks."""
        check_name(name)
        await self._commit([(statement, (name,)) for statement in _DELETE])

    async def close(self) -> None:
        """Does nothing: the connections are the store's."""

    async def _upload(self, upload: int, source: Path) -> int:
        connection = await connect(self._address)
        number = 0
        try:
            await ask(connection, "INSERT INTO blob_uploads (upload) VALUES (%s)", upload)
            with source.open("rb") as file:
                while data := await in_thread(file.read, CHUNK_BYTES):
                    await ask(connection, _ADD_CHUNK, upload, number, data)
                    number += 1
        except psycopg.Error as error:
            raise _unavailable(translate(error, self._address)) from error
        finally:
            await connection.close()
        return number

    async def _ask(self, query: str, *values: object) -> list[Row]:
        async def read(connection: Connection) -> list[Row]:
            return await ask(connection, query, *values)

        try:
            return await self._readers.run(read)
        except StorageError as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> Exception:
    return BlobsUnavailableError(str(error)) if isinstance(error, StorageError) else error
