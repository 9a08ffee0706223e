from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conductor.store.sqlite.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "data") as opened:
        yield opened
