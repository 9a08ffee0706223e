"""Reads what was stored about one run: events, their texts between them, and whole channels; in pages, by key.

A page is read in one round trip, and sees one moment: between two reads, rows may become a block.
"""

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from conductor.errors import NotFoundError
from conductor.store.codec import UndecodableEventError
from conductor.store.port import CHANNEL_BYTES, END, HISTORY_BYTES
from conductor.store.postgresql.pipeline import Connection, Row, run_together
from conductor.store.postgresql.reading.runs import finding, key_of
from conductor.store.records import Stored, StoredEvent
from conductor.store.refusals import damaged_row
from conductor.store.rows.blocks import Block, join_strip, list_items, open_block
from conductor.store.rows.history import collect, decode_events, take_page
from conductor.store.rows.packing import MAX_TEXT_BYTES, Entry, UnreadableBlockError

PAGE_ITEMS = 2_000  # of history: an agent's words are many rows
PAGE_BLOCKS = 4
OPENED_BLOCKS = 8  # of a channel, at once

_RUN = "(SELECT key FROM runs WHERE run = %s AND delete_time IS NULL)"
_EVENTS = f"""
SELECT position, time, type, data FROM journal WHERE run = {_RUN} AND position > %s AND position <= %s ORDER BY position
"""
# The sizes of large texts are known without reading them: only those of the page are read.
_HISTORY = f"""
WITH found AS (
  (SELECT position, time, type, convert_to(data, 'UTF8') AS data, NULL::bigint AS attempt, NULL::bigint AS end_byte
   FROM journal WHERE run = {_RUN} AND position > %s ORDER BY position LIMIT %s)
  UNION ALL
  (SELECT position, time, channel, text, attempt, end_byte
   FROM chunks WHERE run = {_RUN} AND position > %s ORDER BY position LIMIT %s)
  ORDER BY 1 LIMIT %s
), sized AS (
  SELECT *, sum(octet_length(data)) OVER (ORDER BY position) - octet_length(data) AS before FROM found
)
SELECT s.position, s.time, s.type, s.data, a.attempt, s.end_byte
FROM sized s LEFT JOIN attempts a ON a.key = s.attempt
WHERE s.before < %s AND (s.attempt IS NULL OR a.attempt IS NOT NULL) ORDER BY s.position
"""
_BLOCKS = f"""
SELECT key, position, first_position, entries, data FROM blocks WHERE run = {_RUN} AND position > %s
ORDER BY position LIMIT %s
"""
_STRIPS = f"""
SELECT s.block, s.number, a.attempt, s.channel, s.start_byte, s.end_byte
FROM strips s LEFT JOIN attempts a ON a.key = s.attempt
WHERE s.block IN (SELECT key FROM blocks WHERE run = {_RUN} AND position > %s ORDER BY position LIMIT %s)
ORDER BY s.block, s.number
"""
_ATTEMPT = """
SELECT a.key, r.run, greatest(
  (SELECT coalesce(max(end_byte), 0) FROM chunks WHERE attempt = a.key AND channel = %s),
  (SELECT coalesce(max(end_byte), 0) FROM strips WHERE attempt = a.key AND channel = %s))
FROM attempts a JOIN runs r ON r.key = a.run WHERE a.attempt = %s AND r.delete_time IS NULL
"""
_PLACE = """
attempt = (SELECT key FROM attempts WHERE attempt = %s) AND channel = %s AND end_byte > %s
"""
_PIECES = f"""
SELECT end_byte, text, NULL, NULL FROM chunks WHERE {_PLACE} AND end_byte - octet_length(text) < %s AND end_byte < %s
UNION ALL
SELECT end_byte, NULL, block, number FROM strips WHERE {_PLACE} AND start_byte < %s AND end_byte < %s
ORDER BY 1
"""
_OPENED = "SELECT key, position, first_position, entries, data FROM blocks WHERE key = ANY(%s)"
_LENGTHS = "SELECT block, number, end_byte - start_byte FROM strips WHERE block = ANY(%s) ORDER BY block, number"


async def read_events(connection: Connection, run: str, after: int, upto: int = END) -> list[StoredEvent]:
    """Returns a run's events after a position. There is a cap on steps and attempts, and so on events."""
    found, rows = await run_together(connection, finding(run), (_EVENTS, (run, after, upto)))
    key_of(run, found)
    try:
        return list(decode_events(rows))
    except UndecodableEventError as error:
        raise damaged_row(run, error) from error


