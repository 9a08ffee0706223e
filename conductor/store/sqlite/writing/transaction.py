"""Writes one decision, whole or not at all: events, texts, blobs, cursors and the lists that follow from them.

Positions and ids are assigned inside the transaction, from what the database holds: nothing is remembered between transactions,
so there is nothing to undo after a failed one.
"""

import re
import sqlite3
from dataclasses import dataclass, field, replace

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.attempt_events import AttemptCreated
from conductor.core.model.events.run_events import RunCreated
from conductor.core.model.output import Output
from conductor.store.codec import encode
from conductor.store.port import RepeatedEventError
from conductor.store.records import Stored, StoredEvent, StoredOutput
from conductor.store.rows.projection import find_document
from conductor.store.sqlite.reading.blocks import find_channel_end
from conductor.store.sqlite.writing.hosts import write_hosts
from conductor.store.sqlite.writing.projection import create_run, drop_merged, project
from conductor.store.texts import split_text

Written = dict[str, list[Stored]]

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class _Run:
    key: int
    position: int
    written: list[Stored] = field(default_factory=list)


@dataclass(slots=True)
class _Transaction:
    """The state of one transaction while it runs."""

    connection: sqlite3.Connection
    decision: Decision
    time: float
    last_id: int
    runs: dict[str, _Run] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    ends: dict[tuple[int, str], int] = field(default_factory=dict)
    links: set[tuple[int, str]] = field(default_factory=set)
    found: set[int] = field(default_factory=set)  # runs with new findings


def write(connection: sqlite3.Connection, decision: Decision, time: float) -> Written:
    """Stores a decision; returns its events and texts by run, as a reader would read them."""
    # SQLite takes this outside transactions only; it costs nothing where it does not change.
    connection.execute(f"PRAGMA synchronous = {'FULL' if decision.durable else 'NORMAL'}").fetchall()
    # IMMEDIATE: a deferred transaction fails at its first write, whatever the timeout, where another process wrote meanwhile.
    connection.execute("BEGIN IMMEDIATE")
    try:
        written = _write_all(connection, decision, time)
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        connection.rollback()
        raise RepeatedEventError(f"stored already, or about something unknown: {error}") from error
    except BaseException:
        connection.rollback()
        raise
    return written


def _write_all(connection: sqlite3.Connection, decision: Decision, time: float) -> Written:
    last_id = connection.execute("SELECT last_id FROM meta").fetchone()[0]
    at = _Transaction(connection, decision, time, last_id)
    connection.executemany(
        "INSERT OR IGNORE INTO blobs (digest, data) VALUES (?, ?)",
        [(blob.digest, blob.data) for blob in decision.blobs],
    )
    write_hosts(connection, decision.hosts, time)
    for item in decision.to_store:
        if isinstance(item, Record):
            _write_record(at, item)
        else:
            _write_output(at, item)
    connection.executemany(
        "UPDATE attempts SET cursor = ? WHERE key = ?",
        [(sequence, _find_attempt(at, attempt)) for attempt, sequence in decision.cursors],
    )
    _link_blobs(at)
    for run in at.found:
        drop_merged(connection, run)
    connection.executemany(
        "UPDATE runs SET last_position = ? WHERE key = ?", [(run.position, run.key) for run in at.runs.values()]
    )
    connection.execute("UPDATE meta SET last_id = ?", (at.last_id,))
    return {name: run.written for name, run in at.runs.items()}


def _write_record(at: _Transaction, record: Record) -> None:
    event = record.event
    if isinstance(event, RunCreated):
        at.runs[record.run] = _Run(create_run(at.connection, event, at.time), 0)
    run = _find_run(at, record.run)
    run.position += 1
    at.last_id += 1
    run.written.append(StoredEvent(run.position, at.time, event))
    data = encode(event)
    at.connection.execute(
        "INSERT INTO journal (id, run, position, time, type, key, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (at.last_id, run.key, run.position, at.time, type(event).__name__, record.key, data),
    )
    if isinstance(event, AttemptCreated):
        at.connection.execute(
            "INSERT INTO attempts (attempt, run, step) VALUES (?, ?, ?)", (event.attempt, run.key, event.step)
        )
    if find_document(event):
        at.found.add(run.key)
    project(at.connection, run.key, event, at.time, lambda digest: _read_blob(at.connection, digest))
    at.links.update((run.key, digest) for digest in _DIGEST.findall(data))


def _write_output(at: _Transaction, output: Output) -> None:
    run = _find_run(at, output.run)
    attempt = _find_attempt(at, output.attempt)
    channel = (attempt, output.channel.value)
    end = at.ends.get(channel)
    if end is None:
        end = find_channel_end(at.connection, *channel)
    for piece in split_text(output.text):
        run.position += 1
        at.last_id += 1
        run.written.append(StoredOutput(run.position, at.time, end, replace(output, text=piece.decode())))
        end += len(piece)
        at.connection.execute(
            "INSERT INTO chunks (id, run, position, time, attempt, channel, end_byte, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (at.last_id, run.key, run.position, at.time, *channel, end, piece),
        )
    at.ends[channel] = end


def _find_run(at: _Transaction, name: str) -> _Run:
    if name not in at.runs:
        row = at.connection.execute("SELECT key, last_position FROM runs WHERE run = ?", (name,)).fetchone()
        if row is None:
            raise LookupError(f"an item of a run that was never created: {name}")
        at.runs[name] = _Run(*row)
    return at.runs[name]


def _find_attempt(at: _Transaction, name: str) -> int:
    if name not in at.attempts:
        row = at.connection.execute("SELECT key FROM attempts WHERE attempt = ?", (name,)).fetchone()
        if row is None:
            raise LookupError(f"an item of an attempt that was never created: {name}")
        at.attempts[name] = int(row[0])
    return at.attempts[name]


def _link_blobs(at: _Transaction) -> None:
    """Notes which run needs which blob: the run whose events name it."""
    brought = {blob.digest for blob in at.decision.blobs}
    at.connection.executemany(
        "INSERT OR IGNORE INTO run_blobs (run, digest) VALUES (?, ?)",
        [link for link in sorted(at.links) if link[1] in brought],
    )


def _read_blob(connection: sqlite3.Connection, digest: str) -> bytes:
    row = connection.execute("SELECT data FROM blobs WHERE digest = ?", (digest,)).fetchone()
    return bytes(row[0]) if row else b""
