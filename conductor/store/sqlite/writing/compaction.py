"""Packs settled runs, a window at a time (conductor/store/rows/windows.py).

Reading and packing are a reader's work. The writer, on whose thread the engine's transactions wait, only replaces the rows by
their block, in one transaction with the place that the run was compacted to. After a kill at any moment a run is partly
compacted, wholly readable, and compacted further. `conductor.maintenance.compaction` decides which run has its turn, and when.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace

from conductor.store.rows.windows import LISTED_RUNS, SMALL_BYTES, NewBlock, RowsLostError, Window, pack_window

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
        return pack_window(key, after, last, cursor)


def store_window(connection: sqlite3.Connection, window: Window) -> None:
    """Replaces rows by their block, or notes that they stay. Does nothing where another window was stored before.

    Rows that a damaged database cannot exchange for a block stay as well.
    """
    try:
        _store(connection, window)
    except (sqlite3.IntegrityError, RowsLostError):
        _store(connection, replace(window, block=None))


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


def _replace_rows(connection: sqlite3.Connection, run: int, block: NewBlock) -> None:
    gone = connection.executemany("DELETE FROM chunks WHERE id = ?", [(row,) for row in block.ids])
    if gone.rowcount != len(block.ids):
        raise RowsLostError(f"{gone.rowcount} of {len(block.ids)} rows were there, up to position {block.position}")
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
