"""Reads the runs that have not ended, as a new process needs them, and finds gaps in a run."""

import sqlite3

from conductor.store.codec import UndecodableEventError
from conductor.store.port import END
from conductor.store.records import StoredEvent, StoredRun
from conductor.store.rows.history import decode_events, find_wrong_cursor
from conductor.store.sqlite.reading.history import EVENTS

_NOT_UTF8 = "Could not decode to UTF-8"


def read_unfinished(connection: sqlite3.Connection) -> list[StoredRun]:
    """Returns every run that has not ended, the oldest first. One that cannot be read harms no other (I5)."""
    rows = connection.execute("SELECT key, run FROM runs WHERE end_time IS NULL ORDER BY create_time, run").fetchall()
    return [_read_unfinished_run(connection, key, run) for key, run in rows]


def _read_unfinished_run(connection: sqlite3.Connection, key: int, run: str) -> StoredRun:
    cursors: dict[str, int] = {}
    events: list[StoredEvent] = []
    damage = find_gap(connection, key)
    try:
        cursors.update(connection.execute("SELECT attempt, cursor FROM attempts WHERE run = ?", (key,)).fetchall())
        for event in decode_events(connection.execute(EVENTS, (key, 0, END)).fetchall()):
            events.append(event)  # noqa: PERF402 (one by one, to keep those before the one that cannot be read)
    except UndecodableEventError as error:
        damage = str(error)
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_NOT_UTF8):
            raise
        damage = f"journal, after position {len(events)}: {error}"
    return StoredRun(run, tuple(events), cursors, damage or find_wrong_cursor(cursors))


def find_gap(connection: sqlite3.Connection, run: int) -> str:
    """Returns how many positions of a run are missing, as a text; empty where it is whole. Reads indexes only."""
    query = (
        "SELECT last_position, (SELECT count(*) FROM journal WHERE run = ?1), (SELECT count(*) FROM chunks WHERE run = ?1)"
        " + (SELECT coalesce(sum(entries), 0) FROM blocks WHERE run = ?1) FROM runs WHERE key = ?1"
    )
    last, events, chunks = connection.execute(query, (run,)).fetchone()
    if events + chunks == last:
        return ""
    return f"journal and chunks hold {events + chunks} rows where runs.last_position says {last}"
