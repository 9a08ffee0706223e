"""Reads packed texts as if they had never been packed: the same texts at the same positions and offsets.

A block replaces small rows of `chunks` of one run; its strips say which piece of which channel its texts are. `compaction`
decides what is packed, `packing` knows the format. A block that cannot be read fails the read at the first of its positions that
is asked for: texts before it are returned, and so are texts after it to a reader who asks for those.
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

# Both sides come in the order of an index, so no text is sorted.
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
    """Returns texts after a position as (position, time, channel, text, attempt, end), like rows of chunks.

    A block that cannot be read yields (position, UnreadableBlockError) at the first position that was asked of it: raised at
    once, the error would overtake the items before it.
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
    """Returns the pieces of a channel that end beyond `offset`, each with its end. UnreadableBlockError: one cannot be read."""
    for end, text, key, number in connection.execute(_CHANNEL, (attempt, channel, offset)):
        if key is None:
            yield end, text
        else:
            row = connection.execute(_BLOCK, (key,)).fetchone()
            if row is None:
                raise UnreadableBlockError(f"strips, up to byte {end}: their block {key} is missing")
            yield end, b"".join(entry.text for entry in _open(connection, _Block(*row)) if entry.strip == number)


def find_channel_end(connection: sqlite3.Connection, attempt: int, channel: str) -> int:
    """Returns a channel's length in bytes. Reads indexes only."""
    return int(connection.execute(_CHANNEL_END, (attempt, channel)).fetchone()[0])


def find_unreadable(connection: sqlite3.Connection, run: int) -> Iterator[str]:
    """Returns a text for each block of a run that cannot be read."""
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
        raise _unreadable(block, "it holds texts of an attempt that is missing")
    for entry in entries:
        attempt, channel = strips[entry.strip]
        ends[entry.strip] += len(entry.text)
        yield entry.position, entry.time, channel, entry.text, attempt, ends[entry.strip]


def _open(connection: sqlite3.Connection, block: _Block) -> list[Entry]:
    """Returns a block's entries, after a check that they are text and agree with the block's columns and strips."""
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
        raise _unreadable(block, "its entries differ from its row")
    lengths: dict[int, int] = {}
    for entry in entries:
        lengths[entry.strip] = lengths.get(entry.strip, 0) + len(entry.text)
    if connection.execute(_LENGTHS, (block.key,)).fetchall() != sorted(lengths.items()):
        raise _unreadable(block, "its texts differ from its strips")
    return entries


def _unreadable(block: _Block, why: str) -> UnreadableBlockError:
    text = f"blocks, position {block.position} (texts from position {block.first_position} on): {why}"
    return UnreadableBlockError(text)
