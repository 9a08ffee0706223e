"""Every test of this folder runs over every store: what the port promises, each implementation keeps."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conductor.store.port import Store
from tests.conductor.store.contract.places import PLACES, Place


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](tmp_path)


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    async with place.open() as opened:
        yield opened
