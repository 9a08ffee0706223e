"""A connection to SQLite with a thread of its own, and a small pool of readers.

One hop to the thread per transaction and per read: a hop costs a hundred times what a row costs. So whatever is to be done
is one function that gets the plain `sqlite3` connection and does all of it, opening and closing its cursors before it
returns. A caller who is cancelled stops waiting; the function still runs to its end on its thread, and `close` comes after it.

Foreign errors are translated here and nowhere else: what may pass by itself becomes StorageError, which is worth retrying.
The rest is left as it is: it means a defect or a broken disk.
"""

import asyncio
import sqlite3
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
BUSY_SECONDS = 0.25  # the engine tries again; only a backup or a person can hold the database meanwhile
STATEMENTS = 256  # kept compiled
WAL_KEPT_BYTES = 64 * 1024 * 1024

_PASSING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL}
)
# A full disk in other words: no room for the index of the log, or a quota.
_PASSING_IN_DETAIL = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Connection(aiosqlite.Connection):
    """A connection that runs whole functions on its thread."""

    _path: Path

    @classmethod
    async def open_writer(cls, path: Path) -> Self:
        """Opens the database to write, and makes an empty one where there is none."""
        return await cls._open(path, partial(_connect_writer, path))

    @classmethod
    async def open_reader(cls, path: Path) -> Self:
        """Opens the database to read."""
        return await cls._open(path, partial(connect_reader, path))

    async def run(self, work: Work[Result]) -> Result:
        """Runs `work` on the connection's thread and gives what it gives."""
        try:
            # `_execute` is how every method of aiosqlite reaches its thread; a subclass may use it, and its version is pinned.
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
    """A few connections that only read. Whoever comes when all are busy waits for one."""

    def __init__(self) -> None:
        self._idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue(READERS)
        self._stack = AsyncExitStack()

    async def open(self, path: Path) -> None:
        """Opens the connections."""
        for _ in range(READERS):
            reader = await Connection.open_reader(path)
            self._stack.push_async_callback(reader.close)
            self._idle.put_nowait(reader)

    async def close(self) -> None:
        """Closes them, after what they are at."""
        await self._stack.aclose()

    async def run(self, work: Work[Result]) -> Result:
        """Runs `work` on the thread of a reader."""
        reader = await self._idle.get()
        try:
            return await reader.run(work)
        finally:
            # After a cancellation its thread may still be at it: the next one's work then queues behind, which is harmless.
            self._idle.put_nowait(reader)


def damaged(path: Path, found: str) -> DatabaseDamagedError:
    """Gives the error for a file that cannot be trusted any more."""
    return DatabaseDamagedError(
        f"the database {path} is damaged: {found}",
        hint="restore it from a backup, or move it away to begin with an empty one",
    )


def translate(error: sqlite3.Error, path: Path) -> Exception:
    """Gives the error to raise: StorageError where trying again may help, the same error otherwise."""
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
    """Gives a plain connection that only reads, for whoever needs no event loop."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=STATEMENTS
    )
    connection.execute("PRAGMA query_only = ON").fetchall()
    return connection
