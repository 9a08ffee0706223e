"""The id of a data folder's conductor, which its certificates name: hosts let it act for this id alone."""

import asyncio
import secrets
from pathlib import Path

from conductor.store.sqlite.folder import DATABASE_NAME
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.upkeep.identity import give_identity, read_identity
from servicekit.tls.files import TlsError


def conductor_id_of(data: Path) -> str:
    """Returns the id of a data folder's conductor, whether it runs or not. A folder without a database gets one."""
    if not (data / DATABASE_NAME).exists():
        asyncio.run(_make(data))
    return read_identity(data)


def new_conductor_id() -> str:
    """Returns the id of a conductor that has no database yet."""
    return secrets.token_hex(13)


def require_id(data: Path, conductor_id: str, name: str) -> None:
    """Lets a data folder's conductor have this id: one without runs takes it. Raises TlsError for one with runs and another id."""
    there = conductor_id_of(data)
    if there == conductor_id or give_identity(data, conductor_id):
        return
    raise TlsError(
        f"the bundle is for the conductor {conductor_id}, and the one in {data} is {there} and has runs",
        hint=f"have one made for it, where the pool's CA is:  conductor certs conductor {name} --id {there} --out {name}.conductor",
    )


async def _make(data: Path) -> None:
    async with await SqliteStore.open(data):
        pass
