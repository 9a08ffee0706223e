"""Writes changes of hosts, and the request ids that asked for them."""

from collections.abc import Callable, Iterable, Iterator

from conductor.core.model.registry import HostChange
from conductor.store.postgresql.pipeline import Statement
from conductor.store.rows.hosts import REQUESTS_KEPT, host_row

_KEEP = (
    "INSERT INTO hosts (host, address, drained_by, drain_time) VALUES (%s, %s, %s, %s) ON CONFLICT (host) DO UPDATE"
    " SET address = excluded.address, drained_by = excluded.drained_by, drain_time = excluded.drain_time"
)
_REQUEST = "INSERT INTO host_requests (key, request_id, digest, host, time) VALUES (%s, %s, %s, %s, %s)"
_FORGET = "DELETE FROM host_requests WHERE key <= (SELECT key FROM host_requests ORDER BY key DESC OFFSET %s LIMIT 1)"


def change_hosts(changes: Iterable[HostChange], time: float, take_id: Callable[[], int]) -> Iterator[Statement]:
    """Returns the statements for the changes of a decision."""
    for change in changes:
        if change.entry is None:
            yield "DELETE FROM hosts WHERE host = %s", (change.host,)
        else:
            yield _KEEP, host_row(change.entry)
        if change.request_id:
            yield _REQUEST, (take_id(), change.request_id, change.request_digest, change.host, time)
            yield _FORGET, (REQUESTS_KEPT,)
