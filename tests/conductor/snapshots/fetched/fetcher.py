"""A fetching over a store of its own, for tests."""

from pathlib import Path
from typing import Any

import pytest

from conductor.errors import StatusError
from conductor.snapshots import SnapshotStore
from conductor.snapshots.fetched.addresses import Resolve
from conductor.snapshots.fetched.fetching import Fetching
from conductor.snapshots.scopes.scope import Scope
from conductor.snapshots.store import WHOLE, Pinned
from servicekit.fetching.allowed_hosts import parse_allowed
from servicekit.fetching.settings import FetchSettings
from tests.conductor.snapshots.pinned import OBJECTS
from tests.kit.git_server import NAME, GitServer


class Fetcher:
    """A fetching over a store of its own."""

    def __init__(self, store: SnapshotStore, fetching: Fetching, folder: Path) -> None:
        self.store, self.fetching, self.folder = store, fetching, folder

    @classmethod
    async def make(
        cls, folder: Path, server: GitServer, *, resolve: Resolve = lambda _host, _port: ["127.0.0.1"], **settings: Any
    ) -> "Fetcher":
        store = await SnapshotStore.open(folder / OBJECTS)
        hosts = parse_allowed([NAME, "127.0.0.1"])
        given = FetchSettings(**({"hosts": hosts, "ca": server.ca} | settings))
        return cls(store, await Fetching.open(folder / "fetched", store, given, resolve), folder)

    async def pin(self, url: str, revision: str = "", scope: Scope = WHOLE) -> Pinned:
        return await self.fetching.pin(self.fetching.read_url(url), revision, scope)

    async def refused(self, url: str, revision: str = "", scope: Scope = WHOLE) -> StatusError:
        with pytest.raises(StatusError) as caught:
            await self.pin(url, revision, scope)
        assert not list(self.folder.glob("fetched/*"))
        return caught.value
