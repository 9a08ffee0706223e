"""Opening: one conductor at a time, private, never a database that is newer, foreign or damaged; older ones go up."""

import os
import re
import resource
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from conductor.core.model.events.run_events import RunStarted
from conductor.errors import (
    DatabaseDamagedError,
    DatabaseInUseError,
    DatabaseNotUpgradedError,
    DatabaseTooNewError,
    StorageError,
)
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.upkeep.migration import COPIES_KEPT, SCHEMA_VERSION, Schema
from tests.conductor.store.material import creation, events, run_name

pytestmark = pytest.mark.processes

RUN = run_name(1)
ROOT = Path(__file__).parents[4]


def change(folder: Path, script: str) -> None:
    connection = sqlite3.connect(folder / "conductor.db")
    connection.executescript(script)
    connection.close()


async def make(folder: Path) -> str:
    async with await SqliteStore.open(folder) as store:
        await store.append(creation(RUN), 1.0)
        return store.conductor_id


async def test_a_database_keeps_its_id_and_counts_its_openings(tmp_path: Path) -> None:
    """Keeps I2."""
    first = await make(tmp_path / "data")

    async with await SqliteStore.open(tmp_path / "data") as store:
        assert (store.conductor_id, store.epoch) == (first, 2)
        assert len(await store.events(RUN)) == 1
    async with await SqliteStore.open(tmp_path / "other") as other:
        assert other.conductor_id != first


async def test_a_second_conductor_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    """Keeps I5."""
    folder = tmp_path / "data"
    async with await SqliteStore.open(folder) as store:
        with pytest.raises(DatabaseInUseError) as refused:
            await SqliteStore.open(folder)
        await store.append(creation(RUN), 1.0)

    assert str(folder) in str(refused.value)
    assert str(os.getpid()) in str(refused.value)
    assert refused.value.code == "UNAVAILABLE"


async def test_a_second_process_is_refused_and_can_end(tmp_path: Path) -> None:
    """Keeps I5."""
    program = (
        "import asyncio, pathlib, sys; from conductor.store.sqlite.store import SqliteStore;"
        "asyncio.run(SqliteStore.open(pathlib.Path(sys.argv[1])))"
    )
    async with await SqliteStore.open(tmp_path / "data"):
        command = [sys.executable, "-c", program, str(tmp_path / "data")]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 1
    assert f"process {os.getpid()}" in ended.stderr


async def test_the_lock_goes_with_a_failed_opening(tmp_path: Path) -> None:
    await make(tmp_path / "data")
    change(tmp_path / "data", f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for _ in range(2):
        with pytest.raises(DatabaseTooNewError):
            await SqliteStore.open(tmp_path / "data")


async def test_a_newer_version_is_refused_with_both_numbers_and_left_alone(tmp_path: Path) -> None:
    """Keeps I6, K7."""
    await make(tmp_path / "data")
    change(tmp_path / "data", f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (tmp_path / "data" / "conductor.db").read_bytes()

    told = f"has version {SCHEMA_VERSION + 1}; this conductor knows versions up to {SCHEMA_VERSION}"
    with pytest.raises(DatabaseTooNewError, match=told) as refused:
        await SqliteStore.open(tmp_path / "data")

    assert "newer conductor" in refused.value.hint
    assert (tmp_path / "data" / "conductor.db").read_bytes() == before


async def test_the_folder_and_its_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    folder.mkdir(parents=True, mode=0o755)
    old_mask = os.umask(0)
    try:
        async with await SqliteStore.open(folder) as store:
            await store.append(creation(RUN), 1.0)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(old_mask)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes.keys() >= {"conductor.db", "conductor.db-wal", "conductor.lock"}
    assert set(modes.values()) == {0o600}


async def test_a_folder_of_other_things_is_not_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "another").mkdir()
    tmp_path.chmod(0o755)

    await make(tmp_path)

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


async def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    with pytest.raises(StorageError, match=re.escape(str(tmp_path / "data"))):
        await SqliteStore.open(tmp_path / "data")


async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    change(tmp_path / "data", "CREATE TABLE songs (title TEXT)")
    before = (tmp_path / "data" / "conductor.db").read_bytes()

    with pytest.raises(DatabaseDamagedError, match="not a conductor's database"):
        await SqliteStore.open(tmp_path / "data")

    assert (tmp_path / "data" / "conductor.db").read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "conductor.db").write_bytes(b"scribbled over" * 1000)

    with pytest.raises(DatabaseDamagedError, match="damaged"):
        await SqliteStore.open(tmp_path / "data")


