"""The database's half of a backup: out of a folder whose conductor may be at work, and into a new one with a new identity.

The new identity makes a restored copy harmless: hosts let it touch nothing that the original began.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import BackupError, DatabaseDamagedError
from conductor.store.sqlite.connection import connect_reader, damaged, translate
from conductor.store.sqlite.folder import find_database
from conductor.store.sqlite.upkeep.copying import copy_database
from conductor.store.sqlite.upkeep.migration import Schema, check, mint_identity, read_version

PROBLEMS = 5
# Our schema has neither; in a foreign file they would run whenever we write.
_FOREIGN = f"SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('trigger', 'view') LIMIT {PROBLEMS}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class CopiedDatabase:
    """The content of a copy."""

    conductor_id: str
    version: int
    runs: int
    unfinished_runs: int


def copy_out(folder: Path, target: Path) -> CopiedDatabase:
    """Copies the database of a data folder as it is now, and checks the copy."""
    path = find_database(folder)
    try:
        connection = connect_reader(path)
        try:
            read_version(connection, path, Schema())
            connection.execute(
                "PRAGMA query_only = OFF"
            ).fetchall()  # it forbids the copy too; `mode=ro` protects the original
            copy_database(connection, target)
        finally:
            connection.close()
        return _read_copy(target)
    except sqlite3.Error as error:
        raise translate(error, path) from error


def take_in(path: Path) -> CopiedDatabase:
    """Checks a copied database and sets a new id in it; returns its content."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            if read_version(connection, path, Schema()) == 0:
                raise BackupError("the database in the backup is empty")
            found = [row[0] for row in connection.execute(f"PRAGMA integrity_check({PROBLEMS})").fetchall()]
            if found != ["ok"]:
                raise damaged(path, "; ".join(found))
            if found := [row[0] for row in connection.execute(_FOREIGN).fetchall()]:
                raise damaged(path, f"it holds objects that no conductor creates: {', '.join(found)}")
            connection.execute("PRAGMA synchronous = FULL").fetchall()
            mint_identity(connection)
        finally:
            connection.close()
        return _read_copy(path)
    except (sqlite3.Error, DatabaseDamagedError) as error:
        known = translate(error, path) if isinstance(error, sqlite3.Error) else error
        # Any other error of SQLite is a missing table.
        if not isinstance(known, DatabaseDamagedError | sqlite3.Error):
            raise known from error
        raise BackupError("the database in the backup is damaged or incomplete", hint="use another backup") from error


def _read_copy(path: Path) -> CopiedDatabase:
    connection = connect_reader(path)
    try:
        check(connection, path)
        version = read_version(connection, path, Schema())
        conductor_id = connection.execute("SELECT conductor_id FROM meta").fetchone()
        if conductor_id is None:
            raise damaged(path, "it names no conductor")
        query = "SELECT count(*), count(*) - count(end_time) FROM runs"
        return CopiedDatabase(str(conductor_id[0]), version, *connection.execute(query).fetchone())
    finally:
        connection.close()
