"""K7: a schema in PostgreSQL that an earlier version made opens, goes up, and is read as before.

`yesterday/make_postgresql.py` made them. Version 1 is the newest one today, and is kept all the same: schema.sql cannot change
any more without a migration.
"""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from conductor.core.model.states import RunState
from conductor.engine.recovery import read_state
from conductor.store.postgresql.examination import examine
from conductor.store.postgresql.schema import SCHEMA_VERSION
from conductor.store.postgresql.store import PostgresqlStore
from conductor.v1 import access_service_pb2 as access_pb
from conductor.v1 import pool_service_pb2 as pool_pb
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import running_conductor
from tests.conductor.store.yesterday.make import HERE, REQUEST_ID
from tests.conductor.store.yesterday.make_postgresql import ADDED_HOST, RETRY_REQUEST
from tests.kit.databases import Databases
from tests.kit.dumps import Dump
from tests.yesterday.archive import differences, recall
from tests.yesterday.reading import read_run

pytestmark = pytest.mark.processes

_COLUMNS = """
SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'conductor'
"""
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'conductor'"
_CONSTRAINTS = """
SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'conductor'::regnamespace
"""
_TABLES = """
SELECT relname, relpersistence, reloptions FROM pg_class WHERE relkind = 'r' AND relnamespace = 'conductor'::regnamespace
"""


def kept(version: int) -> Path:
    return HERE / f"postgresql-{version}.json.xz"


@pytest.fixture(params=range(1, SCHEMA_VERSION + 1))
def version(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def left(version: int, databases: Databases) -> Iterator[str]:
    """The URL of a database as a conductor of that version left it."""
    url = databases.take()
    Dump.read(recall(kept(version))).restore(url)
    yield url
    databases.give_back(url)


def shape(url: str) -> list[set[tuple[object, ...]]]:
    """What a schema is made of."""
    with psycopg.connect(url) as connection:
        return [
            {tuple(map(str, row)) for row in connection.execute(query.encode())}
            for query in (_COLUMNS, _INDEXES, _CONSTRAINTS, _TABLES)
        ]


async def test_a_schema_of_each_version_opens_and_is_then_as_a_new_one(left: str, database: str) -> None:
    async with await PostgresqlStore.open(left) as store, await PostgresqlStore.open(database):
        known = await store.requests([REQUEST_ID, RETRY_REQUEST])
        state = await read_state(store, 1.0)
        examined = await examine(left)

    assert shape(left) == shape(database), "schema.sql changed: raise SCHEMA_VERSION, and write a migration"
    assert known.keys() == {REQUEST_ID, RETRY_REQUEST}
    assert [run.run.state for run in state.ongoing.values()] == [RunState.RUNNING]
    assert state.damaged == {}
    assert examined.damages == ()


async def test_what_each_version_stored_is_told_as_it_was_told_then(left: str, version: int, tmp_path: Path) -> None:
    golden = {told["run"]["name"]: told for told in recall(kept(version))["answers"]}
    async with running_conductor(tmp_path, store=left) as running:
        told = {name: await read_run(running, name) for name in golden}
        listed = (await running.runs.ListRuns(pb.ListRunsRequest(page_size=500))).runs
        hosts = (await running.pool.ListHosts(pool_pb.ListHostsRequest())).hosts
        tokens = (await running.access.ListTokens(access_pb.ListTokensRequest())).tokens

    assert {one["run"]["state"] for one in golden.values()} == {"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELLED"}
    assert differences(golden, told) == []
    assert {run.name for run in listed} > golden.keys()
    assert [host.name for host in hosts] == [ADDED_HOST]
    assert [token.name for token in tokens] == ["tokens/ann"]
