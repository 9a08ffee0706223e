"""Writes changes of hosts, and the request ids that asked for them."""

import sqlite3
from collections.abc import Iterable

from conductor.core.model.registry import HostChange
from conductor.store.rows.hosts import REQUESTS_KEPT, host_row


def write_hosts(connection: sqlite3.Connection, changes: Iterable[HostChange], time: float) -> None:
    """Writes the changes of a decision."""
    for change in changes:
        if change.entry is None:
            connection.execute("DELETE FROM hosts WHERE host = ?", (change.host,))
        else:
            connection.execute("INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?)", host_row(change.entry))
        if change.request_id:
            _keep_request(connection, change, time)


def _keep_request(connection: sqlite3.Connection, change: HostChange, time: float) -> None:
    connection.execute(
        "INSERT INTO host_requests (request_id, digest, host, time) VALUES (?, ?, ?, ?)",
        (change.request_id, change.request_digest, change.host, time),
    )
    connection.execute(
        "DELETE FROM host_requests WHERE key <= (SELECT max(key) FROM host_requests) - ?", (REQUESTS_KEPT,)
    )
