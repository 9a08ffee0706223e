"""Reads the events of all runs in the order of their ids."""

import sqlite3

from conductor.store.port import END, FEED_EVENTS
from conductor.store.records import FeedPage
from conductor.store.rows.feed import join_feed

_FEED = """
SELECT j.id, r.run, r.flow, r.labels, j.position, j.time, j.type, CAST(j.data AS BLOB), r.delete_time, r.root
FROM journal j JOIN runs r ON r.key = j.run WHERE j.id > ? ORDER BY j.id LIMIT ?
"""
_DELETIONS = "SELECT id, run, flow, labels, time FROM deletions WHERE id > max(0, ?) AND id <= ? ORDER BY id LIMIT ?"


def read_feed(connection: sqlite3.Connection, after_id: int, limit: int) -> FeedPage:
    """Returns events of all runs, and deletions, after an id. Rows that cannot be read, and those of deleted runs, are left out."""
    size = min(limit, FEED_EVENTS)
    rows = connection.execute(_FEED, (after_id, size)).fetchall()
    # Beside a whole page of events only deletions before its end: the next page has the others.
    to = rows[-1][0] if len(rows) == size else END
    gone = connection.execute(_DELETIONS, (after_id, to, size)).fetchall()
    return join_feed(rows, gone, after_id, size)


def read_last_id(connection: sqlite3.Connection) -> int:
    """Returns the id of the newest row: the feed has nothing after it yet."""
    return int(connection.execute("SELECT last_id FROM meta").fetchone()[0])
