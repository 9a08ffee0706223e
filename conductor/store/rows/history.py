"""Reads rows of one run: events, the texts between them, pieces of channels.

A row that cannot be read harms its run alone (I5): the error names run, table and row, and what stands before that row is
returned. JSON comes as bytes: an engine's own decoding would fail the whole page for one byte.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from conductor.core.model.output import Channel, Output
from conductor.store.codec import UndecodableEventError, decode_event
from conductor.store.records import Stored, StoredEvent, StoredOutput
from conductor.store.refusals import damaged_row
from conductor.store.rows.packing import UnreadableBlockError

_CHANNELS = {channel.value: channel for channel in Channel}  # Channel(name) takes five times as long


def decode_events(rows: Iterable[Any]) -> Iterator[StoredEvent]:
    """Returns the events of rows (position, time, type, data); raises UndecodableEventError at the first that cannot be read."""
    for position, time, type_name, data in rows:
        yield StoredEvent(position, time, _decode(position, type_name, data))


def take_page(run: str, rows: Iterable[Any], budget: int) -> list[Stored]:
    """Returns the items of about `budget` bytes of rows, at least one item.

    Rows are (position, time, type, data, NULL, NULL) of an event, (position, time, channel, text, attempt, end) of a text, and
    (position, error) where a block cannot be read.
    """
    taken: list[Stored] = []
    try:
        for item in _take(rows, budget):
            taken.append(item)  # noqa: PERF402 (one by one, to keep those before the one that cannot be read)
    except (UndecodableEventError, UnreadableBlockError) as error:
        if not taken:
            raise damaged_row(run, str(error)) from error
    return taken


def collect(run: str, pieces: Iterable[tuple[int, bytes]], offset: int, wanted: int) -> bytes:
    """Returns at most `wanted` bytes from `offset` of pieces of a channel, which come with their ends."""
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


def find_wrong_cursor(cursors: Mapping[str, int]) -> str:
    """Returns the first impossible cursor of an attempt, as a text; empty where all are possible."""
    return next((f"attempts, {name}: its cursor is {cursor}" for name, cursor in cursors.items() if cursor < 0), "")


def _take(rows: Iterable[Any], budget: int) -> Iterator[Stored]:
    used = 0
    for row in rows:
        if isinstance(row[1], UnreadableBlockError):
            raise row[1]
        position, time, kind, data, attempt, end = row
        used += len(data)
        if used > budget and used > len(data):  # the first item is returned at any size
            return
        if attempt is None:
            yield StoredEvent(position, time, _decode(position, kind, data))
        else:
            output = Output(attempt, _channel(position, kind), _text(position, data, end))
            yield StoredOutput(position, time, end - len(data), output)


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
