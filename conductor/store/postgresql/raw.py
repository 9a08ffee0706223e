"""The schema as rows: see `conductor.store.raw`. No conductor leads it meanwhile.

A source's lease is taken under a name that no conductor has, with a new epoch: a holder that only stood still stores nothing more.
The name stays when the lease is given back. Where it is found again, no conductor led the store in between, and the epoch stays.
"""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Self

import psycopg
from psycopg import errors

from conductor.errors import DatabaseInUseError, StorageError
from conductor.store.port import LISTED_QUESTION
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import SCHEMA_NAME, Connection, ReaderPool, connect
from conductor.store.postgresql.failures import translate
from conductor.store.postgresql.pipeline import Row as PostgresqlRow
from conductor.store.postgresql.pipeline import Statement, run_together
from conductor.store.postgresql.schema import Schema, bring_up, read_version
from conductor.store.raw import Move, RawStore, Standing, row_refused
from conductor.store.rows.listing import LONG_PLAN
from conductor.store.rows.tables import RUNS, Row, Table, Value

HOLDER = "migration"
LEASE_SECONDS = 30.0
RENEWAL_SECONDS = 5.0
_LOCK = 0x434E444D  # "CNDM": one migration at a time

_TAKE = """
UPDATE meta SET epoch = epoch + (lease_holder <> %s)::int, decision = 0, lease_holder = %s, lease_address = '',
  lease_end = clock_timestamp() + make_interval(secs => %s)
WHERE lease_holder IN ('', %s) OR lease_end <= clock_timestamp() RETURNING epoch
"""
_RENEW = """
UPDATE meta SET lease_end = clock_timestamp() + make_interval(secs => %s) WHERE lease_holder = %s AND epoch = %s RETURNING 1
"""
_HOLDER = "SELECT lease_holder, lease_address FROM meta"
_WHOLE = """
UPDATE meta SET conductor_id = %s, epoch = %s, last_id = greatest(%s, {keys}), decision = 0, moved = '',
  lease_holder = '', lease_address = '', lease_end = '-infinity'
"""
_KEYS = ("runs", "attempts", "blocks", "findings", "host_requests")
# What differs from `conductor.store.rows.tables`: a column's own name, and what it is read as.
_NAMES = {("clock", "only"): "number", ("clock", "offset"): "time_offset"}


