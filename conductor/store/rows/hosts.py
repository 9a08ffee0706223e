"""Rows of hosts."""

from typing import Any

from conductor.core.model.registry import Drain, HostEntry

# Of requests about hosts: an older one may be carried out again.
REQUESTS_KEPT = 10_000


def host_row(entry: HostEntry) -> tuple[str, str, str, float | None]:
    """Returns the row (host, address, drained by, drain time) of a host."""
    drain = entry.drain
    return (entry.name, entry.address, drain.by, drain.since) if drain else (entry.name, entry.address, "", None)


def read_host(row: Any) -> HostEntry:
    """Returns the host of a row."""
    host, address, by, since = row
    return HostEntry(host, address, drain=None if since is None else Drain(by, float(since)))
