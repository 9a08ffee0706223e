"""K7: the database that an earlier version wrote opens, goes up, and holds what it held. See `yesterday/make.py`."""

import gzip
import sqlite3
from pathlib import Path

import pytest

from conductor.core.model.states import RunState
from conductor.engine.recovery import read_state
from conductor.store.records import RunFilter, StoredOutput
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.upkeep.examination import examine
from conductor.store.sqlite.upkeep.migration import SCHEMA_VERSION
from tests.conductor.store.yesterday.make import HERE, REQUEST_ID

VERSIONS = range(1, SCHEMA_VERSION)


@pytest.fixture(params=VERSIONS)
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "conductor.db").write_bytes(gzip.decompress((HERE / f"version-{request.param}.db.gz").read_bytes()))
    return tmp_path


def columns(path: Path) -> set[tuple[str, str, str]]:
    """Every column of every table: its table, name and type."""
    query = "SELECT t.name, c.name, c.type FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'"
    connection = sqlite3.connect(path / "conductor.db")
    try:
        return {(*row,) for row in connection.execute(query)}
    finally:
        connection.close()


def indexes(path: Path) -> set[tuple[str, str]]:
    connection = sqlite3.connect(path / "conductor.db")
    try:
        return set(connection.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'"))
    finally:
        connection.close()


async def test_it_opens_and_its_runs_are_read_whole(folder: Path) -> None:
    async with await SqliteStore.open(folder) as store:
        runs = {row.state: row for row in (await store.runs(RunFilter(), 10)).rows}
        good = runs[RunState.SUCCEEDED].run
        history = await store.history(good, 0)
        findings = (await store.findings(good, 10)).rows
        known = await store.requests([REQUEST_ID])
        state = await read_state(store, 1.0)

    assert runs.keys() == {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.RUNNING}
    assert [item.position for item in history] == list(range(1, runs[RunState.SUCCEEDED].last_position + 1))
    assert "grüße→" in "".join(item.output.text for item in history if isinstance(item, StoredOutput))
    assert [finding.status for finding in findings] == ["verified"]
    assert known[REQUEST_ID].run == good
    assert list(state.ongoing) == [runs[RunState.RUNNING].run]
    assert state.damaged == {}


async def test_it_is_then_as_a_new_one_and_gives_room_back(folder: Path, tmp_path: Path) -> None:
    async with await SqliteStore.open(folder), await SqliteStore.open(tmp_path / "new"):
        pass

    assert columns(folder) == columns(tmp_path / "new")
    assert indexes(folder) == indexes(tmp_path / "new")
    connection = sqlite3.connect(folder / "conductor.db")
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()
    assert examine(folder).damages == ()


@pytest.mark.parametrize("folder", range(1, 4), indirect=True)
async def test_a_request_id_that_was_kept_in_capitals_is_found_in_lower_case(folder: Path) -> None:
    """Keeps B2: versions before 4 kept ids as they came; the same request makes no second run after the upgrade."""
    connection = sqlite3.connect(folder / "conductor.db")
    connection.execute("UPDATE requests SET request_id = upper(request_id)")
    connection.commit()
    connection.close()

    async with await SqliteStore.open(folder) as store:
        assert REQUEST_ID in await store.requests([REQUEST_ID])
