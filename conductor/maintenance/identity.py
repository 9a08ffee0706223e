"""The id in a conductor's database, for its certificates: hosts let it act for this id alone."""

import asyncio
from pathlib import Path

from conductor.store.sqlite.folder import DATABASE_NAME
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.upkeep.survey import read_conductor_id


def conductor_id_of(data: Path) -> str:
    """Returns the id of a data folder's conductor, whether it runs or not. A folder without a database gets one."""
    if (data / DATABASE_NAME).exists():
        return read_conductor_id(data)
    return asyncio.run(_make(data))


async def _make(data: Path) -> str:
    async with await SqliteStore.open(data) as store:
        return store.conductor_id
