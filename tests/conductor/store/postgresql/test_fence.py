"""The rules of a database that outlives its writer: the fence, a COMMIT without an answer, two planes, a lost connection."""

from collections.abc import Awaitable, Callable

import psycopg
import pytest

from conductor.core.access.tokens import Token
from conductor.core.model.events.run_events import RunStarted
from conductor.errors import StoreLostError, SupersededError
from conductor.store.port import Store
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.records import Deletion
from tests.conductor.store.material import attempt, creation, events, run_name, settlement, speech
from tests.kit.postgresql_cable import Break, cable_to

pytestmark = pytest.mark.processes

RUN, OTHER = run_name(1), run_name(2)
TOKEN = Token("a" * 64, "ci", "operator", 1.5, "loopback")

WRITES: dict[str, Callable[[Store], Awaitable[object]]] = {
    "compact": lambda store: store.compact(RUN),
    "append": lambda store: store.append(events(OTHER, RunStarted()), 5.0),
    "delete": lambda store: store.delete(Deletion(RUN, 9.0, "it was a test")),
    "keep offset": lambda store: store.keep_offset("boot", 7.0),
    "keep tokens": lambda store: store.keep_tokens([TOKEN]),
}


def look(database: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database, options="-c search_path=conductor") as connection:
        return connection.execute(query.encode()).fetchall()


def everything(database: str) -> list[object]:
    """Returns every row but the one of `meta`."""
    with psycopg.connect(database, options="-c search_path=conductor") as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'conductor'").fetchall()
        tables = sorted(str(name) for (name,) in found if name != "meta")
        return [(name, sorted(map(str, connection.execute(f"TABLE {name}".encode())))) for name in tables]


async def live(store: Store) -> None:
    await store.append(creation(RUN), 1.0)
    await store.append(attempt(RUN), 2.0)
    await store.append(speech(RUN, *["word "] * 100), 2.0)
    await store.append(settlement(RUN), 3.0)
    await store.append(creation(OTHER), 4.0)


async def test_the_fence_is_the_first_statement_of_every_write(database: str) -> None:
    async with await PostgresqlStore.open(database) as first:
        await live(first)
        async with await PostgresqlStore.open(database) as second:
            before = everything(database)
            for write in WRITES.values():
                with pytest.raises(SupersededError, match="another conductor took over the database"):
                    await write(first)
            assert everything(database) == before
            assert not await first.is_newest()
            for name, write in WRITES.items():
                last = everything(database)
                await write(second)
                assert everything(database) != last, name


async def test_a_purge_is_fenced_too(database: str) -> None:
    async with await PostgresqlStore.open(database) as first:
        await live(first)
        await first.delete(Deletion(RUN, 9.0, "it was a test"))
        async with await PostgresqlStore.open(database):
            before = everything(database)
            with pytest.raises(SupersededError):
                await first.purge(RUN)
            assert everything(database) == before


async def test_ids_come_from_the_fenced_row_and_never_from_a_sequence(database: str) -> None:
    async with await PostgresqlStore.open(database) as store:
        await live(store)
        (newest,) = look(database, "SELECT greatest((SELECT max(id) FROM journal), (SELECT max(id) FROM chunks))")
        assert newest == (await store.last_id(),)

    assert look(database, "SELECT * FROM pg_sequences WHERE schemaname = 'conductor'") == []


@pytest.mark.parametrize("place", Break)
async def test_an_unknown_commit_is_asked_and_not_repeated(database: str, place: Break) -> None:
    async with cable_to(database) as cable:
        async with await PostgresqlStore.open(cable.url) as store:
            await store.append(creation(RUN), 1.0)
            cable.breaks = place
            if place is Break.AFTER:
                assert await store.append(events(RUN, RunStarted()), 2.0) == {RUN: 2}
            else:
                with pytest.raises(StoreLostError, match=r"the connection to the database .* was lost"):
                    await store.append(events(RUN, RunStarted()), 2.0)
            with pytest.raises(StoreLostError):
                await store.append(settlement(RUN), 3.0)
            stored = [entry.position for entry in await store.events(RUN)]
        async with await PostgresqlStore.open(cable.url) as store:
            assert [entry.position for entry in await store.events(RUN)] == stored
            assert await store.append(settlement(RUN), 3.0) == {RUN: len(stored) + 1}

    assert stored == ([1, 2] if place is Break.AFTER else [1])


async def test_texts_are_on_this_servers_disk_and_what_must_last_on_its_replicas_too(database: str) -> None:
    async with await PostgresqlStore.open(database) as store:
        with psycopg.connect(database, autocommit=True, options="-c search_path=conductor") as connection:
            connection.execute("CREATE TABLE planes (what TEXT, plane TEXT)")
            connection.execute(
                "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO conductor.planes"
                " VALUES (TG_TABLE_NAME, current_setting('synchronous_commit')); RETURN NULL; END $$"
            )
            for table in ("journal", "chunks", "tokens", "clock"):
                connection.execute(
                    f"CREATE TRIGGER noted AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION note()".encode()
                )
        await store.append(creation(RUN), 1.0)
        await store.append(attempt(RUN), 2.0)
        await store.append(speech(RUN, "word "), 3.0)
        await store.keep_offset("boot", 7.0)
        await store.keep_tokens([TOKEN])

    seen = set(look(database, "SELECT what, plane FROM planes"))
    assert seen == {("journal", "on"), ("chunks", "local"), ("tokens", "on"), ("clock", "on")}


async def test_a_lost_connection_ends_the_writing_and_reads_go_on(database: str) -> None:
    async with await PostgresqlStore.open(database) as store:
        await live(store)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        for _ in range(2):
            with pytest.raises(StoreLostError):
                await store.append(events(OTHER, RunStarted()), 5.0)
        for _ in range(4):
            assert [entry.position for entry in await store.events(OTHER)] == [1]
