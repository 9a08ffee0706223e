"""Examines a whole database, run by run, and names what cannot be right. Changes nothing; works beside running conductors.

It reads each run as its readers do: events that fold, texts that continue, blocks, findings; and it asks the server for blobs that
do not match their digests. Of each run it names the first damage of each kind. It also looks how safely the server keeps what it
was told.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg

from conductor.errors import DatabaseDamagedError, NotFoundError, StorageError
from conductor.store.folding import fold_stored
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import READING, connect
from conductor.store.postgresql.failures import translate
from conductor.store.postgresql.pipeline import Connection, Row, ask, run_together
from conductor.store.postgresql.reading.history import read_events, read_history
from conductor.store.postgresql.reading.listing import read_run
from conductor.store.postgresql.reading.unfinished import CURSORS, GAPS, describe_gap
from conductor.store.postgresql.reading.usage import list_settled, read_usage
from conductor.store.postgresql.schema import Schema, read_version
from conductor.store.raw import Move
from conductor.store.records import SettledRun, Survey, Usage
from conductor.store.refusals import damage_of, refuse_moved
from conductor.store.rows.history import find_wrong_cursor

MAX_DAMAGES = 100
PAGE_BYTES = 256 * 1024

_NEXT_RUN = "SELECT key, run FROM runs WHERE key > %s AND delete_time IS NULL ORDER BY key LIMIT 1"
_GAPS_OF_TEXT = """
WITH pieces AS (
  SELECT attempt, channel, end_byte, end_byte - octet_length(text) AS start_byte FROM chunks WHERE run = %s
  UNION ALL
  SELECT s.attempt, s.channel, s.end_byte, s.start_byte FROM strips s JOIN blocks b ON b.key = s.block WHERE b.run = %s
), placed AS (
  SELECT *, lag(end_byte, 1, 0::bigint) OVER (PARTITION BY attempt, channel ORDER BY end_byte) AS wanted FROM pieces
)
SELECT channel, start_byte, wanted FROM placed WHERE start_byte <> wanted LIMIT 1
"""
_FINDINGS = "SELECT key, data FROM findings WHERE run = %s"
_OTHER_BLOBS = """
SELECT b.digest, (SELECT r.run FROM run_blobs l JOIN runs r ON r.key = l.run WHERE l.digest = b.digest LIMIT 1)
FROM blobs b WHERE encode(sha256(b.data), 'hex') <> b.digest LIMIT %s
"""
_SAFETY = """
SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_standby_names'),
  (SELECT count(*) FROM pg_stat_replication)
"""


@dataclass(frozen=True, slots=True)
class Examination:
    """The result. Each damage is (run, what), each doubt about the server (what, what to do)."""

    shown: str
    conductor_id: str
    usage: Usage
    damages: tuple[tuple[str, str], ...]
    doubts: tuple[tuple[str, str], ...]


async def examine(url: str) -> Examination:
    """Examines the database at a URL. StorageError: there is none, it cannot be reached, or it was moved."""
    async with _opened(url) as (connection, conductor_id, shown):
        safety = await ask(connection, _SAFETY)
        damages = [found async for found in _damages(connection)]
        usage = await read_usage(connection)
    return Examination(shown, conductor_id, usage, tuple(damages[:MAX_DAMAGES]), tuple(_doubts(safety[0])))


async def survey(url: str) -> Survey:
    """Reads the size of the database at a URL, and of each of its settled runs."""
    async with _opened(url) as (connection, conductor_id, _):
        settled: list[SettledRun] = []
        while page := await list_settled(connection, (settled[-1].end_time, settled[-1].run) if settled else (0.0, "")):
            settled += page
        return Survey(conductor_id, await read_usage(connection), tuple(settled))


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[tuple[Connection, str, str]]:
    """Opens a database to read; yields its conductor's id and its name, too."""
    address = DatabaseAddress.read(url)
    connection = await connect(address, READING)
    try:
        if await read_version(connection, address, Schema()) != Schema().version:
            text = f"the {address.shown} has no conductor's schema, or an older one"
            raise StorageError(text, hint="start its conductor once, which makes or upgrades it")
        own_id, moved = (await ask(connection, "SELECT conductor_id, moved FROM meta"))[0]
        refuse_moved(Move.decode(moved), url)
        yield connection, str(own_id), address.shown
    except psycopg.Error as error:
        raise translate(error, address) from error
    finally:
        await connection.close()


async def _damages(connection: Connection) -> AsyncIterator[tuple[str, str]]:
    key = 0
    while rows := await ask(connection, _NEXT_RUN, key):
        key, run = rows[0]
        try:
            async for text in _of_run(connection, key, run):
                yield run, text
        except NotFoundError:
            continue  # it was deleted meanwhile
    for digest, run in await ask(connection, _OTHER_BLOBS, MAX_DAMAGES):
        yield run or "", f"blobs, {digest}: its content does not match its digest"


async def _of_run(connection: Connection, key: int, run: str) -> AsyncIterator[str]:
    try:
        await read_run(connection, run)
        fold_stored(run, await read_events(connection, run, 0))
    except DatabaseDamagedError as error:
        yield damage_of(error)
    try:
        position = 0
        while page := await read_history(connection, run, position, PAGE_BYTES):
            position = page[-1].position
    except DatabaseDamagedError as error:
        yield damage_of(error)
    gaps, cursors, texts, findings = await run_together(
        connection, (GAPS, ([key],)), (CURSORS, ([key],)), (_GAPS_OF_TEXT, (key, key)), (_FINDINGS, (key,))
    )
    if gap := describe_gap(*gaps[0][1:]):
        yield gap
    if wrong := find_wrong_cursor({attempt: cursor for _, attempt, cursor in cursors}):
        yield wrong
    for channel, start, wanted in texts:
        yield f"chunks, channel {channel}: a text begins at byte {start}, where {wanted} was expected"
    for finding, data in findings:
        if not _is_object(data):
            yield f"findings, {finding}: it is not a JSON object"


def _doubts(safety: Row) -> Iterator[tuple[str, str]]:
    fsync, full_page_writes, synchronous, replicas = safety
    for name, value in (("fsync", fsync), ("full_page_writes", full_page_writes)):
        if value != "on":
            yield f"{name} is {value}: a power cut may damage the database", f"set {name} = on in the server's settings"
    if replicas and not synchronous:
        yield (
            "its replicas are asynchronous: a failover to one loses what was stored last",
            "set synchronous_standby_names in the server's settings",
        )


def _is_object(data: str) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False
