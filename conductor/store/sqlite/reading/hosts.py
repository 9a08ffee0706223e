"""Reads what is stored of hosts."""

import sqlite3

from conductor.core.model.registry import HostEntry
from conductor.store.rows.hosts import read_host


def read_hosts(connection: sqlite3.Connection) -> list[HostEntry]:
    """Returns the stored hosts, and the drains of configured ones, by name."""
    rows = connection.execute("SELECT host, address, drained_by, drain_time FROM hosts ORDER BY host").fetchall()
    return [read_host(row) for row in rows]
