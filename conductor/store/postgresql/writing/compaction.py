"""Packs settled runs, a window at a time (conductor/store/rows/windows.py).

Reading and packing are a reader's work. The writer, behind which the engine's transactions wait, only replaces the rows by their
block, in one transaction with the place that the run was compacted to. After a kill at any moment a run is partly compacted,
wholly readable, and compacted further. `conductor.maintenance.compaction` decides which run has its turn, and when.
"""

from conductor.store.postgresql.pipeline import Connection, Statement, ask
from conductor.store.postgresql.writer import Writer
from conductor.store.rows.packing import MAX_ENTRIES
from conductor.store.rows.windows import LISTED_RUNS, SMALL_BYTES, NewBlock, Window, pack_window

_TO_COMPACT = """
SELECT end_time, run FROM runs
WHERE end_time IS NOT NULL AND NOT is_compacted AND delete_time IS NULL AND end_time <= %s AND (end_time, run) > (%s, %s)
ORDER BY end_time, run LIMIT %s
"""
_FIND = "SELECT key, compacted_to FROM runs WHERE run = %s AND end_time IS NOT NULL AND delete_time IS NULL AND NOT is_compacted"
# Large texts are not read.
_ROWS = """
SELECT id, position, time, attempt, convert_to(channel, 'UTF8'), end_byte, CASE WHEN octet_length(text) <= %s THEN text END
FROM chunks WHERE run = %s AND position > %s ORDER BY position LIMIT %s
"""
_IS_VALID = """
SELECT (SELECT count(*) FROM runs WHERE key = %s AND compacted_to = %s AND delete_time IS NULL),
  (SELECT count(*) FROM chunks WHERE id = ANY(%s))
"""
_MOVE_ON = "UPDATE runs SET compacted_to = %s, is_compacted = %s WHERE key = %s"
_ADD = "INSERT INTO blocks (key, run, position, first_position, entries, data) VALUES (%s, %s, %s, %s, %s, %s)"
_ADD_STRIPS = (
    "INSERT INTO strips (attempt, channel, end_byte, start_byte, block, number) SELECT a, c, e, s, %s, n FROM"
    " unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[]) w(a, c, e, s, n)"
)


async def list_uncompacted(
    connection: Connection, ended_before: float, after: tuple[float, str]
) -> list[tuple[float, str]]:
    """Returns settled runs with rows to look at, as (end time, run), those first that ended first."""
    rows = await ask(connection, _TO_COMPACT, ended_before, *after, LISTED_RUNS)
    return [(end_time, run) for end_time, run in rows]


async def make_window(connection: Connection, run: str) -> tuple[Window, bool] | None:
    """Reads and packs the next window of a settled run, and tells whether it is the last; None where none is left."""
    found = await ask(connection, _FIND, run)
    if not found:
        return None
    key, after = found[0]
    rows = await ask(connection, _ROWS, SMALL_BYTES, key, after, MAX_ENTRIES)
    last = rows[-1][1] if rows else after
    window = pack_window(key, after, last, rows)
    return window, len(rows) < MAX_ENTRIES and window.upto == last


async def store_window(writer: Writer, window: Window, *, is_last: bool) -> None:
    """Replaces rows by their block, or notes that they stay. Does nothing where another window was stored before.

    Rows that a damaged database cannot exchange for a block stay as well.
    """
    ids = window.block.ids if window.block is not None else []
    is_there, rows = (await writer.ask(_IS_VALID, window.run, window.after, ids))[0]
    if not is_there:
        return
    statements: list[Statement] = [(_MOVE_ON, (window.upto, is_last, window.run))]
    last_id = writer.last_id
    if window.block is not None and rows == len(ids):
        last_id += 1
        statements += _replace_rows(last_id, window.run, window.block)
    await writer.store(statements, last_id=last_id, is_durable=False)  # what a crash undoes is done again


def _replace_rows(key: int, run: int, block: NewBlock) -> list[Statement]:
    strips = block.strips
    return [
        ("DELETE FROM chunks WHERE id = ANY(%s)", (block.ids,)),
        (_ADD, (key, run, block.position, block.first_position, len(block.ids), block.data)),
        (
            _ADD_STRIPS,
            (
                key,
                [strip.place[0] for strip in strips],
                [strip.place[1] for strip in strips],
                [strip.end_byte for strip in strips],
                [strip.start_byte for strip in strips],
                list(range(len(strips))),
            ),
        ),
    ]
