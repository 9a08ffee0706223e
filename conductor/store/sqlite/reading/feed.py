"""Reads the events of all runs in the order of their ids."""

import sqlite3
from typing import Any

from conductor.store.codec import UndecodableEventError, decode_event
from conductor.store.port import FEED_EVENTS
from conductor.store.records import FeedEntry, FeedPage, StoredEvent
from conductor.store.sqlite.reading.listing import read_labels

_FEED = """
SELECT j.id, r.run, r.flow, r.labels, j.position, j.time, j.type, CAST(j.data AS BLOB), r.delete_time
FROM journal j JOIN runs r ON r.key = j.run WHERE j.id > ? ORDER BY j.id LIMIT ?
"""


def read_feed(connection: sqlite3.Connection, after_id: int, limit: int) -> FeedPage:
    """Returns events of all runs after an id. Rows that cannot be read, and those of deleted runs, are left out."""
    rows = connection.execute(_FEED, (after_id, min(limit, FEED_EVENTS))).fetchall()
    entries = [entry for row in rows if (entry := _feed_entry(row)) is not None]
    return FeedPage(tuple(entries), rows[-1][0] if rows else after_id)


def read_last_id(connection: sqlite3.Connection) -> int:
    """Returns the id of the newest row: the feed has nothing after it yet."""
    return int(connection.execute("SELECT last_id FROM meta").fetchone()[0])


def _feed_entry(row: Any) -> FeedEntry | None:
    entry_id, run, flow, labels, position, time, type_name, data, delete_time = row
    if delete_time is not None:
        return None
    try:
        return FeedEntry(
            entry_id, run, flow, read_labels(labels), StoredEvent(position, time, decode_event(type_name, data))
        )
    except (UndecodableEventError, ValueError):
        return None
