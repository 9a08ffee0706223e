"""Opens the places that `conductor migrate` names: data folders, databases, and the blob stores beside them."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from conductor.blobs.opening import open_blobs
from conductor.blobs.port import BlobStore
from conductor.config import SNAPSHOTS_FOLDER
from conductor.errors import ConfigurationError, DatabaseInUseError, MigrationError
from conductor.maintenance.migrating.migration import Side
from conductor.maintenance.migrating.snapshots import SnapshotSide
from conductor.store.sqlite.upkeep.raw import SqliteRaw

# libpq's other form of a database, which would make a folder of this name.
_LIBPQ = re.compile(r"\s*(host|hostaddr|port|dbname|user|password|service)\s*=")


def refuse_same(source: str, target: str) -> None:
    """Raises MigrationError where both are one folder, which could be locked only once."""
    if "://" not in source and "://" not in target and _folder_of(source).resolve() == _folder_of(target).resolve():
        raise MigrationError(f"--from and --to are the same folder, {source}", hint="name an empty one with --to")


@asynccontextmanager
async def opened(place: str, blobs: str, *, is_source: bool) -> AsyncIterator[Side]:
    """Opens one side, with its lock or lease. The copies of a database's snapshots lie in it, where no other place is named."""
    async with AsyncExitStack() as stack:
        chosen = open_blobs(blobs) if blobs else None
        if chosen is not None:
            stack.push_async_callback(chosen.close)
        if place.startswith(("postgresql://", "postgres://")):
            yield await _open_database(stack, place, chosen, is_source=is_source)
            return
        folder = _folder_of(place)
        try:
            store = await (SqliteRaw.open_source(folder) if is_source else SqliteRaw.open_target(folder))
        except DatabaseInUseError as error:
            raise DatabaseInUseError(
                str(error), hint="stop that conductor, then give the same command again"
            ) from error
        stack.push_async_callback(store.close)
        yield Side(store, SnapshotSide(folder / SNAPSHOTS_FOLDER, chosen))


async def _open_database(stack: AsyncExitStack, url: str, blobs: BlobStore | None, *, is_source: bool) -> Side:
    try:
        from conductor.store.postgresql.blobs import PostgresqlBlobs  # noqa: PLC0415 (an extra)
        from conductor.store.postgresql.raw import PostgresqlRaw  # noqa: PLC0415
    except ImportError as error:
        hint = "pip install 'conductor-agenthost[postgresql]'"
        raise ConfigurationError(f"the driver of PostgreSQL cannot be loaded: {error}", hint=hint) from error
    raw = await (PostgresqlRaw.open_source(url) if is_source else PostgresqlRaw.open_target(url))
    stack.push_async_callback(raw.close)
    own = PostgresqlBlobs(raw.address, raw.readers, raw.commit)
    return Side(raw, SnapshotSide(None, blobs or own, is_alone=blobs is None))


def _folder_of(place: str) -> Path:
    if not place:
        raise MigrationError("--from or --to is empty", hint="name a data folder or postgresql://USER@HOST/DB")
    if "://" in place or _LIBPQ.match(place):
        # What stands before an @, or behind libpq's words, may be a password.
        shown = "the place" if "@" in place or "=" in place else f"'{place}'"
        raise MigrationError(f"{shown} is neither a data folder nor postgresql://USER@HOST/DB")
    return Path(place).expanduser().absolute()
