"""Reads what is stored of hosts."""

import sqlite3

from conductor.core.model.registry import Drain, HostEntry


def read_hosts(connection: sqlite3.Connection) -> list[HostEntry]:
    """Returns the stored hosts, and the drains of configured ones, by name."""
    rows = connection.execute("SELECT host, address, drained_by, drain_time FROM hosts ORDER BY host").fetchall()
    return [
        HostEntry(host, address, drain=None if since is None else Drain(by, float(since)))
        for host, address, by, since in rows
    ]
