"""Brings a database to the version that this software knows, before anything else reads it.

A new database is made from schema.sql. An older one is copied first, then upgraded through all versions in one transaction: it is
afterwards either what it was or what it should be. A newer one is refused, since this software cannot know what it would break;
so is a file of another program.

A full check costs a second per gigabyte. So each opening checks a small database, and a large one is only checked where it is
read; `conductor doctor` examines it on demand (see `examination`).
"""

import contextlib
import os
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import DatabaseDamagedError, DatabaseNotUpgradedError, DatabaseTooNewError
from conductor.store.raw import Move
from conductor.store.refusals import refuse_moved
from conductor.store.sqlite.connection import damaged, translate
from conductor.store.sqlite.upkeep.copying import copy_database, make_durable

SCHEMA_VERSION = 9
APPLICATION_ID = 0x434E4443  # "CNDC": marks the file as ours
REWRITING_TAKES = 2  # times the database's size: the new file, and the log that carries it into the old one
COPIES_KEPT = 2  # the newest of those made before upgrades
CHECKED_BYTES = 128 * 1024 * 1024  # 0.1 s
_INCREMENTAL = 2
_HERE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Schema:
    """A version, the script that creates it, and the folder of its migrations."""

    version: int = SCHEMA_VERSION
    script: Path = _HERE / "schema.sql"
    migrations: Path = _HERE / "migrations"


@dataclass(frozen=True, slots=True)
class Identity:
    """The id that was made with the database, and how often it was opened."""

    conductor_id: str
    epoch: int


def bring_up(connection: sqlite3.Connection, path: Path, schema: Schema) -> Identity:
    """Creates, upgrades or refuses the database, checks it, and counts this opening."""
    prepare(connection, path, schema)
    return _open_epoch(connection, path)


def prepare(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Creates, upgrades or refuses the database, and checks it."""
    version = read_version(connection, path, schema)
    if version == 0:
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}").fetchall()  # only while the file has no page
    connection.execute("PRAGMA journal_mode = WAL").fetchall()  # not before the file is known to be ours
    if version == 0:
        _make(connection, schema)
    else:
        if count_bytes(connection) <= CHECKED_BYTES:
            check(connection, path)
        if version < schema.version:
            _upgrade(connection, path, schema, version)
        _enable_shrinking(connection, path)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises DatabaseDamagedError unless the file is sound."""
    found = [row[0] for row in connection.execute("PRAGMA quick_check(5)").fetchall()]
    if found != ["ok"]:
        raise damaged(path, "; ".join(found))


def count_bytes(connection: sqlite3.Connection) -> int:
    """Returns the size of the database."""
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
    return pages * int(connection.execute("PRAGMA page_size").fetchone()[0])


def read_version(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """Returns the database's version, 0 for an empty one. Refuses foreign and newer files."""
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


def mint_identity(connection: sqlite3.Connection, conductor_id: str = "") -> str:
    """Sets a new id, as one that was never opened, and returns the id: this one, or one of chance."""
    conductor_id = conductor_id or secrets.token_hex(13)
    connection.execute("UPDATE meta SET conductor_id = ?, epoch = 0", (conductor_id,))
    columns = {row[1] for row in connection.execute("PRAGMA table_info(meta)").fetchall()}
    moved = connection.execute("SELECT moved FROM meta").fetchone() if "moved" in columns else None
    move = Move.decode(moved[0]) if moved else None
    if move is not None and not move.is_arriving:  # under its new id it is another conductor
        connection.execute("UPDATE meta SET moved = ''")
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
            f"the database {path} could not be upgraded from version {version} to {schema.version} and is unchanged: {error}",
            hint=f"start the conductor that wrote it; a copy is at {copy}",
        ) from known


def _enable_shrinking(connection: sqlite3.Connection, path: Path) -> None:
    """Rewrites a database of version 1, once, so that it can return unused room to the disk.

    The rewrite is not part of the upgrade's transaction, so each opening looks whether it is still to do: it may have been
    killed, or had no room. A database that keeps its room can be opened all the same. Without room the rewrite is not tried: the
    log would keep what it took before it failed, at each opening again.
    """
    if int(connection.execute("PRAGMA auto_vacuum").fetchone()[0]) == _INCREMENTAL:
        return
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize < REWRITING_TAKES * count_bytes(connection):
        return
    connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}").fetchall()
    with contextlib.suppress(sqlite3.OperationalError):  # no room, for example; damage is another error
        connection.execute("VACUUM").fetchall()


def _free_name(path: Path, version: int) -> Path:
    """Returns an unused name for a copy; a failed upgrade may have left one."""
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


def _open_epoch(connection: sqlite3.Connection, path: Path) -> Identity:
    connection.execute("PRAGMA synchronous = FULL").fetchall()
    new = "INSERT OR IGNORE INTO meta (only, conductor_id, epoch, last_id) VALUES (1, ?, 0, 0)"
    connection.execute(new, (secrets.token_hex(13),))
    check_moved(connection, path)
    rows = connection.execute("UPDATE meta SET epoch = epoch + 1 RETURNING conductor_id, epoch").fetchall()
    return Identity(*rows[0])


def check_moved(connection: sqlite3.Connection, path: Path) -> None:
    """Raises DatabaseMovedError for a database of this version that was moved elsewhere, or has not all come."""
    row = connection.execute("SELECT moved FROM meta").fetchone()
    refuse_moved(Move.decode(row[0]) if row else None, str(path.parent))