async def read_history(connection: Connection, run: str, after: int, max_bytes: int) -> list[Stored]:
    """Returns about `max_bytes` of what follows a position, events and texts in their one order; at least one item."""
    budget = max(1, min(max_bytes, HISTORY_BYTES))
    place = (run, after, PAGE_ITEMS)
    found, rows, blocks, strips = await run_together(
        connection,
        finding(run),
        (_HISTORY, (*place, *place, PAGE_ITEMS, budget)),
        (_BLOCKS, (run, after, PAGE_BLOCKS)),
        (_STRIPS, (run, after, PAGE_BLOCKS)),
    )
    key_of(run, found)
    if not blocks:
        return take_page(run, rows, budget)
    upto = min(_reach(rows, budget), blocks[-1][1] if len(blocks) == PAGE_BLOCKS else END)
    merged = merge(rows, _unpack(blocks, strips, after), key=itemgetter(0))
    return take_page(run, (row for row in merged if row[0] <= upto), budget)


async def read_channel(
    connection: Connection, attempt: str, channel: str, offset: int, limit: int
) -> tuple[bytes, int]:
    """Returns at most `limit` bytes of a channel from `offset`, perhaps cut inside a character, and the channel's length."""
    offset = max(offset, 0)
    wanted = min(limit, CHANNEL_BYTES) if limit > 0 else CHANNEL_BYTES
    end = offset + wanted
    place = (attempt, channel, offset, end, end + MAX_TEXT_BYTES)
    async with connection.transaction():
        found, pieces = await run_together(
            connection, (_ATTEMPT, (channel, channel, attempt)), (_PIECES, (*place, *place))
        )
        if not found:
            raise NotFoundError("attempt", attempt)
        _, run, total = found[0]
        opened = await _open_blocks(connection, {block for *_, block, _ in pieces if block is not None})
    return collect(run, _join(pieces, opened), offset, wanted), total


def _reach(rows: Sequence[Row], budget: int) -> int:
    """Returns the position up to which nothing is missing between rows that were cut at the budget."""
    is_whole = len(rows) < PAGE_ITEMS and sum(len(row[3]) for row in rows) < budget
    return END if is_whole else int(rows[-1][0])


def _unpack(blocks: Sequence[Row], strips: Sequence[Row], after: int) -> Iterator[Row]:
    """Returns the texts of blocks, like rows of chunks; (position, error) for a block that cannot be read."""
    by_block = {block: list(rows) for block, rows in groupby(strips, key=itemgetter(0))}
    for row in blocks:
        block = Block(*row)
        own = by_block.get(block.key, [])
        lengths = [(number, end - start) for _, number, _, _, start, end in own]
        known = [strip[1:5] for strip in own if strip[2] is not None]
        try:
            for item in list_items(block, open_block(block, lengths), known):
                if item[0] > after:
                    yield item
        except UnreadableBlockError as error:
            yield max(block.first_position, after), error


Opened = Mapping[int, list[Entry] | UnreadableBlockError]


async def _open_blocks(connection: Connection, keys: set[int]) -> Opened:
    opened: dict[int, list[Entry] | UnreadableBlockError] = {}
    ordered = sorted(keys)
    for first in range(0, len(ordered), OPENED_BLOCKS):
        some = ordered[first : first + OPENED_BLOCKS]
        blocks, lengths = await run_together(connection, (_OPENED, (some,)), (_LENGTHS, (some,)))
        by_block = {
            block: [(number, size) for _, number, size in rows] for block, rows in groupby(lengths, itemgetter(0))
        }
        for row in blocks:
            block = Block(*row)
            try:
                opened[block.key] = open_block(block, by_block.get(block.key, []))
            except UnreadableBlockError as error:
                opened[block.key] = error
    return opened


def _join(pieces: Sequence[Row], opened: Opened) -> Iterator[tuple[int, bytes]]:
    for end, text, key, number in pieces:
        if key is None:
            yield end, text
            continue
        entries: Any = opened.get(key, UnreadableBlockError(f"strips, up to byte {end}: their block {key} is missing"))
        if isinstance(entries, UnreadableBlockError):
            raise entries
        yield end, join_strip(entries, number)
