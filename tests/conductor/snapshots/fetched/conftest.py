"""A repository, a server of it over https, and a fetcher."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conductor.snapshots.fetched.fetcher import Fetcher
from tests.kit.git_server import GitServer, git_server
from tests.kit.repositories import UserRepository, git


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
    served.authorizations.clear()
    yield served
    served.hostile = None


@pytest.fixture
async def fetcher(tmp_path: Path, server: GitServer) -> Fetcher:
    return await Fetcher.make(tmp_path, server)
