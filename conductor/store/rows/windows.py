"""Packs the small rows of a settled run into blocks, a window of positions at a time, so that every reader reads as before.

A row for each word takes twelve times the room of the word. Agents that talk at once alternate in their run's positions, so
joining the rows of one channel would join little: a window takes all texts in it, of every attempt. Large rows stay rows, and so
do rows that cannot be right (`conductor doctor` goes on naming them) and windows that would gain little.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conductor.store.rows.packing import MAX_ENTRIES, MAX_TEXT_BYTES, Entry, pack

SMALL_BYTES = 1024  # a larger row costs little beside its text
LISTED_RUNS = 100
# About what an engine needs for a row and its index entries; measured with short rows, and rather too low.
ROW_BYTES = 50
BLOCK_BYTES = 60
STRIP_BYTES = 70
WORTH = 0.75  # of the rows' size: the pages of a block are never quite full


@dataclass(frozen=True, slots=True)
class _Row:
    """A small row of `chunks`, at its place in its channel."""

    id: int
    position: int
    time: float
    place: tuple[int, str]
    end_byte: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Strip:
    """A piece of a channel without a gap."""

    place: tuple[int, str]
    start_byte: int
    end_byte: int


@dataclass(frozen=True, slots=True)
class NewBlock:
    """The replacement of the rows with these ids."""

    ids: list[int]
    first_position: int
    position: int
    strips: list[Strip]
    data: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """A window of positions, packed: `block` is None where its rows stay. It is valid while the run is at `after`."""

    run: int
    after: int
    upto: int
    block: NewBlock | None


class RowsLostError(Exception):
    """The rows that a block replaces are not those that it was made from."""


def pack_window(run: int, after: int, last: int, rows: Iterable[Any]) -> Window:
    """Packs the next window of a run's rows after a position; `last` is the run's last one.

    Rows are (id, position, time, attempt, channel as bytes, end, text), with NULL for a text that is not small.
    """
    upto, small = _take(rows, last)
    return Window(run, after, upto, _make_block(small))


def _take(rows: Iterable[Any], last: int) -> tuple[int, list[_Row]]:
    """Returns the small rows of the next window, and the position that it reaches to."""
    taken: list[_Row] = []
    upto, used = 0, 0
    for seen, (row, position, time, attempt, channel, end_byte, text) in enumerate(rows, start=1):
        used += len(text or b"")
        if used > MAX_TEXT_BYTES:
            return upto, taken
        if text is not None and end_byte >= len(text) and (name := _decode(channel)) and _decode(text) is not None:
            taken.append(_Row(row, position, time, (attempt, name), end_byte, text))
        upto = position
        if seen == MAX_ENTRIES:
            return upto, taken
    return last, taken


def _decode(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _make_block(rows: Sequence[_Row]) -> NewBlock | None:
    if not rows:
        return None
    strips: list[Strip] = []
    entries = list(_number(rows, strips))
    data = pack(entries)
    size = len(data) + BLOCK_BYTES + STRIP_BYTES * len(strips)
    if size > WORTH * sum(len(row.text) + ROW_BYTES for row in rows):
        return None
    return NewBlock([row.id for row in rows], rows[0].position, rows[-1].position, strips, data)


def _number(rows: Sequence[_Row], strips: list[Strip]) -> Iterator[Entry]:
    """Returns rows as entries, and adds their strips: one per channel, and another after each gap in it."""
    numbers: dict[tuple[int, str], int] = {}
    for row in rows:
        start = row.end_byte - len(row.text)
        number = numbers.get(row.place)
        if number is None or strips[number].end_byte != start:
            number = numbers[row.place] = len(strips)
            strips.append(Strip(row.place, start, row.end_byte))
        else:
            strips[number] = Strip(row.place, strips[number].start_byte, row.end_byte)
        yield Entry(row.position, row.time, number, row.text)
