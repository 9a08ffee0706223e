"""Connections to PostgreSQL, each with the settings that the store relies on, and a small pool of readers.

A reader's transactions read one moment (REPEATABLE READ) and cannot write. A caller who is cancelled stops waiting; the transaction
still runs to its end.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from conductor.errors import StorageError
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.failures import translate, translate_connecting
from conductor.store.postgresql.pipeline import Connection, Row, Statement, ask, run_together
from conductor.store.postgresql.values import make_adapters

__all__ = ["Connection", "Row", "Statement", "ask", "run_together"]

Result = TypeVar("Result")
Work = Callable[[Connection], Awaitable[Result]]

SCHEMA_NAME = "conductor"
LEAST_VERSION = 140_000
READERS = 3
READ_SECONDS = 30
ANSWER_SECONDS = 40  # then the connection of a read is cut: a server that stands still ends nothing by itself
CLOSE_SECONDS = 1  # for reads that are under way
LOCK_SECONDS = 5
IDLE_SECONDS = 2  # inside a transaction: a stopped holder must not hold a lock
UNACKNOWLEDGED_SECONDS = 6  # until a connection counts as broken

# libpq's parameters; a URL may set others.
_LIBPQ = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": UNACKNOWLEDGED_SECONDS * 1000,
}
# Neither a URL nor the environment changes these: values are sent as UTF-8, and a stopped holder is known by its name.
_OWN = {"application_name": "conductor", "client_encoding": "UTF8"}
# Nor does what an operator set for the user or the database. A lease that a crash of the server forgets would be given twice.
_SETTINGS = {
    "search_path": SCHEMA_NAME,
    "default_transaction_isolation": "read\\ committed",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": IDLE_SECONDS * 1000,
    "lock_timeout": LOCK_SECONDS * 1000,
    "client_min_messages": "error",
    "jit": "off",
}
READING = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "repeatable\\ read",
    "statement_timeout": READ_SECONDS * 1000,
}
_LOOK = (
    "SELECT pg_backend_pid(), current_setting('server_version_num')::int, pg_is_in_recovery(),"
    " current_setting('server_encoding'), current_setting('server_version')"
)


_ADAPTERS = make_adapters()


async def connect(address: DatabaseAddress, settings: dict[str, Any] | None = None) -> Connection:
    """Opens a connection, after a look whether the server is one that the store can rely on. The caller closes it."""
    own = psycopg.conninfo.conninfo_to_dict(address.conninfo)
    options = " ".join(f"-c {name}={value}" for name, value in (_SETTINGS | (settings or {})).items())
    # Of several hosts, one may be a replica.
    several = {"target_session_attrs": "primary"} if "," in str(own.get("host", "")) else {}
    given: dict[str, Any] = _LIBPQ | several | own | _OWN | {"options": f"{own.get('options', '')} {options}".strip()}
    try:
        connection = await AsyncConnection.connect(
            "", autocommit=True, prepare_threshold=None, context=_ADAPTERS, **given
        )
    except psycopg.Error as error:
        raise translate_connecting(error, address) from error
    try:
        await _look(connection, address)
    except psycopg.Error as error:
        await connection.close()
        raise translate(error, address) from error
    except BaseException:
        await connection.close()
        raise
    return connection


async def close(connection: Connection) -> None:
    """Closes a connection, and frees what libpq holds of it: psycopg keeps the buffers of one that broke."""
    await connection.close()
    connection.pgconn.finish()


def cut(connection: Connection) -> None:
    """Breaks a connection: every call that waits for it fails at once."""
    with suppress(psycopg.Error, OSError):
        copy = socket.socket(fileno=os.dup(connection.fileno()))
        with copy:
            copy.shutdown(socket.SHUT_RDWR)


class Tasks:
    """Work that runs to its end, whether its caller goes on waiting or not: a pipeline must not be left halfway."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Does the work, and returns its result."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._note_end)
        return await asyncio.shield(task)

    async def wait(self) -> None:
        """Waits until nothing runs."""
        while self._running:
            await asyncio.wait(self._running)

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # a caller who was cancelled does not hear of it


class ReaderPool:
    """A few connections that only read, opened when they are needed. A caller waits while all are busy."""

    def __init__(self, address: DatabaseAddress) -> None:
        # Told how long each read took, the wait for a connection included.
        self.note: Callable[[float], None] | None = None
        self._address = address
        self._free: asyncio.LifoQueue[Connection | None] = asyncio.LifoQueue(READERS)
        for _ in range(READERS):
            self._free.put_nowait(None)
        self._tasks = Tasks()
        self._busy: set[Connection] = set()
        self._is_closing = False

    async def close(self) -> None:
        """Closes the connections, after the work that they do in a short time."""
        self._is_closing = True
        ending = asyncio.ensure_future(self._close())
        await asyncio.wait({ending}, timeout=CLOSE_SECONDS)
        for connection in self._busy:
            cut(connection)
        await ending

    async def _close(self) -> None:
        for _ in range(READERS):
            if (connection := await self._free.get()) is not None:
                await close(connection)

    async def run(self, work: Work[Result]) -> Result:
        """Runs `work` with a connection."""
        begun = time.perf_counter()
        connection = await self._free.get()
        try:
            return await self._tasks.finish(self._run(work, connection))
        finally:
            if self.note is not None:
                self.note(time.perf_counter() - begun)

    async def _run(self, work: Work[Result], connection: Connection | None) -> Result:
        try:
            if connection is not None:
                try:
                    return await self._work(work, connection)
                except psycopg.Error:
                    if not connection.closed or self._is_closing:
                        raise
            # The first read, or one that found the connection broken since the last one.
            connection = await connect(self._address, READING)
            return await self._work(work, connection)
        except psycopg.Error as error:
            # What it was doing is not known, and a new one costs little.
            if connection is not None:
                await close(connection)
            raise translate(error, self._address) from error
        finally:
            self._free.put_nowait(None if connection is None or connection.closed else connection)

    async def _work(self, work: Work[Result], connection: Connection) -> Result:
        limit = asyncio.get_running_loop().call_later(ANSWER_SECONDS, cut, connection)
        self._busy.add(connection)
        try:
            return await work(connection)
        finally:
            self._busy.discard(connection)
            limit.cancel()


async def _look(connection: Connection, address: DatabaseAddress) -> None:
    pid, version, is_replica, encoding, shown = (await ask(connection, _LOOK))[0]
    if pid != connection.info.backend_pid:
        text = f"the {address.shown} is a connection pool (PgBouncer, for example), which breaks transactions apart"
        raise StorageError(text, hint="give the address of PostgreSQL itself")
    if version < LEAST_VERSION:
        text = f"the {address.shown} runs PostgreSQL {shown}"
        raise StorageError(text, hint=f"a conductor needs PostgreSQL {LEAST_VERSION // 10_000} or newer")
    if is_replica:
        raise StorageError(f"the {address.shown} is a replica that only reads", hint="give the address of the primary")
    if encoding != "UTF8":
        text = f"the {address.shown} has the encoding {encoding}"
        raise StorageError(text, hint="create a database with:  createdb --encoding UTF8 --template template0 DB")
