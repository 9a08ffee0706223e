"""Reads the size of a database and of each of its settled runs, without its conductor."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from conductor.errors import StorageError
from conductor.store.records import SettledRun, Survey
from conductor.store.sqlite.connection import connect_reader, translate
from conductor.store.sqlite.folder import find_database
from conductor.store.sqlite.reading.usage import list_settled, read_usage
from conductor.store.sqlite.upkeep.migration import SCHEMA_VERSION, Schema, check_moved, read_version


def survey(folder: Path) -> Survey:
    """Surveys the database of a data folder, whether a conductor serves it or not."""
    path = find_database(folder)
    try:
        connection = connect_reader(path)
        try:
            if read_version(connection, path, Schema()) != SCHEMA_VERSION:
                raise StorageError(
                    f"the database {path} has an older version", hint="start its conductor once, which upgrades it"
                )
            check_moved(connection, path)
            conductor_id = connection.execute("SELECT conductor_id FROM meta").fetchone()[0]
            return Survey(str(conductor_id), read_usage(connection), tuple(_all_settled(connection)))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translate(error, path) from error


def _all_settled(connection: sqlite3.Connection) -> Iterator[SettledRun]:
    page = list_settled(connection, (0.0, ""))
    while page:
        yield from page
        page = list_settled(connection, (page[-1].end_time, page[-1].run))
