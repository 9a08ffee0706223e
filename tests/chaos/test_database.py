"""A world's own PostgreSQL comes back after every death."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.chaos.database import Database
from tests.kit.postgresql import WANTED, find_programs
from tests.kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.long]

START_SECONDS = 30.0


async def test_a_killed_server_starts_again_where_another_process_has_its_number() -> None:
    if find_programs() is None:
        pytest.skip(f"no PostgreSQL: {WANTED}")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # in a short path: that of a socket is limited
    database = Database("database", folder / "pg")
    try:
        database.prepare()
        database.kill()
        assert await database.died(START_SECONDS)
        for lock in ("data/postmaster.pid", ".s.PGSQL.5432.lock"):
            path = folder / "pg" / lock
            path.write_text("\n".join([str(os.getpid()), *path.read_text().splitlines()[1:]]) + "\n")

        database.start()

        await until(database.server.is_up, START_SECONDS)
    finally:
        database.kill()
        assert await database.died(START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
