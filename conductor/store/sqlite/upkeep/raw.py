"""The database as rows: see `conductor.store.raw`. A text that is no UTF-8 is read as one that says so, and stays damaged."""

import shutil
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

from conductor.store.raw import Move, RawStore, Standing, row_refused
from conductor.store.rows.tables import Row, Table, Value
from conductor.store.sqlite.connection import Connection
from conductor.store.sqlite.folder import COMPANION_NAMES, DATABASE_NAME, LockedFolder, find_database
from conductor.store.sqlite.upkeep.copying import make_durable
from conductor.store.sqlite.upkeep.migration import Schema, prepare

_LAST_POSITIONS = """
UPDATE runs SET last_position = max(
  coalesce((SELECT max(position) FROM journal WHERE run = runs.key), 0),
  coalesce((SELECT max(position) FROM chunks WHERE run = runs.key), 0),
  coalesce((SELECT max(position) FROM blocks WHERE run = runs.key), 0))
"""
NOT_UTF8 = "not UTF-8: "


class SqliteRaw(RawStore):
    """A database in a folder that this process has locked. `connection` is None where there is none."""

    def __init__(self, held: LockedFolder, *, is_new: bool) -> None:
        self._held = held
        self._is_new = is_new
        self._connection: Connection | None = None

    @classmethod
    async def open_source(cls, folder: Path) -> Self:
        """Opens a database that there is; one of an older version goes up."""
        find_database(folder, "--from")
        return await cls.open_target(folder)

    @classmethod
    async def open_target(cls, folder: Path) -> Self:
        """Opens the place of a database. A folder that is made for it goes where none comes."""
        is_new = not folder.exists()  # noqa: ASYNC240 (nothing else is at work)
        raw = cls(LockedFolder.acquire(folder), is_new=is_new)
        try:
            if (folder / DATABASE_NAME).exists():
                raw._connection = await raw._connect()
        except BaseException:
            raw._held.release()
            raise
        return raw

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._held.path)

    async def standing(self) -> Standing | None:
        """Reads the row of `meta`."""
        if self._connection is None:
            return None
        for conductor_id, epoch, last_id, moved in await self._ask(
            "SELECT conductor_id, epoch, last_id, moved FROM meta"
        ):
            return Standing(str(conductor_id), int(epoch or 0), int(last_id or 0), Move.decode(str(moved)))
        return None

    async def page(self, table: Table, after: Row | None) -> list[Row]:
        """Reads a page."""
        key = ", ".join(table.key)
        below = f" WHERE ({key}) > ({_marks(table.key)})" if after is not None else ""
        query = f"SELECT {_columns(table)} FROM {table.name}{below} ORDER BY {key} LIMIT {table.page_rows}"  # noqa: S608
        return await self._ask(query, *(after or ()))

    async def matching(self, table: Table, column: str, value: Value) -> list[Row]:
        """Reads the rows with a value."""
        key = ", ".join(table.key)
        query = f"SELECT {_columns(table)} FROM {table.name} WHERE {column} = ? ORDER BY {key}"  # noqa: S608
        return await self._ask(query, value)

    async def last_key(self, table: Table) -> Row | None:
        """Reads the last key."""
        last = ", ".join(f"{name} DESC" for name in table.key)
        found = await self._ask(f"SELECT {', '.join(table.key)} FROM {table.name} ORDER BY {last} LIMIT 1")  # noqa: S608
        return found[0] if found else None

    async def count(self, table: Table) -> int:
        """Counts the rows."""
        return int((await self._ask(f"SELECT count(*) FROM {table.name}"))[0][0] or 0)  # noqa: S608

    async def begin(self, move: Move) -> None:
        """Replaces the file by that of an empty database."""
        if self._connection is not None:
            await self._connection.close()
        for name in (DATABASE_NAME, *COMPANION_NAMES):
            (self._held.path / name).unlink(missing_ok=True)
        self._connection = await self._connect()
        new = "INSERT INTO meta (only, conductor_id, epoch, last_id, moved) VALUES (1, ?, 0, 0, ?)"
        await self._write(new, [(move.conductor_id, move.encode())])
        make_durable(self._held.path)

    async def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Adds rows in one transaction."""
        insert = f"INSERT INTO {table.name} ({_columns(table)}) VALUES ({_marks(table.columns)})"  # noqa: S608
        try:
            await self._write(insert, rows)
        except sqlite3.IntegrityError as error:
            raise row_refused(table, error) from error

    async def finish(self, standing: Standing) -> None:
        """Sets the row of `meta`, when all else is on the disk."""
        await self._write(_LAST_POSITIONS, [()])
        await self._ask("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = "UPDATE meta SET conductor_id = ?, epoch = ?, last_id = ?, moved = ''"
        await self._write(whole, [(standing.conductor_id, standing.epoch, standing.last_id)])

    async def leave(self, move: Move) -> None:
        """Sets the mark."""
        await self._write("UPDATE meta SET moved = ?", [(move.encode(),)])

    async def close(self) -> None:
        """Closes the database and unlocks the folder."""
        if self._connection is not None:
            await self._connection.close()
        elif self._is_new:
            shutil.rmtree(self._held.path, ignore_errors=True)
        self._held.release()

    async def _connect(self) -> Connection:
        path = self._held.prepare_database()
        connection = await Connection.open_writer(path)
        try:
            await connection.run(partial(_prepare, path=path))
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _ask(self, query: str, *values: Value) -> list[Row]:
        if self._connection is None:
            return []
        return await self._connection.run(lambda connection: connection.execute(query, values).fetchall())

    async def _write(self, statement: str, rows: Sequence[Row]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(statement, rows)
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise

        if self._connection is not None:
            await self._connection.run(write)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    prepare(connection, path, Schema())
    connection.text_factory = _decode
    # A damaged database may hold references to nothing, which are copied as they are.
    connection.execute("PRAGMA foreign_keys = OFF").fetchall()
    connection.execute("PRAGMA synchronous = FULL").fetchall()


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return NOT_UTF8 + data.hex()


def _columns(table: Table) -> str:
    return ", ".join(table.columns)


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" * len(names))
