"""The store in PostgreSQL, opened by a conductor that shares it with others. It writes between `lead` and `follow` alone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Self, TypeVar

import psycopg
import structlog

from conductor.core.lease.model import Ask, Lease
from conductor.core.model.commands import Decision
from conductor.errors import StorageError, StoreLostError, SupersededError
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.blobs import PostgresqlBlobs
from conductor.store.postgresql.connection import Connection, ReaderPool, Statement, ask, connect, cut
from conductor.store.postgresql.failures import translate
from conductor.store.postgresql.place import check_place, note_place
from conductor.store.postgresql.schema import Identity, Schema, bring_up, read_version
from conductor.store.postgresql.sharing.lease import LOCK_SECONDS, ask_lease
from conductor.store.postgresql.sharing.line import Line
from conductor.store.postgresql.sharing.notices import Listener, Teller
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.postgresql.writer import Writer
from conductor.store.raw import Move
from conductor.store.refusals import refuse_moved
from conductor.store.shared import Claim, SharedStore

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")

PRESENCE_SECONDS = 1.0
HOLD_SECONDS = 1.0
CLOSE_SECONDS = 0.5  # for what a tenure stores last

_LEAD = "UPDATE meta SET writer_pid = pg_backend_pid() WHERE epoch = %s RETURNING last_id"
_KEEP_PRESENCE = """
INSERT INTO presence SELECT 1, clock_timestamp(), %s FROM meta WHERE epoch = %s
ON CONFLICT (number) DO UPDATE SET time = excluded.time, data = excluded.data
"""
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"


async def _look(writer: Writer) -> None:
    await writer.ask("SELECT 1")


async def _refuse_moved(connection: Connection, url: str) -> None:
    refuse_moved(Move.decode((await ask(connection, "SELECT moved FROM meta"))[0][0]), url)


class NoWriter(Writer):
    """Writes nothing: this conductor is a standby."""

    def __init__(self) -> None:
        """Holds no connection."""
        self.last_id = 0

    async def close(self) -> None:
        """Has nothing to close."""

    async def run(self, work: Callable[[Writer], Awaitable[Result]]) -> Result:  # noqa: ARG002 - as every writer
        """Refuses."""
        raise StoreLostError("this conductor is a standby, which stores nothing")


class SharedPostgresqlStore(PostgresqlStore, SharedStore):
    """A schema in a database, which several conductors have open."""

    def __init__(
        self, identity: Identity, url: str, readers: ReaderPool, stack: AsyncExitStack, schema: Schema
    ) -> None:
        super().__init__(identity, NoWriter(), readers, stack)
        address = DatabaseAddress.read(url)
        self._url = url
        self._address = address
        self._schema = schema
        self._writing: Connection | None = None
        self._line = Line(address, {"lock_timeout": LOCK_SECONDS * 1000})
        self._beside = Line(address)
        self._teller = Teller(self._beside)
        self._listener = Listener(address, self._hear)
        stack.push_async_callback(self._line.close)
        stack.push_async_callback(self._beside.close)
        stack.push_async_callback(self.follow)

    @classmethod
    async def open_shared(cls, url: str, conductor_id: str = "", schema: Schema | None = None) -> Self:
        """Opens the database to read; makes the schema where there is none, with this id. Raises what `open` raises."""
        async with AsyncExitStack() as stack:
            address, schema = DatabaseAddress.read(url), schema or Schema()
            connection = await connect(address)
            try:
                if await read_version(connection, address, schema) == 0:
                    await bring_up(connection, address, schema, conductor_id)
                await check_place(connection, address)
                own_id = (await ask(connection, "SELECT conductor_id FROM meta"))[0][0]
                await _refuse_moved(connection, url)
            except psycopg.Error as error:
                raise translate(error, address) from error
            finally:
                await connection.close()
            readers = ReaderPool(address)
            stack.push_async_callback(readers.close)
            return cls(Identity(own_id, 0), url, readers, stack.pop_all(), schema)

    async def ask_lease(self, ask: Ask, claim: Claim) -> Lease:
        async def carry_out(connection: Connection) -> Lease:
            lease = await ask_lease(connection, ask, claim)
            if not lease.left:  # which it stays where the runs went elsewhere
                await _refuse_moved(connection, self._url)
            return lease

        return await self._line.run(carry_out)

    async def lead(self, epoch: int) -> None:
        async with AsyncExitStack() as stack:
            connection = await connect(self._address)
            stack.push_async_callback(connection.close)
            try:
                await bring_up(connection, self._address, self._schema)
                await note_place(connection, self._address)
                rows = await ask(connection, _LEAD, epoch)
            except psycopg.Error as error:
                raise translate(error, self._address) from error
            if not rows:
                raise SupersededError(f"another conductor took over the {self._address.shown}")
            stack.pop_all()
        self._identity = Identity(self._identity.conductor_id, epoch)
        self._forget()
        self._writer = Writer(self._address, connection, self._identity)
        self._writer.last_id = int(rows[0][0])
        self._writing = connection

    async def hold(self) -> None:
        while True:
            try:
                await self._writer.run(_look)
            except StoreLostError:
                raise
            except StorageError as error:
                _log.warning("store_slow", error=str(error))
            await asyncio.sleep(HOLD_SECONDS)

    async def follow(self) -> None:
        writer, connection = self._writer, self._writing
        self._writer, self._writing = NoWriter(), None
        self._identity = Identity(self._identity.conductor_id, 0)
        self._forget()
        if connection is None:
            return
        closing = asyncio.ensure_future(writer.close())
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
        if not closing.done():
            cut(connection)

    def _forget(self) -> None:
        self._known.forget()
        self._recent.forget()

    async def append(self, decision: Decision, time: float) -> dict[str, int]:
        added = await super().append(decision, time)
        self._teller.note(added)
        return added

    async def hear_others(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._teller.run())
            tasks.create_task(self._listener.run())

    def _hear(self, runs: Sequence[str]) -> None:
        if self._writing is None:  # else it is what this conductor stored itself
            if runs:
                self._wakeups.wake(runs)
            else:
                self._wakeups.wake_all()

    def open_blobs(self) -> PostgresqlBlobs:
        """Opens the blobs of the database, which this store writes behind its fence while it leads."""

        async def commit(statements: Sequence[Statement]) -> None:
            await self._writer.run(lambda writer: writer.store(statements, is_durable=True))

        return PostgresqlBlobs(self._address, self._readers, commit)

    async def now(self) -> float:
        async def read(connection: Connection) -> float:
            return float((await ask(connection, _NOW))[0][0])

        return await self._readers.run(read)

    async def keep_presence(self, presence: bytes) -> None:
        epoch = self.epoch

        async def keep(connection: Connection) -> None:
            await connection.execute(_KEEP_PRESENCE, (presence, epoch), binary=True)

        try:
            async with asyncio.timeout(PRESENCE_SECONDS):
                await self._beside.run(keep)
        except TimeoutError as error:
            raise StorageError(f"the {self._address.shown} does not answer") from error

    async def presence(self) -> bytes:
        async def read(connection: Connection) -> bytes:
            rows = await ask(connection, "SELECT data FROM presence")
            return bytes(rows[0][0]) if rows else b""

        return await self._readers.run(read)
