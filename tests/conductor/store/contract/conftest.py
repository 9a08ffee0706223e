"""Every test of this folder runs over every store: what the port promises, each implementation keeps."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from conductor.store.port import Store
from tests.conductor.store.contract.places import MemoryPlace, Place, PostgresqlPlace, SqlitePlace


@pytest.fixture(params=["sqlite", "memory", pytest.param("postgresql", marks=pytest.mark.processes)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    match request.param:
        case "sqlite":
            yield SqlitePlace(tmp_path)
        case "memory":
            yield MemoryPlace(tmp_path)
        case "postgresql":
            place = PostgresqlPlace(request.getfixturevalue("databases"))
            yield place
            place.leave()


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    async with place.open() as opened:
        yield opened
