"""What was stored about one run, or about all in their order: read in pages, by key, inside of one function per read.

Nothing here waits or holds a cursor after it returned: an open cursor keeps the write-ahead log from being cleared, and a
slow reader would fill the disk with it.

A row that cannot be read is its run's trouble alone (I5): the error names run, table and row, and what stands before it is given.
JSON is read as bytes, because SQLite's own decoding would fail the whole page for one byte. What is marked as deleted is
seen by nobody.
"""

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from heapq import merge
from operator import itemgetter
from typing import Any

from conductor.core.model.output import Channel, Output
from conductor.errors import DatabaseDamagedError, NotFoundError
from conductor.store.codec import UndecodableEventError, decode_event
from conductor.store.port import CHANNEL_BYTES, END, FEED_EVENTS, HISTORY_BYTES
from conductor.store.records import (
    FeedEntry,
    FeedPage,
    Stored,
    StoredEvent,
    StoredOutput,
    StoredRequest,
    StoredRun,
)
from conductor.store.refusals import describe_deletion, run_not_found
from conductor.store.sqlite.reading.listing import read_labels
from conductor.store.sqlite.writing.blocks import find_channel_end, one_moment, read_packed, read_pieces
from conductor.store.sqlite.writing.packing import UnreadableBlockError

_NOT_UTF8 = "Could not decode to UTF-8"

_EVENTS = """
SELECT position, time, type, CAST(data AS BLOB) FROM journal WHERE run = ? AND position > ? AND position <= ? ORDER BY position
"""

_HISTORY = """
SELECT j.position, j.time, j.type, CAST(j.data AS BLOB), NULL, NULL FROM journal j WHERE j.run = ?1 AND j.position > ?2
UNION ALL
SELECT c.position, c.time, c.channel, c.text, a.attempt, c.end_byte
FROM chunks c JOIN attempts a ON a.key = c.attempt WHERE c.run = ?1 AND c.position > ?2
ORDER BY 1
"""

_REQUEST = """
SELECT q.digest, r.run, NULL, NULL FROM requests q JOIN runs r ON r.key = q.run WHERE q.request_id = ?1
UNION ALL
SELECT s.digest, s.run, d.time, d.why FROM spent_requests s JOIN deletions d ON d.run = s.run WHERE s.request_id = ?1
UNION ALL
SELECT '', run, time, why FROM deletions WHERE request_id = ?1 AND request_id <> ''
"""

_FEED = """
SELECT j.id, r.run, r.flow, r.labels, j.position, j.time, j.type, CAST(j.data AS BLOB), r.delete_time
FROM journal j JOIN runs r ON r.key = j.run WHERE j.id > ? ORDER BY j.id LIMIT ?
"""


def read_unfinished(connection: sqlite3.Connection) -> list[StoredRun]:
    """Gives every run that has not ended, the oldest first. One that cannot be read harms no other (I5)."""
    rows = connection.execute("SELECT key, run FROM runs WHERE end_time IS NULL ORDER BY create_time, run").fetchall()
    return [_read_unfinished_run(connection, key, run) for key, run in rows]


def read_events(connection: sqlite3.Connection, run: str, after: int, upto: int = END) -> list[StoredEvent]:
    """Gives a run's events after a position: a run's steps and attempts are capped, hence so are they."""
    rows = connection.execute(_EVENTS, (find_run(connection, run), after, upto)).fetchall()
    try:
        return list(_decode_events(rows))
    except UndecodableEventError as error:
        raise _damaged(run, error) from error


def read_history(connection: sqlite3.Connection, run: str, after: int, max_bytes: int) -> list[Stored]:
    """Gives what follows a position, events and text in their one order: about `max_bytes` of it, at least one item."""
    budget = min(max_bytes, HISTORY_BYTES)
    taken: list[Stored] = []
    with one_moment(connection):
        key = find_run(connection, run)
        with (
            closing(connection.execute(_HISTORY, (key, after))) as cursor,
            closing(read_packed(connection, key, after)) as packed,
        ):
            try:
                for item in _take(merge(cursor, packed, key=itemgetter(0)), budget):
                    taken.append(item)  # noqa: PERF402 (one by one, to keep those before the one that cannot be read)
            except (UndecodableEventError, UnreadableBlockError) as error:
                if not taken:
                    raise _damaged(run, str(error)) from error
    return taken


def read_feed(connection: sqlite3.Connection, after_id: int, limit: int) -> FeedPage:
    """Gives events of all runs after an id. A row that cannot be read is passed over, as are those of deleted runs."""
    rows = connection.execute(_FEED, (after_id, min(limit, FEED_EVENTS))).fetchall()
    entries = [entry for row in rows if (entry := _feed_entry(row)) is not None]
    return FeedPage(tuple(entries), rows[-1][0] if rows else after_id)


def read_last_id(connection: sqlite3.Connection) -> int:
    """Gives the id after which the feed has only what is yet to come."""
    return int(connection.execute("SELECT last_id FROM meta").fetchone()[0])


def read_channel(
    connection: sqlite3.Connection, attempt: str, channel: str, offset: int, limit: int
) -> tuple[bytes, int]:
    """Gives at most `limit` bytes of a channel from `offset`, cut where they are cut, and the channel's length."""
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
            return _collect(run, pieces, offset, wanted), total


