"""Packs the small rows of settled runs into blocks, a window of positions at a time, so that every reader reads as before.

A word a row costs twelve times the word. Agents that talk at once take turns in their run's positions, so that joining the
rows of one channel would join little: a window takes all that was said in it, whoever said it. Rows that are large already
stay rows, and so do those that cannot be right (`conductor doctor` goes on naming them), and windows that would gain little.

The reading and the packing are a reader's work; the writer, behind which the engine waits, only puts the block in the place of its
rows, in one transaction, together with how far the run was compacted. After a kill at any moment a run is partly compacted,
wholly readable, and gone on with. Which runs have their turn, and when, is not decided here.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from conductor.store.sqlite.packing import MAX_ENTRIES, MAX_TEXT_BYTES, Entry, pack

SMALL_BYTES = 1024  # a row of more costs little besides its text
LISTED_RUNS = 100
# What SQLite needs for a row and its places in indexes, about; measured with short rows, and low rather than high.
ROW_BYTES = 50
BLOCK_BYTES = 60
STRIP_BYTES = 70
WORTH = 0.75  # of the rows' size: pages of a block are never quite full

_TO_COMPACT = """
SELECT end_time, run FROM runs
WHERE end_time IS NOT NULL AND compacted_to < last_position AND delete_time IS NULL AND end_time <= ?
  AND (end_time, run) > (?, ?) ORDER BY end_time, run LIMIT ?
"""

# Neither the text of a large row nor a channel that is no text must come out of the database.
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
    """What stands for the rows with these ids."""

    ids: list[int]
    first_position: int
    position: int
    strips: list[_Strip]
    data: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """What was made of a window of positions: `block` is None where its rows stay. It holds while the run is at `after`."""

    run: int
    after: int
    upto: int
    block: _Block | None


def list_uncompacted(
    connection: sqlite3.Connection, ended_before: float, after: tuple[float, str]
) -> list[tuple[float, str]]:
    """Gives settled runs with something to look at, as (end time, run), those first that ended first."""
    return connection.execute(_TO_COMPACT, (ended_before, *after, LISTED_RUNS)).fetchall()


def make_window(connection: sqlite3.Connection, run: str) -> Window | None:
    """Reads and packs the next window of a settled run; None where there is none left, or no such run."""
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
    """Puts a block in the place of its rows, or notes that they stay. Nothing happens where another was before.

    Rows that a damaged database cannot exchange for a block stay as well.
    """
    try:
        _store(connection, window)
    except (sqlite3.IntegrityError, _RowsLostError):
        _store(connection, replace(window, block=None))


class _RowsLostError(Exception):
    """The rows that a block would stand for are not those that it was made from."""


def _store(connection: sqlite3.Connection, window: Window) -> None:
    # What a crash undoes of this is done again.
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
    """Gives the small rows of the next window, and the position that it reaches to."""
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
    """Gives rows as entries, and adds their strips: one per channel, and another after each gap in it."""
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