class PostgresqlRaw(RawStore):
    """A schema, over one connection. `epoch` is that of the lease, None for a target."""

    def __init__(self, address: DatabaseAddress, url: str, connection: Connection) -> None:
        self.address = address
        self.readers = ReaderPool(address)
        self._url = url
        self._connection = connection
        self._epoch: int | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @classmethod
    async def open_source(cls, url: str) -> Self:
        """Opens a store that there is, and takes its lease. DatabaseInUseError: a conductor holds it."""
        raw = await cls.open_target(url)
        try:
            if await raw.standing() is not None:
                await raw.hold()
        except BaseException:
            await raw.close()
            raise
        return raw

    @classmethod
    async def open_target(cls, url: str) -> Self:
        """Opens the place of a store; one of an older version goes up."""
        address = DatabaseAddress.read(url)
        raw = cls(address, url, await connect(address))
        try:
            await raw._lock()
            if await read_version(raw._connection, address, Schema()):
                await bring_up(raw._connection, address, Schema())
        except BaseException:
            await raw.close()
            raise
        return raw

    @property
    def place(self) -> str:
        """The URL, which holds no secret."""
        return self._url

    async def standing(self) -> Standing | None:
        """Reads the row of `meta`."""
        if await read_version(self._connection, self.address, Schema()) == 0:
            return None
        found = await self._run(("SELECT conductor_id, epoch, last_id, moved FROM meta", ()))
        conductor_id, epoch, last_id, moved = found[0]
        return Standing(conductor_id, epoch, last_id, Move.decode(moved))

    async def page(self, table: Table, after: Row | None) -> list[Row]:
        """Reads a page."""
        key = ", ".join(_own(table, name) for name in table.key)
        below = f" WHERE ({key}) > ({_marks(table.key)})" if after is not None else ""
        query = f"SELECT {_columns(table)} FROM {table.name}{below} ORDER BY {key} LIMIT {table.page_rows}"  # noqa: S608
        return [_read(table, row) for row in await self._run((query, after or ()))]

    async def matching(self, table: Table, column: str, value: Value) -> list[Row]:
        """Reads the rows with a value."""
        key = ", ".join(table.key)
        query = f"SELECT {_columns(table)} FROM {table.name} WHERE {column} = %s ORDER BY {key}"  # noqa: S608
        return [_read(table, row) for row in await self._run((query, (value,)))]

    async def last_key(self, table: Table) -> Row | None:
        """Reads the last key."""
        key = [_own(table, name) for name in table.key]
        last = ", ".join(f"{name} DESC" for name in key)
        found = await self._run((f"SELECT {', '.join(key)} FROM {table.name} ORDER BY {last} LIMIT 1", ()))  # noqa: S608
        return found[0] if found else None

    async def count(self, table: Table) -> int:
        """Counts the rows."""
        if await read_version(self._connection, self.address, Schema()) == 0:
            return 0
        return int((await self._run((f"SELECT count(*) FROM {table.name}", ())))[0][0])  # noqa: S608

    async def begin(self, move: Move) -> None:
        """Replaces the schema by an empty one."""
        try:
            async with self._turn, self._connection.transaction():
                await self._connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA_NAME} CASCADE")
                await bring_up(self._connection, self.address, Schema())
                mark = "UPDATE meta SET conductor_id = %s, moved = %s"
                await self._connection.execute(mark, (move.conductor_id, move.encode()))
        except psycopg.Error as error:
            raise translate(error, self.address) from error

    async def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Adds rows in one statement."""
        columns = ", ".join(_own(table, name) for name in table.columns)
        derived = ", label_pairs" if table is RUNS else ""
        into = f"COPY {table.name} ({columns}{derived}) FROM STDIN"
        try:
            async with self._turn, self._connection.cursor() as cursor, cursor.copy(into.encode()) as copy:
                for row in rows:
                    try:
                        await copy.write_row(_write(table, row))
                    except psycopg.DataError as error:  # a text with NUL
                        raise row_refused(table, error, row) from error
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise row_refused(table, error.diag.message_detail or error) from error
        except psycopg.Error as error:
            raise translate(error, self.address) from error

    async def finish(self, standing: Standing) -> None:
        """Sets the row of `meta`. Ids come from `last_id`, and so do keys, which SQLite counts for each table."""
        keys = ", ".join(f"(SELECT coalesce(max(key), 0) FROM {name})" for name in _KEYS)  # noqa: S608
        own = (standing.conductor_id, standing.epoch, standing.last_id)
        await self._run(("SET LOCAL synchronous_commit = on", ()), (_WHOLE.format(keys=keys), own))

    async def leave(self, move: Move) -> None:
        """Sets the mark, where the lease still holds."""
        mark = "UPDATE meta SET moved = %s WHERE lease_holder = %s AND epoch = %s RETURNING 1"
        if not await self._run((mark, (move.encode(), HOLDER, self._epoch or 0))):
            raise _lost(self.address)

    async def commit(self, statements: Sequence[Statement]) -> None:
        """Stores statements about blobs: the store is not served meanwhile, so nothing needs a fence."""
        await self._run(*statements)

    async def close(self) -> None:
        """Gives the lease back and closes the connections."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})
            free = "UPDATE meta SET lease_end = '-infinity' WHERE lease_holder = %s AND epoch = %s"
            with contextlib.suppress(StorageError):
                await self._run((free, (HOLDER, self._epoch or 0)))
        await self.readers.close()
        await self._connection.close()

    async def hold(self) -> None:
        """Takes the lease, and keeps it until the end."""
        taken = await self._run((_TAKE, (HOLDER, HOLDER, LEASE_SECONDS, HOLDER)))
        if not taken:
            holder, address = (await self._run((_HOLDER, ())))[0]
            hint = "stop it and every standby of this database, then give the same command again"
            text = f"the conductor at {address or holder} leads the {self.address.shown}"
            raise DatabaseInUseError(text, hint=hint)
        self._epoch = int(taken[0][0])
        self._renewal = asyncio.ensure_future(self._renew())

    async def _lock(self) -> None:
        """Waits up to `lock_timeout`: the server frees the lock of a connection that ended, or was killed, a moment later."""
        try:
            async with self._turn:
                await run_together(self._connection, ("SELECT pg_advisory_lock(%s)", (_LOCK,)))
        except errors.LockNotAvailable as error:
            text = f"another migration is at work in the {self.address.shown}"
            raise DatabaseInUseError(text, hint="wait for its end") from error
        except psycopg.Error as error:
            raise translate(error, self.address) from error

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            with contextlib.suppress(StorageError):  # `leave` looks whether the lease held
                await self._run((_RENEW, (LEASE_SECONDS, HOLDER, self._epoch or 0)))

    async def _run(self, *statements: Statement) -> list[PostgresqlRow]:
        """Runs statements as one transaction; returns the rows of the last."""
        try:
            async with self._turn:
                return (await run_together(self._connection, *statements))[-1]
        except psycopg.Error as error:
            raise translate(error, self.address) from error


def _lost(address: DatabaseAddress) -> StorageError:
    return StorageError(
        f"a conductor took the lease of the {address.shown} meanwhile", hint="stop it, and migrate again"
    )


def _own(table: Table, name: str) -> str:
    return _NAMES.get((table.name, name), name)


def _columns(table: Table) -> str:
    return ", ".join(_own(table, name) for name in table.columns)


def _marks(names: Sequence[str]) -> str:
    return ", ".join("%s" for _ in names)


def _read(table: Table, row: PostgresqlRow) -> Row:
    if table is not RUNS:
        return row
    return tuple(value.decode() if isinstance(value, bytes) else value for value in row)


def _write(table: Table, row: Row) -> tuple[Value, ...]:
    if table is not RUNS:
        return row
    values = dict(zip(table.columns, row, strict=True))
    values["question"] = str(values["question"]).encode()
    values["plan"] = _shortened(str(values["plan"]))
    return (*values.values(), _pairs(str(values["labels"])))


def _shortened(plan: str) -> str:
    """Returns a plan as lists show it; one that cannot be read as it is."""
    if len(plan) <= LONG_PLAN:
        return plan
    try:
        light = json.loads(plan)
        return json.dumps(light | {"question": light["question"][:LISTED_QUESTION]}, separators=(",", ":"))
    except (ValueError, TypeError, KeyError):
        return plan


def _pairs(labels: str) -> str:
    """Returns the labels as a literal of an array."""
    try:
        pairs = [json.dumps(pair) for pair in json.loads(labels).items()]
    except (ValueError, AttributeError):
        pairs = []
    quoted = (pair.replace("\\", "\\\\").replace('"', '\\"') for pair in pairs)
    return "{" + ",".join(f'"{pair}"' for pair in quoted) + "}"
