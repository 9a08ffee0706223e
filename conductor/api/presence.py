"""Hosts as the active conductor sees them, kept in the shared store once a second, and shown from there by standbys."""

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

from conductor.errors import StatusError
from conductor.store.shared import SharedStore
from conductor.v1 import pool_service_pb2 as pb

KEEP_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class HostsView(Protocol):
    """Shows hosts."""

    def names(self) -> Collection[str]:
        """Returns the names of all hosts that are known."""

    def hosts(self, *names: str) -> list[pb.Host]:
        """Returns those of these names."""


class PresenceKeeper:
    """Keeps what a view shows of all its hosts."""

    def __init__(self, store: SharedStore, view: HostsView) -> None:
        self._store = store
        self._view = view

    async def run(self) -> None:
        """Keeps it until it is cancelled."""
        kept = b""
        while True:
            shown = pb.ListHostsResponse(hosts=self._view.hosts(*self._view.names())).SerializeToString()
            try:
                if shown != kept:
                    await self._store.keep_presence(shown)
                    kept = shown
            except StatusError as error:  # the lease decides whether this matters
                _log.info("presence_not_kept", error=str(error))
            await asyncio.sleep(KEEP_SECONDS)


class StoredHosts:
    """Shows the hosts that the active conductor kept."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._parsed: tuple[bytes, dict[str, pb.Host]] = (b"", {})

    def names(self) -> Collection[str]:
        """Returns the names of all hosts that were kept."""
        return self._hosts()

    def hosts(self, *names: str) -> list[pb.Host]:
        """Returns hosts as they were kept."""
        known = self._hosts()
        return [known[name] for name in names]

    def _hosts(self) -> dict[str, pb.Host]:
        kept = self._read()
        if kept is not self._parsed[0]:
            listed = pb.ListHostsResponse.FromString(kept).hosts
            self._parsed = kept, {host.name.removeprefix("hosts/"): host for host in listed}
        return self._parsed[1]


class SwitchedHosts:
    """Shows what the links see where this conductor is active, and what was kept otherwise."""

    def __init__(self, is_standby: Callable[[], bool], linked: HostsView, stored: HostsView) -> None:
        self._is_standby = is_standby
        self._linked = linked
        self._stored = stored

    def names(self) -> Collection[str]:
        """Returns the names of all hosts that are known."""
        return self._view.names()

    def hosts(self, *names: str) -> list[pb.Host]:
        """Returns those of these names."""
        return self._view.hosts(*names)

    @property
    def _view(self) -> HostsView:
        return self._stored if self._is_standby() else self._linked
