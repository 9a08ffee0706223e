"""Packs the small rows of settled runs into blocks, a window of positions at a time, so that every reader reads as before.

A row for each word takes twelve times the room of the word. Agents that talk at once alternate in their run's positions, so
joining the rows of one channel would join little: a window takes all texts in it, of every attempt. Large rows stay rows, and so
do rows that cannot be right (`conductor doctor` goes on naming them) and windows that would gain little.

Reading and packing are a reader's work. The writer, on whose thread the engine's transactions wait, only replaces the rows by
their block, in one transaction with the place that the run was compacted to. After a kill at any moment a run is partly
compacted, wholly readable, and compacted further. `conductor.maintenance.compaction` decides which run has its turn, and when.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from conductor.store.sqlite.packing import MAX_ENTRIES, MAX_TEXT_BYTES, Entry, pack

SMALL_BYTES = 1024  # a larger row costs little beside its text
LISTED_RUNS = 100
# About what SQLite needs for a row and its index entries; measured with short rows, and rather too low.
ROW_BYTES = 50
BLOCK_BYTES = 60
STRIP_BYTES = 70
WORTH = 0.75  # of the rows' size: the pages of a block are never quite full

_TO_COMPACT = """
SELECT end_time, run FROM runs
WHERE end_time IS NOT NULL AND compacted_to < last_position AND delete_time IS NULL AND end_time <= ?
  AND (end_time, run) > (?, ?) ORDER BY end_time, run LIMIT ?
"""

# Large texts are not read, and channels as bytes: a damaged one is no text.
_ROWS = """
SELECT id, position, time, attempt, CAST(channel AS BLOB), end_byte, CASE WHEN length(text) <= ? THEN text END FROM chunks
WHERE run = ? AND position > ? AND position <= ? ORDER BY position
"""

_MOVE_ON = """
UPDATE runs SET compacted_to = ? WHERE key = ? AND compacted_to = ? AND delete_time IS NULL
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A small row of `chunks`, at its place in its channel."""

    id: int
    position: int
    time: float
    place: tuple[int, str]
    end_byte: int
    text: bytes


@dataclass(frozen=True, slots=True)
class _Strip:
    """A piece of a channel without a gap."""

    place: tuple[int, str]
    start_byte: int
    end_byte: int


@dataclass(frozen=True, slots=True)
class _Block:
    """The replacement of the rows with these ids."""

    ids: list[int]
    first_position: int
    position: int
    strips: list[_Strip]
    data: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """A window of positions, packed: `block` is None where its rows stay. It is valid while the run is at `after`."""

    run: int
    after: int
    upto: int
    block: _Block | None


def list_uncompacted(
    connection: sqlite3.Connection, ended_before: float, after: tuple[float, str]
) -> list[tuple[float, str]]:
    """Returns settled runs with rows to look at, as (end time, run), those first that ended first."""
    return connection.execute(_TO_COMPACT, (ended_before, *after, LISTED_RUNS)).fetchall()


def make_window(connection: sqlite3.Connection, run: str) -> Window | None:
    """Reads and packs the next window of a settled run; None where none is left, or there is no such run."""
    query = (
        "SELECT key, compacted_to, last_position FROM runs"
        " WHERE run = ? AND end_time IS NOT NULL AND delete_time IS NULL AND compacted_to < last_position"
    )
    found = connection.execute(query, (run,)).fetchone()
    if found is None:
        return None
    key, after, last = found
    with closing(connection.execute(_ROWS, (SMALL_BYTES, key, after, last))) as cursor:
        upto, rows = _take(cursor, last)
    return Window(key, after, upto, _make_block(rows))


def store_window(connection: sqlite3.Connection, window: Window) -> None:
    """Replaces rows by their block, or notes that they stay. Does nothing where another window was stored before.

    Rows that a damaged database cannot exchange for a block stay as well.
    """
    try:
        _store(connection, window)
    except (sqlite3.IntegrityError, _RowsLostError):
        _store(connection, replace(window, block=None))


class _RowsLostError(Exception):
    """The rows that the block replaces are not those that it was made from."""


def _store(connection: sqlite3.Connection, window: Window) -> None:
    # What a crash undoes is done again.
    connection.execute("PRAGMA synchronous = NORMAL").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    try:
        moved = connection.execute(_MOVE_ON, (window.upto, window.run, window.after))
        if moved.rowcount == 1 and window.block is not None:
            _replace_rows(connection, window.run, window.block)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _take(cursor: sqlite3.Cursor, last: int) -> tuple[int, list[_Row]]:
    """Returns the small rows of the next window, and the position that it reaches to."""
    rows: list[_Row] = []
    upto, used = 0, 0
    for seen, (row, position, time, attempt, channel, end_byte, text) in enumerate(cursor, start=1):
        used += len(text or b"")
        if used > MAX_TEXT_BYTES:
            return upto, rows
        if text is not None and end_byte >= len(text) and (name := _decode(channel)) and _decode(text) is not None:
            rows.append(_Row(row, position, time, (attempt, name), end_byte, text))
        upto = position
        if seen == MAX_ENTRIES:
            return upto, rows
    return last, rows


def _decode(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _make_block(rows: list[_Row]) -> _Block | None:
    if not rows:
        return None
    strips: list[_Strip] = []
    entries = list(_number(rows, strips))
    data = pack(entries)
    size = len(data) + BLOCK_BYTES + STRIP_BYTES * len(strips)
    if size > WORTH * sum(len(row.text) + ROW_BYTES for row in rows):
        return None
    return _Block([row.id for row in rows], rows[0].position, rows[-1].position, strips, data)


def _number(rows: list[_Row], strips: list[_Strip]) -> Iterator[Entry]:
    """Returns rows as entries, and adds their strips: one per channel, and another after each gap in it."""
    numbers: dict[tuple[int, str], int] = {}
    for row in rows:
        start = row.end_byte - len(row.text)
        number = numbers.get(row.place)
        if number is None or strips[number].end_byte != start:
            number = numbers[row.place] = len(strips)
            strips.append(_Strip(row.place, start, row.end_byte))
        else:
            strips[number] = _Strip(row.place, strips[number].start_byte, row.end_byte)
        yield Entry(row.position, row.time, number, row.text)


def _replace_rows(connection: sqlite3.Connection, run: int, block: _Block) -> None:
    gone = connection.executemany("DELETE FROM chunks WHERE id = ?", [(row,) for row in block.ids])
    if gone.rowcount != len(block.ids):
        raise _RowsLostError(f"{gone.rowcount} of {len(block.ids)} rows were there, up to position {block.position}")
    added = connection.execute(
        "INSERT INTO blocks (run, position, first_position, entries, data) VALUES (?, ?, ?, ?, ?)",
        (run, block.position, block.first_position, len(block.ids), block.data),
    )
    connection.executemany(
        "INSERT INTO strips (attempt, channel, end_byte, start_byte, block, number) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (*strip.place, strip.end_byte, strip.start_byte, added.lastrowid, number)
            for number, strip in enumerate(block.strips)
        ],
    )
