import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agenthost.proof.probe import Proof
from agenthost.snapshots.store import SnapshotStore
from tests.agenthost.running_host import Client, make_repository, open_host
from tests.kit.proof import proof_of_the_session
from tests.kit.repositories import UserRepository


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("repository") / "work")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose sockets have short enough paths."""
    with tempfile.TemporaryDirectory(prefix="ah-") as folder:
        yield Path(folder)


@pytest.fixture
def proof() -> Proof:
    """The proof of the sandbox for the host of `client`."""
    return proof_of_the_session


@pytest.fixture
async def client(short_path: Path, repository: Path, proof: Proof) -> AsyncIterator[Client]:
    async with open_host(short_path, repository, proof=proof) as client:
        yield client


@pytest.fixture
async def store(tmp_path: Path) -> SnapshotStore:
    return await SnapshotStore.open(tmp_path / "data" / "snapshots")


@pytest.fixture
def user(tmp_path: Path) -> UserRepository:
    """A project with a program, a link that leads out, a file of some size, and two commits."""
    repository = UserRepository.make(tmp_path / "project")
    repository.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    (repository.folder / "link").symlink_to("/etc/passwd")
    repository.write("big.bin", os.urandom(200_000))
    repository.commit("second")
    return repository
