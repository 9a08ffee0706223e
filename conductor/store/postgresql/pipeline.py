"""Sends statements as one transaction, in one round trip: all at once, with one Sync behind them, which is the COMMIT.

psycopg's own pipeline sends one statement after another, each in a packet and with a look for answers; this takes a third of its
time. Statements are prepared at their first use. Each has a fixed text; lists with filters have some dozens.
"""

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, adapt
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

Row: TypeAlias = tuple[Any, ...]
Connection: TypeAlias = AsyncConnection[Row]
# A statement, with its values for each `%s`.
Statement: TypeAlias = tuple[str, Sequence[Any]]

PREPARED = 256  # of a connection; further statements are sent as they are
_ENDS = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


@dataclass(slots=True)
class _Session:
    """What is kept for a connection: how values travel, and the names of prepared statements."""

    transformer: Transformer
    prepared: dict[tuple[str, tuple[int, ...]], bytes] = field(default_factory=dict)


_sessions: WeakKeyDictionary[Connection, _Session] = WeakKeyDictionary()


async def run_together(connection: Connection, *statements: Statement) -> list[list[Row]]:
    """Runs statements as one transaction; returns the rows of each. The first error is raised, and nothing was stored."""
    session = _sessions.get(connection)
    if session is None:
        session = _sessions[connection] = _Session(adapt.Transformer(connection))
    async with connection.lock:
        pgconn = connection.pgconn
        if pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError("the connection is closed")
        pgconn.enter_pipeline_mode()
        try:
            added = _send(pgconn, session, statements)
            results = await connection.wait(_receive(pgconn))
        finally:
            if pgconn.status == ConnStatus.OK:
                pgconn.exit_pipeline_mode()
    failed = next((result for result in results if result.status not in _ENDS), None)
    if failed is None:
        answers = [result for number, result in enumerate(results) if number not in added]
        return [_read(session.transformer, result) for result in answers]
    for number, key in added.items():
        if number >= len(results) or results[number].status not in _ENDS:
            session.prepared.pop(key, None)
    raise error_from_result(failed)


async def ask(connection: Connection, query: str, *values: Any) -> list[Row]:
    """Returns the rows of one statement."""
    return (await run_together(connection, (query, values)))[0]


def _send(pgconn: PGconn, session: _Session, statements: Sequence[Statement]) -> dict[int, tuple[str, tuple[int, ...]]]:
    """Queues the statements; returns which of the results that come are those of preparations."""
    added: dict[int, tuple[str, tuple[int, ...]]] = {}
    for number, (text, values) in enumerate(statements):
        transformer = session.transformer
        sent = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        types, formats = transformer.types or (), transformer.formats
        key = (text, types)
        name = session.prepared.get(key)
        if name is None and len(session.prepared) < PREPARED:
            name = session.prepared[key] = b"s%d" % len(session.prepared)
            added[number + len(added)] = key
            pgconn.send_prepare(name, _numbered(text), types)
        if name is None:
            pgconn.send_query_params(_numbered(text), sent, types, formats, Format.BINARY)
        else:
            pgconn.send_query_prepared(name, sent, formats, Format.BINARY)
    pgconn.pipeline_sync()
    return added


def _receive(pgconn: PGconn) -> Generator[Wait, Ready | int, list[PGresult]]:
    """Sends what is queued, and returns the results up to the Sync."""
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            yield Wait.R
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:  # the end of one statement's results
            if pgconn.status != ConnStatus.OK:
                raise psycopg.OperationalError(pgconn.get_error_message())
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return results
        else:
            results.append(result)


def _read(transformer: Transformer, result: PGresult) -> list[Row]:
    if not result.nfields:
        return []
    transformer.set_pgresult(result, set_loaders=True, format=Format.BINARY)
    return transformer.load_rows(0, result.ntuples, tuple)


@lru_cache(PREPARED * 2)
def _numbered(text: str) -> bytes:
    """Returns a statement as the server takes it, with numbers in the place of `%s`."""
    numbers = iter(range(1, 1000))
    return re.sub("%s", lambda _: f"${next(numbers)}", text).encode()
