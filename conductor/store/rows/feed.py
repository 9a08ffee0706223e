"""Reads rows of the feed. Those that cannot be read, and those of deleted runs, are left out."""

from collections.abc import Sequence
from typing import Any

from conductor.store.codec import UndecodableEventError, decode_event
from conductor.store.records import FeedEntry, FeedPage, StoredEvent
from conductor.store.rows.listing import read_labels


def join_feed(events: Sequence[Any], deletions: Sequence[Any], after_id: int, size: int) -> FeedPage:
    """Returns a page of events and deletions in one order.

    Rows are (id, run, flow, labels, position, time, type, data, delete time, root) of an event, and (id, run, flow, labels, time)
    of a deletion.
    """
    ids = sorted([*(row[0] for row in events), *(row[0] for row in deletions)])[:size]
    last = ids[-1] if ids else after_id
    entries = [*map(_event_entry, events), *map(_deletion_entry, deletions)]
    known = [entry for entry in entries if entry is not None and entry.id <= last]
    return FeedPage(tuple(sorted(known, key=lambda entry: entry.id)), last)


def _deletion_entry(row: Any) -> FeedEntry | None:
    entry_id, run, flow, labels, time = row
    try:
        return FeedEntry(entry_id, run, flow, read_labels(labels), None, time)
    except ValueError:
        return None


def _event_entry(row: Any) -> FeedEntry | None:
    entry_id, run, flow, labels, position, time, type_name, data, delete_time, root = row
    if delete_time is not None:
        return None
    try:
        event = StoredEvent(position, time, decode_event(type_name, data))
        return FeedEntry(entry_id, run, flow, read_labels(labels), event, is_sub_run=bool(root))
    except (UndecodableEventError, ValueError):
        return None
