"""A world's own PostgreSQL comes back after every death, and its disk can be full."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from conductor.errors import StorageError
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.records import StoredOutput
from tests.chaos.database import Database
from tests.conductor.store.material import attempt, creation, run_name, speech
from tests.kit.postgresql import WANTED, find_programs
from tests.kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.long]

START_SECONDS = 30.0
RUN = run_name(1)
WORDS = 2000 * "some words "
MOST_TEXTS = 1000


@asynccontextmanager
async def running(*, with_disk: bool = False) -> AsyncIterator[Database]:
    if find_programs() is None:
        pytest.skip(f"no PostgreSQL: {WANTED}")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # in a short path: that of a socket is limited
    database = Database("database", folder / "pg", with_disk=with_disk)
    try:
        database.prepare()
        yield database
    finally:
        database.kill()
        assert await database.died(START_SECONDS)
        database.close()
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_killed_server_starts_again_where_another_process_has_its_number() -> None:
    async with running() as database:
        database.kill()
        assert await database.died(START_SECONDS)
        for path in (database.data / "postmaster.pid", database.data.parent / ".s.PGSQL.5432.lock"):
            path.write_text("\n".join([str(os.getpid()), *path.read_text().splitlines()[1:]]) + "\n")

        database.start()

        await until(database.server.is_up, START_SECONDS)


async def test_a_server_without_room_refuses_a_text_and_takes_it_when_there_is_room_again() -> None:
    async with running(with_disk=True) as database, await PostgresqlStore.open(database.url) as store:
        if database.disk is None:
            pytest.skip(f"no disk of the server's own: {database.without_disk}")
        await store.append(creation(RUN), 1.0)
        await store.append(attempt(RUN), 2.0)
        database.disk.fill()
        texts, refused = await append_until_refused(store)
        database.disk.make_room()
        await store.append(speech(RUN, WORDS), 4.0)

        history = await store.history(RUN, 0, 1 << 24)

    assert "No space left on device" in str(refused)
    assert refused.hint == "make room on the disk of the server"
    assert "".join(item.output.text for item in history if isinstance(item, StoredOutput)) == (texts + 1) * WORDS


async def append_until_refused(store: PostgresqlStore) -> tuple[int, StorageError]:
    for texts in range(MOST_TEXTS):
        try:
            await store.append(speech(RUN, WORDS), 3.0)
        except StorageError as refused:
            return texts, refused
    raise AssertionError(f"{MOST_TEXTS} texts had room on a full disk")
