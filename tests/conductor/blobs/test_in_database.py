"""Blobs in PostgreSQL: the fence holds for them, too, and an upload that was cut leaves nothing for long. Keeps K15."""

from pathlib import Path

import psycopg
import pytest

from conductor.core.lease.model import Ask, Question
from conductor.errors import BlobsUnavailableError, StorageError
from conductor.store.shared import Claim
from tests.kit.leader import leading

pytestmark = pytest.mark.processes
NAME = "snapshots/a/1-b"


def count(database: str, table: str) -> int:
    with psycopg.connect(database, options="-c search_path=conductor") as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def change(database: str, statement: str) -> None:
    with psycopg.connect(database, options="-c search_path=conductor") as connection:
        connection.execute(statement.encode())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    return tmp_path / "source"


async def test_a_superseded_conductor_shows_nothing_and_removes_nothing(database: str, source: Path) -> None:
    async with leading(database) as old:
        blobs = old.open_blobs()
        await blobs.put(NAME, source)
        claim = Claim("another", 60.0)
        change(database, "UPDATE meta SET lease_end = '-infinity'")
        await old.ask_lease(Ask(Question.TAKE, old.epoch), claim)
        with pytest.raises(StorageError):
            await blobs.put("snapshots/a/1-c", source)
        with pytest.raises(StorageError):
            await blobs.delete(NAME)

        assert await blobs.names("snapshots/") == [NAME]
    assert count(database, "blob_chunks") == 6


async def test_an_upload_that_was_cut_goes_with_a_later_one(database: str, source: Path) -> None:
    async with leading(database) as store:
        blobs = store.open_blobs()
        change(database, "INSERT INTO blob_uploads VALUES (7, clock_timestamp() - interval '2 hours')")
        change(database, "INSERT INTO blob_chunks VALUES (7, 0, 'cut')")
        change(database, "INSERT INTO blob_uploads VALUES (8); INSERT INTO blob_chunks VALUES (8, 0, 'at work')")
        await blobs.put(NAME, source)

    assert count(database, "blob_uploads") == 2
    assert count(database, "blob_chunks") == 4


async def test_an_upload_that_was_taken_for_cut_makes_no_object(
    database: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with leading(database) as store:
        blobs = store.open_blobs()
        change(
            database, "ALTER TABLE blob_uploads ALTER COLUMN time SET DEFAULT clock_timestamp() - interval '2 hours'"
        )
        with pytest.raises(BlobsUnavailableError, match="took too long"):
            await blobs.put(NAME, source)

        assert await blobs.names("snapshots/") == []


async def test_a_deleted_object_leaves_no_chunk(database: str, source: Path) -> None:
    async with leading(database) as store:
        blobs = store.open_blobs()
        await blobs.put(NAME, source)
        await blobs.put(NAME, source)
        await blobs.delete(NAME)

    assert [count(database, table) for table in ("blob_objects", "blob_uploads", "blob_chunks")] == [0, 0, 0]
