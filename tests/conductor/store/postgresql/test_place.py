"""A database that is not where its conductor wrote it may lack what was stored last, and is refused until it has a new id."""

import psycopg
import pytest

from conductor.core.lease.model import Ask, Question
from conductor.errors import DatabaseInUseError, DatabaseRestoredError
from conductor.store.postgresql.place import renew
from conductor.store.postgresql.sharing.store import SharedPostgresqlStore
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.shared import Claim
from tests.conductor.store.material import creation, run_name
from tests.kit.databases import Databases

pytestmark = pytest.mark.processes


def change(database: str, statement: str) -> None:
    with psycopg.connect(database, options="-c search_path=conductor") as connection:
        assert connection.execute(statement.encode()).rowcount == 1


async def test_a_restored_copy_is_refused_until_it_is_renewed(databases: Databases, database: str) -> None:
    """A copy in the same server differs by its number alone; a restored backup is written as another database, too."""
    async with await PostgresqlStore.open(database) as store:
        await store.append(creation(run_name(1)), 1.0)
        former = store.conductor_id
    name = database.partition("///")[2].partition("?")[0]
    with databases.server.database(f"copy_of_{name}", template=name) as copy:
        for opening in (PostgresqlStore.open(copy), SharedPostgresqlStore.open_shared(copy)):
            with pytest.raises(DatabaseRestoredError, match="was restored, copied or promoted") as refused:
                await opening
            assert "conductor store renew" in refused.value.hint
        old, new = await renew(copy)
        async with await PostgresqlStore.open(copy) as store:
            assert (store.conductor_id, store.epoch) == (new, 1)
            assert await store.known_runs([run_name(1)])
    async with await PostgresqlStore.open(database) as store:
        assert (store.conductor_id, store.epoch) == (former, 2)

    assert old == former != new


@pytest.mark.parametrize(("was_synchronous", "is_refused"), [(False, True), (True, False)])
async def test_a_promoted_replica_goes_on_with_the_id_only_where_commits_waited_for_it(
    database: str, *, was_synchronous: bool, is_refused: bool
) -> None:
    async with await PostgresqlStore.open(database):
        pass
    change(database, f"UPDATE place SET timeline = timeline - 1, is_synchronous = {was_synchronous}")  # noqa: S608
    if is_refused:
        with pytest.raises(DatabaseRestoredError):
            await PostgresqlStore.open(database)
    else:
        for _ in range(2):
            async with await PostgresqlStore.open(database):
                pass


async def test_a_database_with_an_active_conductor_keeps_its_id(database: str) -> None:
    store = await SharedPostgresqlStore.open_shared(database)
    await store.ask_lease(Ask(Question.TAKE, 0), Claim("me", 60.0, "127.0.0.1:1"))

    with pytest.raises(DatabaseInUseError, match=r"an active conductor at 127\.0\.0\.1:1"):
        await renew(database)
    await store.close()