def read_blob(connection: sqlite3.Connection, run: str, digest: str) -> bytes:
    """Gives a blob that the run's events name."""
    query = (
        "SELECT b.data FROM blobs b JOIN run_blobs l ON l.digest = b.digest JOIN runs r ON r.key = l.run"
        " WHERE r.run = ? AND b.digest = ? AND r.delete_time IS NULL"
    )
    row = connection.execute(query, (run, digest)).fetchone()
    if row is None:
        raise NotFoundError("blob", digest, metadata={"run": run})
    if hashlib.sha256(row[0]).hexdigest() != digest:
        raise _damaged(run, f"blobs, {digest}: its content is not what its name says")
    return bytes(row[0])


def read_requests(connection: sqlite3.Connection, request_ids: Sequence[str]) -> dict[str, StoredRequest]:
    """Gives what became of those of the request ids that are known."""
    found = {name: connection.execute(_REQUEST, (name,)).fetchone() for name in request_ids}
    return {
        name: StoredRequest(row[0], row[1], "" if row[2] is None else describe_deletion(*row[2:]))
        for name, row in found.items()
        if row is not None
    }


def read_known_runs(connection: sqlite3.Connection, runs: Collection[str]) -> frozenset[str]:
    """Gives those of some names that are runs."""
    query = "SELECT run FROM runs WHERE run IN (SELECT value FROM json_each(?))"
    return frozenset(row[0] for row in connection.execute(query, (json.dumps(sorted(runs)),)).fetchall())


def find_run(connection: sqlite3.Connection, run: str) -> int:
    """Gives a run's key; NotFoundError where there is no such run."""
    row = connection.execute("SELECT key FROM runs WHERE run = ? AND delete_time IS NULL", (run,)).fetchone()
    if row is None:
        raise not_found(connection, run)
    return int(row[0])


def not_found(connection: sqlite3.Connection, run: str) -> NotFoundError:
    """Gives the error for a run that there is not; it tells what is still known of it."""
    row = connection.execute("SELECT time, why FROM deletions WHERE run = ?", (run,)).fetchone()
    return run_not_found(run, "" if row is None else describe_deletion(*row))


def _read_unfinished_run(connection: sqlite3.Connection, key: int, run: str) -> StoredRun:
    cursors: dict[str, int] = {}
    events: list[StoredEvent] = []
    damage = find_gap(connection, key)
    try:
        cursors.update(connection.execute("SELECT attempt, cursor FROM attempts WHERE run = ?", (key,)).fetchall())
        for event in _decode_events(connection.execute(_EVENTS, (key, 0, END)).fetchall()):
            events.append(event)  # noqa: PERF402 (one by one, to keep those before the one that cannot be read)
    except UndecodableEventError as error:
        damage = str(error)
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_NOT_UTF8):
            raise
        damage = f"journal, after position {len(events)}: {error}"
    return StoredRun(run, tuple(events), cursors, damage or find_wrong_cursor(cursors))


def find_gap(connection: sqlite3.Connection, run: int) -> str:
    """Tells which positions of a run nothing is stored at; empty where it is whole. Looks at indexes only."""
    query = (
        "SELECT last_position, (SELECT count(*) FROM journal WHERE run = ?1), (SELECT count(*) FROM chunks WHERE run = ?1)"
        " + (SELECT coalesce(sum(entries), 0) FROM blocks WHERE run = ?1) FROM runs WHERE key = ?1"
    )
    last, events, chunks = connection.execute(query, (run,)).fetchone()
    if events + chunks == last:
        return ""
    return f"journal and chunks hold {events + chunks} rows where runs.last_position says {last}"


def find_wrong_cursor(cursors: Mapping[str, int]) -> str:
    """Tells which attempt's cursor cannot be one; empty where all can."""
    return next((f"attempts, {name}: its cursor is {cursor}" for name, cursor in cursors.items() if cursor < 0), "")


def _decode_events(rows: Iterable[Any]) -> Iterator[StoredEvent]:
    for position, time, type_name, data in rows:
        yield StoredEvent(position, time, _decode(position, type_name, data))


def _decode(position: int, type_name: str, data: bytes) -> Any:
    try:
        return decode_event(type_name, data)
    except UndecodableEventError as error:
        raise UndecodableEventError(f"journal, position {position} ({type_name}): {error}") from error


def _channel(position: int, name: str) -> Channel:
    try:
        return Channel(name)
    except ValueError as error:
        raise UndecodableEventError(f"chunks, position {position}: {error}") from error


def _text(position: int, data: bytes, end: int) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UndecodableEventError(f"chunks, position {position}: {error}") from error
    if end < len(data):
        raise UndecodableEventError(f"chunks, position {position}: {len(data)} bytes that end at byte {end}")
    return text


def _take(rows: Iterable[Any], budget: int) -> Iterator[Stored]:
    used = 0
    for row in rows:
        if isinstance(row[1], UnreadableBlockError):
            raise row[1]
        position, time, kind, data, attempt, end = row
        used += len(data)
        if used > budget and used > len(data):  # the first is given however large it is
            return
        if attempt is None:
            yield StoredEvent(position, time, _decode(position, kind, data))
        else:
            output = Output(attempt, _channel(position, kind), _text(position, data, end))
            yield StoredOutput(position, time, end - len(data), output)


def _collect(run: str, pieces: Iterable[tuple[int, bytes]], offset: int, wanted: int) -> bytes:
    collected = bytearray()
    try:
        for end, text in pieces:
            collected += text[max(offset - (end - len(text)), 0) :]
            if len(collected) >= wanted:
                break
    except UnreadableBlockError as error:
        if not collected:
            raise _damaged(run, str(error)) from error
    return bytes(collected[:wanted])


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


def _damaged(run: str, error: UndecodableEventError | str) -> DatabaseDamagedError:
    return DatabaseDamagedError(f"a row of run {run} cannot be read: {error}", metadata={"run": run})
