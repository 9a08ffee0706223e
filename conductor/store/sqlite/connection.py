"""A connection to SQLite with a thread of its own, and a small pool of readers.

A hop to the thread costs a hundred times what a row costs. So each transaction and each read is one function, which gets the
plain `sqlite3` connection and opens and closes its cursors before it returns. A caller who is cancelled stops waiting; the
function still runs to its end on its thread, and `close` comes after it.

Errors of SQLite are translated here and nowhere else: those that may pass by themselves become StorageError, which is worth a
retry. Others are a defect or a broken disk.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import aiosqlite

from conductor.errors import DatabaseDamagedError, StorageError

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

READERS = 3
BUSY_SECONDS = 0.25  # the engine retries; only a backup or an operator can hold the database
STATEMENTS = 256  # compiled, per connection
WAL_KEPT_BYTES = 64 * 1024 * 1024

_PASSING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL}
)
# A full disk under other codes: no room for the index of the log, or a quota.
_PASSING_IN_DETAIL = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Connection(aiosqlite.Connection):
    """A connection that runs whole functions on its thread."""

    _path: Path

    @classmethod
    async def open_writer(cls, path: Path) -> Self:
        """Opens the database to write; creates an empty one where there is none."""
        return await cls._open(path, partial(_connect_writer, path))

    @classmethod
    async def open_reader(cls, path: Path) -> Self:
        """Opens the database to read."""
        return await cls._open(path, partial(connect_reader, path))

    async def run(self, work: Work[Result]) -> Result:
        """Runs `work` on the connection's thread and returns its result."""
        try:
            # Every method of aiosqlite reaches its thread by `_execute`; the version is pinned.
            result: Result = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        return result

    @classmethod
    async def _open(cls, path: Path, connect: Callable[[], sqlite3.Connection]) -> Self:
        connection = cls(connect, iter_chunk_size=1)
        connection._path = path
        try:
            await connection
        except sqlite3.Error as error:
            raise translate(error, path) from error
        return connection


class ReaderPool:
    """A few connections that only read. A caller waits while all are busy."""

    def __init__(self) -> None:
        # Told how long each read took, the wait for a connection included.
        self.note: Callable[[float], None] | None = None
        self._idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue(READERS)
        self._stack = AsyncExitStack()

    async def open(self, path: Path) -> None:
        """Opens the connections."""
        for _ in range(READERS):
            reader = await Connection.open_reader(path)
            self._stack.push_async_callback(reader.close)
            self._idle.put_nowait(reader)

    async def close(self) -> None:
        """Closes the connections, after the work that they do."""
        await self._stack.aclose()

    async def run(self, work: Work[Result]) -> Result:
        """Runs `work` on the thread of a reader."""
        if self.note is None:
            return await self._run(work)
        begun = time.perf_counter()
        try:
            return await self._run(work)
        finally:
            self.note(time.perf_counter() - begun)

    async def _run(self, work: Work[Result]) -> Result:
        reader = await self._idle.get()
        try:
            return await reader.run(work)
        finally:
            # After a cancellation its thread may still be busy: the next work then queues behind, which is harmless.
            self._idle.put_nowait(reader)


def damaged(path: Path, found: str) -> DatabaseDamagedError:
    """Returns the error for a file that cannot be trusted."""
    return DatabaseDamagedError(
        f"the database {path} is damaged: {found}",
        hint="restore a backup, or move the file away to begin with an empty database",
    )


def translate(error: sqlite3.Error, path: Path) -> Exception:
    """Returns the error to raise: StorageError where a retry may help, the same error otherwise."""
    detail = getattr(error, "sqlite_errorcode", 0)
    code = detail & 0xFF  # the primary code; higher bits only detail it
    if code in _PASSING or detail in _PASSING_IN_DETAIL:
        return StorageError(f"the database {path} cannot be used now: {error}")
    if code in _DAMAGED:
        return damaged(path, str(error))
    return error


def _connect_writer(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=STATEMENTS)
    connection.execute("PRAGMA foreign_keys = ON").fetchall()
    connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}").fetchall()
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Opens a plain connection that only reads, for callers without an event loop."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=STATEMENTS
    )
    connection.execute("PRAGMA query_only = ON").fetchall()
    return connection
