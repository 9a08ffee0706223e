"""Reads what compaction packed as if it had never been: the same texts at the same positions and offsets.

A block stands for small rows of `chunks` of one run; its strips say which piece of which channel its texts are. Which rows are
packed is decided in `compaction`, and how in `packing`. A block that cannot be read is told at the first position that is
asked of it: what comes before is given, and so is what comes after for who asks for that.
"""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from conductor.store.sqlite.packing import Entry, UnreadableBlockError, unpack

_BLOCKS = """
SELECT key, position, first_position, entries, data FROM blocks WHERE run = ? AND position > ? ORDER BY position
"""
_BLOCK = "SELECT key, position, first_position, entries, data FROM blocks WHERE key = ?"

_STRIPS = """
SELECT s.number, a.attempt, s.channel, s.start_byte FROM strips s JOIN attempts a ON a.key = s.attempt
WHERE s.block = ?
"""

_LENGTHS = "SELECT number, end_byte - start_byte FROM strips WHERE block = ? ORDER BY number"

# Both sides come in the order of an index, so that no text waits to be sorted.
_CHANNEL = """
SELECT end_byte, text, NULL, NULL FROM chunks WHERE attempt = ?1 AND channel = ?2 AND end_byte > ?3
UNION ALL
SELECT end_byte, NULL, block, number FROM strips WHERE attempt = ?1 AND channel = ?2 AND end_byte > ?3
ORDER BY 1
"""

_CHANNEL_END = """
SELECT max(coalesce((SELECT max(end_byte) FROM chunks WHERE attempt = ?1 AND channel = ?2), 0),
  coalesce((SELECT max(end_byte) FROM strips WHERE attempt = ?1 AND channel = ?2), 0))
"""


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Lets several reads see the same state: between two of them, rows may become a block."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


@dataclass(frozen=True, slots=True)
class _Block:
    """A row of `blocks`."""

    key: int
    position: int
    first_position: int
    entries: int
    data: bytes


def read_packed(connection: sqlite3.Connection, run: int, after: int) -> Generator[tuple[Any, ...], None, None]:
    """Gives texts after a position as (position, time, channel, text, attempt, end), as rows of chunks are read.

    A block that cannot be read gives (position, UnreadableBlockError) instead, at the first position that was asked of it:
    raised at once, it would come before what has its turn before it.
    """
    for row in connection.execute(_BLOCKS, (run, after)):
        block = _Block(*row)
        try:
            for item in _items(connection, block):
                if item[0] > after:
                    yield item
        except UnreadableBlockError as error:
            yield max(block.first_position, after), error


def read_pieces(
    connection: sqlite3.Connection, attempt: int, channel: str, offset: int
) -> Generator[tuple[int, bytes], None, None]:
    """Gives a channel's pieces that end beyond `offset`, each with its end. UnreadableBlockError where one cannot be read."""
    for end, text, key, number in connection.execute(_CHANNEL, (attempt, channel, offset)):
        if key is None:
            yield end, text
        else:
            row = connection.execute(_BLOCK, (key,)).fetchone()
            if row is None:
                raise UnreadableBlockError(f"strips, up to byte {end}: their block {key} is not there")
            yield end, b"".join(entry.text for entry in _open(connection, _Block(*row)) if entry.strip == number)


def find_channel_end(connection: sqlite3.Connection, attempt: int, channel: str) -> int:
    """Gives a channel's length in bytes. Looks at indexes only."""
    return int(connection.execute(_CHANNEL_END, (attempt, channel)).fetchone()[0])


def find_unreadable(connection: sqlite3.Connection, run: int) -> Iterator[str]:
    """Tells of each block of a run that cannot be read."""
    for row in connection.execute(_BLOCKS, (run, 0)):
        try:
            _open(connection, _Block(*row))
        except UnreadableBlockError as error:
            yield str(error)


def _items(connection: sqlite3.Connection, block: _Block) -> Iterator[tuple[Any, ...]]:
    entries = _open(connection, block)
    rows = connection.execute(_STRIPS, (block.key,)).fetchall()
    strips = {number: (attempt, channel) for number, attempt, channel, _ in rows}
    ends = {number: start for number, *_, start in rows}
    if not all(entry.strip in strips for entry in entries):
        raise _unreadable(block, "it holds what an attempt said that is not there")
    for entry in entries:
        attempt, channel = strips[entry.strip]
        ends[entry.strip] += len(entry.text)
        yield entry.position, entry.time, channel, entry.text, attempt, ends[entry.strip]


def _open(connection: sqlite3.Connection, block: _Block) -> list[Entry]:
    """Gives a block's entries, after a look at whether they are text, and what the block's columns and strips say."""
    try:
        entries = unpack(block.data)
        b"".join(entry.text for entry in entries).decode()
    except (UnreadableBlockError, UnicodeDecodeError) as error:
        raise _unreadable(block, str(error)) from error
    if (entries[0].position, entries[-1].position, len(entries)) != (
        block.first_position,
        block.position,
        block.entries,
    ):
        raise _unreadable(block, "its entries are others than its row says")
    lengths: dict[int, int] = {}
    for entry in entries:
        lengths[entry.strip] = lengths.get(entry.strip, 0) + len(entry.text)
    if connection.execute(_LENGTHS, (block.key,)).fetchall() != sorted(lengths.items()):
        raise _unreadable(block, "its texts are others than its strips say")
    return entries


def _unreadable(block: _Block, why: str) -> UnreadableBlockError:
    told = f"blocks, position {block.position} (what was said from position {block.first_position} on): {why}"
    return UnreadableBlockError(told)
