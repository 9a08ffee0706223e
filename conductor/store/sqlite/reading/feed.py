"""Reads the events of all runs in the order of their ids."""

import sqlite3
from typing import Any

from conductor.store.codec import UndecodableEventError, decode_event
from conductor.store.port import END, FEED_EVENTS
from conductor.store.records import FeedEntry, FeedPage, StoredEvent
from conductor.store.sqlite.reading.listing import read_labels

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
    ids = sorted([*(row[0] for row in rows), *(row[0] for row in gone)])[:size]
    last = ids[-1] if ids else after_id
    entries = [*map(_feed_entry, rows), *map(_deletion_entry, gone)]
    known = [entry for entry in entries if entry is not None and entry.id <= last]
    return FeedPage(tuple(sorted(known, key=lambda entry: entry.id)), last)


def read_last_id(connection: sqlite3.Connection) -> int:
    """Returns the id of the newest row: the feed has nothing after it yet."""
    return int(connection.execute("SELECT last_id FROM meta").fetchone()[0])


def _deletion_entry(row: Any) -> FeedEntry | None:
    entry_id, run, flow, labels, time = row
    try:
        return FeedEntry(entry_id, run, flow, read_labels(labels), None, time)
    except ValueError:
        return None


def _feed_entry(row: Any) -> FeedEntry | None:
    entry_id, run, flow, labels, position, time, type_name, data, delete_time, root = row
    if delete_time is not None:
        return None
    try:
        event = StoredEvent(position, time, decode_event(type_name, data))
        return FeedEntry(entry_id, run, flow, read_labels(labels), event, is_sub_run=bool(root))
    except (UndecodableEventError, ValueError):
        return None
