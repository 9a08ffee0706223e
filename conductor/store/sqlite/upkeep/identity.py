"""The id in a database, for work on a data folder without its conductor."""

import sqlite3
from contextlib import closing
from pathlib import Path

from conductor.store.sqlite.connection import connect_reader, translate
from conductor.store.sqlite.folder import DATABASE_NAME, LockedFolder, find_database
from conductor.store.sqlite.upkeep.migration import Schema, mint_identity, read_version


def read_identity(folder: Path) -> str:
    """Returns the id in the database of a data folder, whether a conductor serves it or not."""
    path = find_database(folder)
    try:
        with closing(connect_reader(path)) as connection:
            read_version(connection, path, Schema())
            return str(connection.execute("SELECT conductor_id FROM meta").fetchone()[0])
    except sqlite3.Error as error:
        raise translate(error, path) from error


def read_unused_identity(folder: Path) -> str:
    """Returns the id in the database of a data folder, where it has no runs; empty where it has some, or there is no database."""
    path = folder / DATABASE_NAME
    if not path.exists():
        return ""
    with closing(connect_reader(path)) as connection:
        has_runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    return "" if has_runs else read_identity(folder)


def give_identity(folder: Path, conductor_id: str) -> bool:
    """Sets the id of a database that has no runs; returns False, and changes nothing, where it has some.

    Hosts may still run what a conductor with runs began, and would answer only to its id.
    """
    held = LockedFolder.acquire(folder)
    path = folder / DATABASE_NAME
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL").fetchall()
            if connection.execute("SELECT count(*) FROM runs").fetchone()[0]:
                return False
            mint_identity(connection, conductor_id)
            return True
    except sqlite3.Error as error:
        raise translate(error, path) from error
    finally:
        held.release()