async def test_damaged_pages_are_found_at_opening(tmp_path: Path) -> None:
    """Keeps I6."""
    async with await SqliteStore.open(tmp_path / "data") as store:
        for number in range(200):
            await store.append(creation(run_name(number)), 1.0)
    path = tmp_path / "data" / "conductor.db"
    data = bytearray(path.read_bytes())
    page = data.rindex(run_name(150).encode()) // 4096  # a leaf that opening has no other reason to look at
    data[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    path.write_bytes(data)

    with pytest.raises(DatabaseDamagedError, match="damaged"):
        await SqliteStore.open(tmp_path / "data")


def newer(folder: Path, *scripts: str) -> Schema:
    """A schema that is some versions further."""
    folder.mkdir(exist_ok=True)
    for number, script in enumerate(scripts, SCHEMA_VERSION + 1):
        (folder / f"{number:04}.sql").write_text(script)
    return Schema(version=SCHEMA_VERSION + len(scripts), migrations=folder)


def copies(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if ".backup" in path.name)


async def test_an_older_database_is_copied_then_brought_up(tmp_path: Path) -> None:
    """Keeps I6, K7."""
    folder = tmp_path / "data"
    first = await make(folder)
    newest = newer(
        tmp_path / "new",
        "ALTER TABLE runs ADD COLUMN color TEXT NOT NULL DEFAULT 'red';",
        "UPDATE runs SET color = 'blue';",
    )

    async with await SqliteStore.open(folder, newest) as store:
        assert store.conductor_id == first
        assert len(await store.events(RUN)) == 1
        await store.append(events(RUN, RunStarted()), 2.0)

    assert copies(folder) == [f"conductor.db.version-{SCHEMA_VERSION}.backup"]
    copy = sqlite3.connect(folder / copies(folder)[0])
    assert copy.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert copy.execute("SELECT count(*) FROM journal").fetchone() == (1,)
    copy.close()
    assert stat.S_IMODE((folder / copies(folder)[0]).stat().st_mode) == 0o600


async def test_a_migration_that_fails_changes_nothing_and_keeps_few_copies(tmp_path: Path) -> None:
    """Keeps I6: all steps are one transaction, so the first one's success is undone as well."""
    folder = tmp_path / "data"
    await make(folder)
    broken = newer(tmp_path / "new", "ALTER TABLE runs ADD COLUMN color TEXT;", "INSERT INTO nowhere VALUES (1);")

    for _ in range(COPIES_KEPT + 2):
        with pytest.raises(DatabaseNotUpgradedError, match="is unchanged: no such table: nowhere") as refused:
            await SqliteStore.open(folder, broken)

    assert "a copy is at" in refused.value.hint
    assert len(copies(folder)) == COPIES_KEPT
    assert refused.value.hint.rpartition("/")[2] in copies(folder)
    async with await SqliteStore.open(folder) as store:
        assert len(await store.events(RUN)) == 1
        assert store.epoch == 2


def auto_vacuum(folder: Path) -> int:
    connection = sqlite3.connect(folder / "conductor.db")
    (found,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    connection.close()
    return int(found)


async def test_a_database_whose_upgrade_was_cut_off_learns_to_give_room_back_at_the_next_opening(
    tmp_path: Path,
) -> None:
    """Keeps K7: the kill came behind the upgrade's commit, and before the file was rewritten."""
    await make(tmp_path)
    change(tmp_path, "PRAGMA auto_vacuum = 0; VACUUM;")
    assert auto_vacuum(tmp_path) == 0

    async with await SqliteStore.open(tmp_path) as store:
        assert len(await store.events(RUN)) == 1

    assert auto_vacuum(tmp_path) == 2


async def test_a_database_that_has_no_room_to_be_rewritten_opens_and_is_rewritten_when_there_is(tmp_path: Path) -> None:
    await make(tmp_path)
    ballast = "CREATE TABLE ballast AS SELECT zeroblob(3000000) AS room;"
    change(tmp_path, f"PRAGMA auto_vacuum = 0; VACUUM; {ballast} PRAGMA wal_checkpoint(TRUNCATE);")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        async with await SqliteStore.open(tmp_path) as store:
            assert len(await store.events(RUN)) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert auto_vacuum(tmp_path) == 0

    async with await SqliteStore.open(tmp_path):
        pass

    assert auto_vacuum(tmp_path) == 2


async def test_a_database_that_another_program_holds_is_told_as_such(tmp_path: Path) -> None:
    """Keeps K5: an operator's SQLite shell, say."""
    await make(tmp_path)
    shell = sqlite3.connect(tmp_path / "conductor.db", isolation_level=None)
    shell.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="cannot be used now: database is locked"):
        await SqliteStore.open(tmp_path)
    shell.close()

    async with await SqliteStore.open(tmp_path) as store:
        assert len(await store.events(RUN)) == 1


async def test_a_database_that_cannot_be_written_is_told_by_name_and_the_folder_is_free_again(tmp_path: Path) -> None:
    """Keeps K5."""
    database = tmp_path / "conductor.db"
    database.mkdir()  # root writes everything else
    with pytest.raises(StorageError, match=str(database)):
        await SqliteStore.open(tmp_path)
    database.rmdir()

    async with await SqliteStore.open(tmp_path) as store:
        assert store.epoch == 1
