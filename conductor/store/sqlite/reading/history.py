"""Reads what was stored about one run: events, their texts between them, and whole channels; in pages, by key.

Nothing here waits or holds a cursor after it returned: an open cursor keeps the write-ahead log from being cleared, and a slow
reader would fill the disk with it. A row that cannot be read harms its run alone (I5): the error names run, table and row, and
what stands before that row is returned. JSON is read as bytes: SQLite's own decoding would fail the whole page for one byte.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from heapq import merge
from operator import itemgetter
from typing import Any

from conductor.core.model.output import Channel, Output
from conductor.errors import NotFoundError
from conductor.store.codec import UndecodableEventError, decode_event
from conductor.store.port import CHANNEL_BYTES, END, HISTORY_BYTES
from conductor.store.records import Stored, StoredEvent, StoredOutput
from conductor.store.refusals import damaged_row
from conductor.store.sqlite.packing import UnreadableBlockError
from conductor.store.sqlite.reading.blocks import find_channel_end, one_moment, read_packed, read_pieces
from conductor.store.sqlite.reading.runs import find_run

EVENTS = """
SELECT position, time, type, CAST(data AS BLOB) FROM journal WHERE run = ? AND position > ? AND position <= ? ORDER BY position
"""

_CHANNELS = {channel.value: channel for channel in Channel}  # Channel(name) takes five times as long

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
                    raise damaged_row(run, str(error)) from error
    return taken


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
            return _collect(run, pieces, offset, wanted), total


def decode_events(rows: Iterable[Any]) -> Iterator[StoredEvent]:
    """Returns the events of rows of EVENTS; raises UndecodableEventError at the first that cannot be read."""
    for position, time, type_name, data in rows:
        yield StoredEvent(position, time, _decode(position, type_name, data))


def _decode(position: int, type_name: str, data: bytes) -> Any:
    try:
        return decode_event(type_name, data)
    except UndecodableEventError as error:
        raise UndecodableEventError(f"journal, position {position} ({type_name}): {error}") from error


def _channel(position: int, name: str) -> Channel:
    if (channel := _CHANNELS.get(name)) is None:
        raise UndecodableEventError(f"chunks, position {position}: {name!r} is not a valid Channel")
    return channel


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
        if used > budget and used > len(data):  # the first item is returned whatever its size
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
            raise damaged_row(run, str(error)) from error
    return bytes(collected[:wanted])
