"""Examines a whole database, row by row, and names what cannot be right. Changes nothing; works beside a running conductor.

It checks what opening leaves to the readers: pages, references, JSON, positions without a gap, texts that continue, blobs that
match their digests, events that fold. Each damage names its run, its table and its row. A gigabyte takes a few seconds; no read
transaction lasts longer than one table or one run.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import DatabaseDamagedError
from conductor.store.folding import fold_stored
from conductor.store.records import Usage
from conductor.store.refusals import damage_of
from conductor.store.rows.history import find_wrong_cursor
from conductor.store.sqlite.connection import connect_reader, translate
from conductor.store.sqlite.folder import find_database
from conductor.store.sqlite.reading.blocks import find_unreadable
from conductor.store.sqlite.reading.history import read_events
from conductor.store.sqlite.reading.listing import read_run
from conductor.store.sqlite.reading.unfinished import find_gap
from conductor.store.sqlite.reading.usage import read_usage
from conductor.store.sqlite.upkeep.migration import SCHEMA_VERSION, Schema, check_moved, read_version

MAX_DAMAGES = 100
PAGE_PROBLEMS = 20

# The texts of an attempt, channel by channel, in the order of indexes; a block's texts are checked with the block.
_TEXTS = """
SELECT channel, end_byte, 'chunks', position, length(text), text FROM chunks WHERE attempt = ?1
UNION ALL
SELECT s.channel, s.end_byte, 'blocks', b.position, s.end_byte - s.start_byte, x'' FROM strips s
JOIN blocks b ON b.key = s.block WHERE s.attempt = ?1
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that cannot be right, as `TABLE, ROW: what`. `run` is empty where no single run is concerned."""

    run: str
    text: str

    def __str__(self) -> str:
        return f"run {self.run}: {self.text}" if self.run else self.text


@dataclass(frozen=True, slots=True)
class Examination:
    """The result. `usage` is None for a database of an older version, which only an upgrade makes readable."""

    path: Path
    conductor_id: str
    version: int
    usage: Usage | None
    damages: tuple[Damage, ...]

    @property
    def is_cut(self) -> bool:
        """There may be more damages than are named."""
        return len(self.damages) >= MAX_DAMAGES


def examine(folder: Path) -> Examination:
    """Examines the database of a data folder. StorageError: there is none, it was moved, or this user may not read it."""
    path = find_database(folder)
    try:
        connection = connect_reader(path)
    except sqlite3.Error as error:
        raise translate(error, path) from error
    try:
        return _examine(connection, path)
    except sqlite3.Error as error:
        raise translate(error, path) from error
    finally:
        connection.close()


def _examine(connection: sqlite3.Connection, path: Path) -> Examination:
    version = read_version(connection, path, Schema())
    meta = connection.execute("SELECT conductor_id FROM meta").fetchone() if version else None
    conductor_id = "" if meta is None else str(meta[0])
    if version == SCHEMA_VERSION:
        check_moved(connection, path)
    found: list[Damage] = []
    for damage in _damages(connection, is_current=version == SCHEMA_VERSION):
        found.append(damage)
        if len(found) >= MAX_DAMAGES:
            break
    usage = read_usage(connection) if version == SCHEMA_VERSION else None
    return Examination(path, conductor_id, version, usage, tuple(found))


def _damages(connection: sqlite3.Connection, *, is_current: bool) -> Iterator[Damage]:
    try:
        pages = [row[0] for row in connection.execute(f"PRAGMA integrity_check({PAGE_PROBLEMS})").fetchall()]
        yield from (Damage("", f"the file: {text}") for text in pages if text != "ok")
        for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(PAGE_PROBLEMS):
            yield Damage("", f"{table}, {row}: belongs to a row of {parent} that is missing")
        if is_current:
            yield from _rows(connection)
    except sqlite3.DatabaseError as error:
        yield Damage("", f"the file: {error}")


def _rows(connection: sqlite3.Connection) -> Iterator[Damage]:
    query = "SELECT key, run FROM runs WHERE key > ? AND delete_time IS NULL ORDER BY key LIMIT 1"
    last = 0
    while (row := connection.execute(query, (last,)).fetchone()) is not None:
        last, run = row
        try:
            yield from _run_damages(connection, last, run)
        except sqlite3.DatabaseError as error:
            yield Damage(run, f"the file: {error}")
    yield from _blob_damages(connection)


def _run_damages(connection: sqlite3.Connection, key: int, run: str) -> Iterator[Damage]:
    try:
        read_run(connection, run)
        fold_stored(run, read_events(connection, run, 0))
    except DatabaseDamagedError as error:
        yield Damage(run, damage_of(error))
    if gap := find_gap(connection, key):
        yield Damage(run, gap)
    cursors = dict(connection.execute("SELECT attempt, cursor FROM attempts WHERE run = ?", (key,)).fetchall())
    if wrong := find_wrong_cursor(cursors):
        yield Damage(run, wrong)
    yield from _text_damages(connection, key, run)
    yield from _finding_damages(connection, key, run)


def _text_damages(connection: sqlite3.Connection, key: int, run: str) -> Iterator[Damage]:
    yield from (Damage(run, text) for text in find_unreadable(connection, key))
    for (attempt,) in connection.execute("SELECT key FROM attempts WHERE run = ? ORDER BY key", (key,)).fetchall():
        place, end = None, 0
        for channel, end_byte, table, position, size, text in connection.execute(_TEXTS, (attempt,)):
            end = (end if place == channel else 0) + size
            place = channel
            if end_byte != end:
                yield Damage(run, f"{table}, position {position}: ends at byte {end_byte}, where {end} was expected")
                end = end_byte
            try:
                text.decode()
            except UnicodeDecodeError as error:
                yield Damage(run, f"{table}, position {position}: {error}")


def _finding_damages(connection: sqlite3.Connection, key: int, run: str) -> Iterator[Damage]:
    query = "SELECT key, CAST(data AS BLOB) FROM findings WHERE run = ?"
    for finding, data in connection.execute(query, (key,)):
        if not _is_object(data):
            yield Damage(run, f"findings, {finding}: it is not a JSON object")


def _blob_damages(connection: sqlite3.Connection) -> Iterator[Damage]:
    for digest, data in connection.execute("SELECT digest, data FROM blobs"):
        if hashlib.sha256(data).hexdigest() != digest:
            query = "SELECT r.run FROM run_blobs l JOIN runs r ON r.key = l.run WHERE l.digest = ? LIMIT 1"
            row = connection.execute(query, (digest,)).fetchone()
            yield Damage("" if row is None else row[0], f"blobs, {digest}: its content does not match its digest")


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False
