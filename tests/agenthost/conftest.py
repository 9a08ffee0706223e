import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.agenthost.running_host import Client, make_repository, open_host


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("repository") / "work")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose sockets have short enough paths."""
    with tempfile.TemporaryDirectory(prefix="ah-") as folder:
        yield Path(folder)


@pytest.fixture
async def client(short_path: Path, repository: Path) -> AsyncIterator[Client]:
    async with open_host(short_path, repository) as client:
        yield client
