"""Brings a database to the version that this software knows, before anything else looks at it.

A new database is made from schema.sql. An older one is copied first, then goes up all its versions in one transaction: it is
afterwards either what it was, or what it should be. A newer one is refused: this software cannot know what it would break. A
file that is some other program's is refused as well.

How sound the file is costs a second per gigabyte to find out. So a small database is looked through at each opening, and a
large one only where it is read; `conductor doctor` looks through it whenever somebody wants to know (see `examination`).
"""

import contextlib
import os
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import DatabaseDamagedError, DatabaseNotUpgradedError, DatabaseTooNewError
from conductor.store.sqlite.connection import damaged, translate
from conductor.store.sqlite.upkeep.copying import copy_database, make_durable

SCHEMA_VERSION = 4
APPLICATION_ID = 0x434E4443  # "CNDC": tells our file from another program's
REWRITING_TAKES = 2  # times the database's size: the new file, and the log that brings it into the old one
COPIES_KEPT = 2  # of those made before an upgrade, the newest
CHECKED_BYTES = 128 * 1024 * 1024  # 0.1 s
_INCREMENTAL = 2
_HERE = Path(__file__).parents[1]


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
    version = read_version(connection, path, schema)
    if version == 0:
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}").fetchall()  # only while there is no page yet
    connection.execute("PRAGMA journal_mode = WAL").fetchall()  # not before it is known to be ours to change
    if version == 0:
        _make(connection, schema)
    else:
        if count_bytes(connection) <= CHECKED_BYTES:
            check(connection, path)
        if version < schema.version:
            _upgrade(connection, path, schema, version)
        _enable_giving_room_back(connection, path)
    return _open_epoch(connection)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises DatabaseDamagedError unless the file is sound."""
    found = [row[0] for row in connection.execute("PRAGMA quick_check(5)").fetchall()]
    if found != ["ok"]:
        raise damaged(path, "; ".join(found))


def count_bytes(connection: sqlite3.Connection) -> int:
    """Gives the size of the database."""
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
    return pages * int(connection.execute("PRAGMA page_size").fetchone()[0])


def read_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """Gives the database's version, 0 for an empty one. Refuses what is foreign or newer."""
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


def mint_identity(connection: sqlite3.Connection) -> str:
    """Makes the database another conductor's, whose first opening is still to come, and gives the id."""
    conductor_id = secrets.token_hex(13)
    connection.execute("UPDATE meta SET conductor_id = ?, epoch = 0", (conductor_id,))
    return conductor_id


def _make(connection: sqlite3.Connection, schema: Schema) -> None:
    _run_script(connection, schema.script.read_text(), schema.version)


def _upgrade(connection: sqlite3.Connection, path: Path, schema: Schema, version: int) -> None:
    copy = _free_name(path, version)
    copy_database(connection, copy)
    _forget_copies(path, copy)
    steps = range(version + 1, schema.version + 1)
    script = "\n".join((schema.migrations / f"{step:04}.sql").read_text() for step in steps)
    try:
        _run_script(connection, script, schema.version)
    except sqlite3.Error as error:
        known = translate(error, path)
        raise DatabaseNotUpgradedError(
            f"the database {path} could not be brought from version {version} to {schema.version}, and is as it was: {error}",
            hint=f"go on with the conductor that wrote it; a copy is at {copy}",
        ) from known


def _enable_giving_room_back(connection: sqlite3.Connection, path: Path) -> None:
    """Version 1 could not give room back to the disk. Only rewriting the whole file mends that, once.

    It is no part of the upgrade's transaction, so each opening looks: the one that upgraded may have been killed before this, or
    had no room for it. A database that keeps its room is no reason not to open it. Nor is it tried without room: what a rewriting
    takes for its log before it fails, the log keeps, at each opening anew.
    """
    if int(connection.execute("PRAGMA auto_vacuum").fetchone()[0]) == _INCREMENTAL:
        return
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize < REWRITING_TAKES * count_bytes(connection):
        return
    connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}").fetchall()
    with contextlib.suppress(sqlite3.OperationalError):  # no room, say; damage is another error
        connection.execute("VACUUM").fetchall()


def _free_name(path: Path, version: int) -> Path:
    """Gives the name of a copy that is not there yet; an attempt that failed may have left one."""
    name = path.with_name(f"{path.name}.version-{version}.backup")
    return name if not name.exists() else name.with_name(f"{name.name}-{secrets.token_hex(4)}")


def _forget_copies(path: Path, newest: Path) -> None:
    """Removes all but the newest copies: each is as large as the database was."""
    copies = [copy for copy in path.parent.glob(f"{path.name}.version-*.backup*") if copy != newest]
    for copy in sorted(copies, key=lambda found: found.stat().st_mtime_ns)[: -(COPIES_KEPT - 1)]:
        copy.unlink()
    make_durable(path.parent)


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
