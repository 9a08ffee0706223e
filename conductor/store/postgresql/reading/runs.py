"""Finds runs, and what is kept of each by its name: its blobs and the request ids that it was asked for with.

A run that is marked as deleted is not found, and the error says when and why it was deleted.
"""

import hashlib
from collections.abc import Collection, Sequence

from conductor.errors import NotFoundError
from conductor.store.postgresql.pipeline import Connection, Row, Statement, ask
from conductor.store.records import StoredRequest
from conductor.store.refusals import damaged_row, describe_deletion, run_not_found

_REQUESTS = """
SELECT q.request_id, q.digest, r.run, NULL::double precision, NULL FROM requests q JOIN runs r ON r.key = q.run
WHERE q.request_id = ANY(%s)
UNION ALL
SELECT s.request_id, s.digest, s.run, d.time, d.why FROM spent_requests s JOIN deletions d ON d.run = s.run
WHERE s.request_id = ANY(%s)
UNION ALL
SELECT request_id, '', run, time, why FROM deletions WHERE request_id = ANY(%s) AND request_id <> ''
UNION ALL
SELECT request_id, digest, '', NULL, NULL FROM host_requests WHERE request_id = ANY(%s)
"""
_BLOB = """
SELECT b.data FROM blobs b JOIN run_blobs l ON l.digest = b.digest JOIN runs r ON r.key = l.run
WHERE r.run = %s AND b.digest = %s AND r.delete_time IS NULL
"""
_FIND = """
SELECT r.key, NULL::double precision, NULL FROM runs r WHERE r.run = %s AND r.delete_time IS NULL
UNION ALL
SELECT NULL, time, why FROM deletions WHERE run = %s
"""


def finding(run: str) -> Statement:
    """Returns the statement that finds a run; `key_of` reads what it returns."""
    return _FIND, (run, run)


def key_of(run: str, rows: Sequence[Row]) -> int:
    """Returns a run's key; raises NotFoundError where there is no such run."""
    for key, *_ in rows:
        if key is not None:
            return int(key)
    raise run_not_found(run, describe_deletion(*rows[0][1:]) if rows else "")


async def read_known_runs(connection: Connection, runs: Collection[str]) -> frozenset[str]:
    """Returns those of these names that are runs, deleted ones included."""
    rows = await ask(connection, "SELECT run FROM runs WHERE run = ANY(%s)", sorted(runs))
    return frozenset(run for (run,) in rows)


async def read_requests(connection: Connection, request_ids: Sequence[str]) -> dict[str, StoredRequest]:
    """Returns the outcome of each of these request ids that is known."""
    found: dict[str, StoredRequest] = {}
    for request_id, digest, run, time, why in await ask(connection, _REQUESTS, *[list(request_ids)] * 4):
        told = StoredRequest(digest, run, "" if time is None else describe_deletion(time, why))
        found.setdefault(request_id, told)
    return found


async def read_blob(connection: Connection, run: str, digest: str) -> bytes:
    """Returns a blob that the run's events name."""
    rows = await ask(connection, _BLOB, run, digest)
    if not rows:
        raise NotFoundError("blob", digest, metadata={"run": run})
    data = bytes(rows[0][0])
    if hashlib.sha256(data).hexdigest() != digest:
        raise damaged_row(run, f"blobs, {digest}: its content does not match its digest")
    return data
