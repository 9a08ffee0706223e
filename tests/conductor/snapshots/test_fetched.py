"""Repositories are fetched by URL from a real server over https, which may be hostile."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from conductor.errors import StatusError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.fetched.fetching import Fetching
from conductor.snapshots.scopes.scope import Scope, ScopeKind
from conductor.snapshots.store import WHOLE, Pinned
from servicekit.fetching.allowed_hosts import parse_allowed
from servicekit.fetching.settings import FetchSettings
from tests.conductor.snapshots.pinned import OBJECTS
from tests.kit.git_server import NAME, GitServer, git_server
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> UserRepository:
    user = UserRepository.make(tmp_path_factory.mktemp("user") / "project")
    user.git("tag", "-a", "v1", "-m", "one")
    user.git("branch", "release")
    user.write("src/app.py", "print('second')\n")
    user.commit("second")
    return user


@pytest.fixture(scope="module")
def served(user: UserRepository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    place = tmp_path_factory.mktemp("served")
    (place / "repositories").mkdir()
    git(place, "clone", "-q", "--bare", str(user.folder), "repositories/app.git")
    with git_server(place / "repositories", place) as server:
        yield server


@pytest.fixture
def server(served: GitServer) -> Iterator[GitServer]:
    served.hostile = None
    served.asked.clear()
    yield served
    served.hostile = None


class Fetcher:
    """A fetching over a store of its own."""

    def __init__(self, store: SnapshotStore, fetching: Fetching, folder: Path) -> None:
        self.store, self.fetching, self.folder = store, fetching, folder

    @classmethod
    async def make(
        cls, folder: Path, server: GitServer, *, resolved: Sequence[str] = ("127.0.0.1",), **settings: object
    ) -> "Fetcher":
        async def resolve(_host: str, _port: int) -> Sequence[str]:
            return resolved

        store = await SnapshotStore.open(folder / OBJECTS)
        hosts = parse_allowed([NAME, "127.0.0.1"])
        given = FetchSettings(**{"hosts": hosts, "ca": server.ca, **settings})
        return cls(store, await Fetching.open(folder / "fetched", store, given, resolve), folder)

    async def pin(self, url: str, revision: str = "", scope: Scope = WHOLE) -> Pinned:
        return await self.fetching.pin(self.fetching.read_url(url), revision, scope)

    async def refused(self, url: str, revision: str = "", scope: Scope = WHOLE) -> StatusError:
        with pytest.raises(StatusError) as caught:
            await self.pin(url, revision, scope)
        assert not list(self.folder.glob("fetched/*"))
        return caught.value


@pytest.fixture
async def fetcher(tmp_path: Path, server: GitServer) -> Fetcher:
    return await Fetcher.make(tmp_path, server)


@pytest.mark.parametrize("revision", ["", "main", "HEAD", "refs/heads/main"])
async def test_a_fetched_commit_is_the_snapshot_of_a_shallow_clone(
    fetcher: Fetcher, server: GitServer, user: UserRepository, revision: str, tmp_path: Path
) -> None:
    """Keeps J5."""
    pinned = await fetcher.pin(server.url(), revision)
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{server.folder}/app.git", "clone")

    assert pinned.plan.head_commit == user.head
    assert (await fetcher.store.pin(tmp_path / "clone", WorkspaceMode.COMMIT)).commit == pinned.plan.commit
    assert not list(tmp_path.glob("fetched/*"))


async def test_a_branch_a_tag_and_a_commit_are_found(fetcher: Fetcher, server: GitServer, user: UserRepository) -> None:
    first = user.git("rev-parse", "release").strip()
    heads = [
        (await fetcher.pin(server.url(host=NAME), revision)).plan.head_commit for revision in ("release", "v1", first)
    ]

    assert heads == [first] * 3


async def test_a_diff_is_fetched_with_its_base(fetcher: Fetcher, server: GitServer, user: UserRepository) -> None:
    pinned = await fetcher.pin(server.url(), "main", Scope(ScopeKind.DIFF, "release"))

    assert [file.path for file in pinned.plan.changed] == ["src/app.py"]
    assert pinned.plan.base_commit == user.git("rev-parse", "release").strip()


async def test_the_same_commit_is_not_fetched_again(fetcher: Fetcher, server: GitServer) -> None:
    pinned = [await fetcher.pin(server.url()) for _ in range(2)]

    assert pinned[0] == pinned[1]
    assert [method for method, _ in server.asked] == ["GET", "POST", "POST", "GET", "POST"]
