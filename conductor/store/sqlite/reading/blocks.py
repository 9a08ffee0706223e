"""Reads packed texts as if they had never been packed: the same texts at the same positions and offsets.

A block that cannot be read fails the read at the first of its positions that is asked for: texts before it are returned, and so
are texts after it to a reader who asks for those.
"""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from conductor.store.rows.blocks import Block, join_strip, list_items, open_block
from conductor.store.rows.packing import Entry, UnreadableBlockError

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


def read_packed(connection: sqlite3.Connection, run: int, after: int) -> Generator[tuple[Any, ...], None, None]:
    """Returns texts after a position as (position, time, channel, text, attempt, end), like rows of chunks.

    A block that cannot be read yields (position, UnreadableBlockError) at the first position that was asked of it: raised at
    once, the error would overtake the items before it.
    """
    for row in connection.execute(_BLOCKS, (run, after)):
        block = Block(*row)
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
            yield end, join_strip(_open(connection, Block(*row)), number)


def find_channel_end(connection: sqlite3.Connection, attempt: int, channel: str) -> int:
    """Returns a channel's length in bytes. Reads indexes only."""
    return int(connection.execute(_CHANNEL_END, (attempt, channel)).fetchone()[0])


def find_unreadable(connection: sqlite3.Connection, run: int) -> Iterator[str]:
    """Returns a text for each block of a run that cannot be read."""
    for row in connection.execute(_BLOCKS, (run, 0)):
        try:
            _open(connection, Block(*row))
        except UnreadableBlockError as error:
            yield str(error)


def _items(connection: sqlite3.Connection, block: Block) -> Iterator[tuple[Any, ...]]:
    return list_items(block, _open(connection, block), connection.execute(_STRIPS, (block.key,)).fetchall())


def _open(connection: sqlite3.Connection, block: Block) -> list[Entry]:
    return open_block(block, connection.execute(_LENGTHS, (block.key,)).fetchall())
