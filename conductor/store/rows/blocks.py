"""Opens blocks: packed texts as if they had never been packed, at the same positions and offsets.

A block replaces small rows of `chunks` of one run; its strips say which piece of which channel its texts are. `windows` decides
what is packed, `packing` knows the format.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conductor.store.rows.packing import Entry, UnreadableBlockError, unpack


@dataclass(frozen=True, slots=True)
class Block:
    """A row of `blocks`."""

    key: int
    position: int
    first_position: int
    entries: int
    data: bytes


def open_block(block: Block, lengths: Sequence[tuple[int, int]]) -> list[Entry]:
    """Returns a block's entries, after a check that they are text and agree with the block's columns and strips.

    `lengths` are those of its strips, as (number, bytes), by number.
    """
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
    found: dict[int, int] = {}
    for entry in entries:
        found[entry.strip] = found.get(entry.strip, 0) + len(entry.text)
    if lengths != sorted(found.items()):
        raise _unreadable(block, "its texts differ from its strips")
    return entries


def list_items(
    block: Block, entries: Sequence[Entry], rows: Sequence[tuple[int, str, str, int]]
) -> Iterator[tuple[Any, ...]]:
    """Returns a block's texts as (position, time, channel, text, attempt, end), like rows of chunks.

    `rows` are its strips, as (number, attempt, channel, start).
    """
    strips = {number: (attempt, channel) for number, attempt, channel, _ in rows}
    ends = {number: start for number, *_, start in rows}
    if not all(entry.strip in strips for entry in entries):
        raise _unreadable(block, "it holds texts of an attempt that is missing")
    for entry in entries:
        attempt, channel = strips[entry.strip]
        ends[entry.strip] += len(entry.text)
        yield entry.position, entry.time, channel, entry.text, attempt, ends[entry.strip]


def join_strip(entries: Sequence[Entry], number: int) -> bytes:
    """Returns the piece of a channel that a strip is."""
    return b"".join(entry.text for entry in entries if entry.strip == number)


def _unreadable(block: Block, why: str) -> UnreadableBlockError:
    text = f"blocks, position {block.position} (texts from position {block.first_position} on): {why}"
    return UnreadableBlockError(text)
