"""Finds runs, and what is kept of each by its name: its blobs and the request ids that it was asked for with.

A run that is marked as deleted is not found, and the error says when and why it was deleted.
"""

import hashlib
import json
import sqlite3
from collections.abc import Collection, Sequence

from conductor.errors import NotFoundError
from conductor.store.records import StoredRequest
from conductor.store.refusals import damaged_row, describe_deletion, run_not_found

_REQUEST = """
SELECT q.digest, r.run, NULL, NULL FROM requests q JOIN runs r ON r.key = q.run WHERE q.request_id = ?1
UNION ALL
SELECT s.digest, s.run, d.time, d.why FROM spent_requests s JOIN deletions d ON d.run = s.run WHERE s.request_id = ?1
UNION ALL
SELECT '', run, time, why FROM deletions WHERE request_id = ?1 AND request_id <> ''
UNION ALL
SELECT digest, '', NULL, NULL FROM host_requests WHERE request_id = ?1
"""


def find_run(connection: sqlite3.Connection, run: str) -> int:
    """Returns a run's key; raises NotFoundError where there is no such run."""
    row = connection.execute("SELECT key FROM runs WHERE run = ? AND delete_time IS NULL", (run,)).fetchone()
    if row is None:
        raise not_found(connection, run)
    return int(row[0])


def not_found(connection: sqlite3.Connection, run: str) -> NotFoundError:
    """Returns the error for a run that does not exist, or was deleted."""
    row = connection.execute("SELECT time, why FROM deletions WHERE run = ?", (run,)).fetchone()
    return run_not_found(run, "" if row is None else describe_deletion(*row))


def read_known_runs(connection: sqlite3.Connection, runs: Collection[str]) -> frozenset[str]:
    """Returns those of these names that are runs, deleted ones included."""
    query = "SELECT run FROM runs WHERE run IN (SELECT value FROM json_each(?))"
    return frozenset(row[0] for row in connection.execute(query, (json.dumps(sorted(runs)),)).fetchall())


def read_requests(connection: sqlite3.Connection, request_ids: Sequence[str]) -> dict[str, StoredRequest]:
    """Returns the outcome of each of these request ids that is known."""
    found = {name: connection.execute(_REQUEST, (name,)).fetchone() for name in request_ids}
    return {
        name: StoredRequest(row[0], row[1], "" if row[2] is None else describe_deletion(*row[2:]))
        for name, row in found.items()
        if row is not None
    }


def read_blob(connection: sqlite3.Connection, run: str, digest: str) -> bytes:
    """Returns a blob that the run's events name."""
    query = (
        "SELECT b.data FROM blobs b JOIN run_blobs l ON l.digest = b.digest JOIN runs r ON r.key = l.run"
        " WHERE r.run = ? AND b.digest = ? AND r.delete_time IS NULL"
    )
    row = connection.execute(query, (run, digest)).fetchone()
    if row is None:
        raise NotFoundError("blob", digest, metadata={"run": run})
    if hashlib.sha256(row[0]).hexdigest() != digest:
        raise damaged_row(run, f"blobs, {digest}: its content does not match its digest")
    return bytes(row[0])
