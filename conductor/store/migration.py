"""Brings a database to the version that this software knows, before anything else looks at it.

A new database is made from schema.sql. An older one is copied first, then goes up one version per transaction. A newer one
is refused: this software cannot know what it would break. A file that is some other program's is refused as well.
"""

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import DatabaseDamagedError, DatabaseTooNewError
from conductor.store.connection import damaged

SCHEMA_VERSION = 1
APPLICATION_ID = 0x434E4443  # "CNDC": tells our file from another program's
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Schema:
    """A version, how to make it, and where the ways to it are."""

    version: int = SCHEMA_VERSION
    script: Path = _HERE / "schema.sql"
    migrations: Path = _HERE / "migrations"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose database this is: made with it; and how often it was opened."""

    conductor_id: str
    epoch: int


def bring_up(connection: sqlite3.Connection, path: Path, schema: Schema) -> Identity:
    """Makes, upgrades or refuses the database, checks it, and counts this opening."""
    version = _read_version(connection, path, schema)
    connection.execute("PRAGMA journal_mode = WAL").fetchall()  # not before it is known to be ours to change
    if version == 0:
        _make(connection, schema)
    else:
        check(connection, path)
        for step in range(version + 1, schema.version + 1):
            _upgrade(connection, path, schema, step)
    return _open_epoch(connection)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises DatabaseDamagedError unless the file is sound."""
    found = [row[0] for row in connection.execute("PRAGMA quick_check(5)").fetchall()]
    if found != ["ok"]:
        raise damaged(path, "; ".join(found))


def _read_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if version == 0 and owner == 0 and is_empty:
        return 0
    if owner != APPLICATION_ID:
        raise DatabaseDamagedError(f"{path} is not a conductor's database", hint="give another folder with --data")
    if version > schema.version:
        raise DatabaseTooNewError(
            f"the database {path} has version {version}; this conductor knows versions up to {schema.version}",
            hint="start the newer conductor that wrote it, or give another folder with --data",
            metadata={"found": str(version), "known": str(schema.version)},
        )
    return version


def _make(connection: sqlite3.Connection, schema: Schema) -> None:
    _run_script(connection, schema.script.read_text(), schema.version)


def _upgrade(connection: sqlite3.Connection, path: Path, schema: Schema, version: int) -> None:
    # One migration at a time, each with its copy: whichever fails, the state before it can be put back.
    connection.execute("VACUUM INTO ?", (str(_free_name(path, version - 1)),))
    _run_script(connection, (schema.migrations / f"{version:04}.sql").read_text(), version)


def _free_name(path: Path, version: int) -> Path:
    """Gives the name of a copy that is not there yet; an attempt that failed may have left one."""
    name = path.with_name(f"{path.name}.version-{version}.backup")
    return name if not name.exists() else name.with_name(f"{name.name}-{secrets.token_hex(4)}")


def _run_script(connection: sqlite3.Connection, script: str, version: int) -> None:
    ending = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n{ending}")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.rollback()
        raise


def _open_epoch(connection: sqlite3.Connection) -> Identity:
    connection.execute("PRAGMA synchronous = FULL").fetchall()
    connection.execute("INSERT OR IGNORE INTO meta VALUES (1, ?, 0, 0)", (secrets.token_hex(13),))
    rows = connection.execute("UPDATE meta SET epoch = epoch + 1 RETURNING conductor_id, epoch").fetchall()
    return Identity(*rows[0])
