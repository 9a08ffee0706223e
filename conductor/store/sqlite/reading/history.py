"""Reads what was stored about one run: events, their texts between them, and whole channels; in pages, by key.

Nothing here waits or holds a cursor after it returned: an open cursor keeps the write-ahead log from being cleared, and a slow
reader would fill the disk with it.
"""

import sqlite3
from contextlib import closing
from heapq import merge
from operator import itemgetter

from conductor.errors import NotFoundError
from conductor.store.codec import UndecodableEventError
from conductor.store.port import CHANNEL_BYTES, END, HISTORY_BYTES
from conductor.store.records import Stored, StoredEvent
from conductor.store.refusals import damaged_row
from conductor.store.rows.history import collect, decode_events, take_page
from conductor.store.sqlite.reading.blocks import find_channel_end, one_moment, read_packed, read_pieces
from conductor.store.sqlite.reading.runs import find_run

EVENTS = """
SELECT position, time, type, CAST(data AS BLOB) FROM journal WHERE run = ? AND position > ? AND position <= ? ORDER BY position
"""

_HISTORY = """
SELECT j.position, j.time, j.type, CAST(j.data AS BLOB), NULL, NULL FROM journal j WHERE j.run = ?1 AND j.position > ?2
UNION ALL
SELECT c.position, c.time, c.channel, c.text, a.attempt, c.end_byte
FROM chunks c JOIN attempts a ON a.key = c.attempt WHERE c.run = ?1 AND c.position > ?2
ORDER BY 1
"""


def read_events(connection: sqlite3.Connection, run: str, after: int, upto: int = END) -> list[StoredEvent]:
    """Returns a run's events after a position. There is a cap on steps and attempts, and so on events."""
    rows = connection.execute(EVENTS, (find_run(connection, run), after, upto)).fetchall()
    try:
        return list(decode_events(rows))
    except UndecodableEventError as error:
        raise damaged_row(run, error) from error


def read_history(connection: sqlite3.Connection, run: str, after: int, max_bytes: int) -> list[Stored]:
    """Returns about `max_bytes` of what follows a position, events and texts in their one order; at least one item."""
    budget = min(max_bytes, HISTORY_BYTES)
    with one_moment(connection):
        key = find_run(connection, run)
        with (
            closing(connection.execute(_HISTORY, (key, after))) as cursor,
            closing(read_packed(connection, key, after)) as packed,
        ):
            return take_page(run, merge(cursor, packed, key=itemgetter(0)), budget)


def read_channel(
    connection: sqlite3.Connection, attempt: str, channel: str, offset: int, limit: int
) -> tuple[bytes, int]:
    """Returns at most `limit` bytes of a channel from `offset`, perhaps cut inside a character, and the channel's length."""
    query = (
        "SELECT a.key, r.run FROM attempts a JOIN runs r ON r.key = a.run WHERE a.attempt = ? AND r.delete_time IS NULL"
    )
    offset = max(offset, 0)
    wanted = min(limit, CHANNEL_BYTES) if limit > 0 else CHANNEL_BYTES
    with one_moment(connection):
        row = connection.execute(query, (attempt,)).fetchone()
        if row is None:
            raise NotFoundError("attempt", attempt)
        key, run = row
        total = find_channel_end(connection, key, channel)
        with closing(read_pieces(connection, key, channel, offset)) as pieces:
            return collect(run, pieces, offset, wanted), total
