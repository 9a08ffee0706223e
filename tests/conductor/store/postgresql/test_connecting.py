"""A database that cannot be used is refused with what to do; one that can be is opened with the settings that the rules ask for."""

import asyncio
import os
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from conductor.errors import (
    ConfigurationError,
    DatabaseDamagedError,
    DatabaseNotUpgradedError,
    DatabaseTooNewError,
    StatusError,
    StorageError,
)
from conductor.store.postgresql import connection as connections
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import READING, connect
from conductor.store.postgresql.failures import translate
from conductor.store.postgresql.pipeline import ask, run_together
from conductor.store.postgresql.schema import SCHEMA_VERSION, Schema
from conductor.store.postgresql.store import PostgresqlStore
from tests.conductor.store.material import creation, run_name
from tests.kit.databases import Databases
from tests.kit.leader import leading
from tests.kit.postgresql_cable import cable_to

pytestmark = pytest.mark.processes


async def refusal(url: str) -> StatusError:
    with pytest.raises(StatusError) as refused:
        await PostgresqlStore.open(url)
    return refused.value


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        ({"user": "locked"}, "no password supplied", "PGPASSFILE"),
        ({"dbname": "absent"}, 'database "absent" does not exist', "createdb"),
        ({"user": "absent"}, 'role "absent" does not exist', "createuser"),
        ({"host": "/nowhere"}, "No such file", "whether the server runs"),
        ({"host": "127.0.0.1", "port": "9"}, "Connection refused", "whether the server runs"),
    ],
)
async def test_what_keeps_a_conductor_from_connecting_is_said_with_what_to_do(
    databases: Databases, database: str, change: dict[str, str], said: str, hint: str
) -> None:
    databases.allow_passwords()
    found = psycopg.conninfo.conninfo_to_dict(database) | change

    refused = await refusal(psycopg.conninfo.make_conninfo("", **found))

    assert isinstance(refused, StorageError)
    assert str(refused).startswith("cannot connect to the database")
    assert said in str(refused)
    assert hint in refused.hint


async def test_a_password_comes_from_a_file_or_the_environment(
    databases: Databases, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases.allow_passwords()
    locked = database.replace("user=conductor", "user=locked")
    monkeypatch.setenv("PGPASSWORD", "wrong")
    refused = await refusal(locked)
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:locked:secret\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    connection = await connect(DatabaseAddress.read(locked))
    await connection.close()

    assert "password authentication failed" in str(refused)
    assert "PGPASSFILE" in refused.hint


async def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    for url in (
        "postgresql://ann:hidden@db/flows",
        "postgresql://ann@db/flows?password=hidden",
        "postgresql://ann@db",
        "postgresql://ann:hid%den-hidden@db/flows",  # libpq quotes where it cannot go on
        "postgresql://ann:hidden hidden@db/flows",
        "postgresql:///flows?password=hid%den-hidden",
        "postgresql:///flows?sslpassword=hidden",
        "postgresql:///flows?scram_client_key=hidden",
        "mysql://ann:hidden@db/flows",
    ):
        with pytest.raises(ConfigurationError) as refused:
            DatabaseAddress.read(url)
        assert "hidden" not in str(refused.value)
        assert "PGPASSFILE" in refused.value.hint


@pytest.mark.parametrize("place", ["url", "environment", "database"])
async def test_nothing_around_a_connection_changes_what_the_store_relies_on(
    database: str, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Text in another encoding would be stored as another text, and a lease that is not on disk be given twice."""
    found = psycopg.conninfo.conninfo_to_dict(database)
    if place == "url":
        found |= {"client_encoding": "LATIN1", "application_name": "x", "options": "-c search_path=public"}
    if place == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
        monkeypatch.setenv("PGAPPNAME", "x")
        monkeypatch.setenv("PGOPTIONS", "-c search_path=public")
    wishes = {"default_transaction_isolation": "serializable", "synchronous_commit": "off", "search_path": "public"}
    statements = [f"ALTER DATABASE {found['dbname']} SET {name} = {value}" for name, value in wishes.items()]
    with psycopg.connect(database, autocommit=True) as operator:
        for statement in statements if place == "database" else ():
            operator.execute(statement.encode())
        connection = await connect(DatabaseAddress.read(psycopg.conninfo.make_conninfo("", **found)))
        names = ("transaction_isolation", "synchronous_commit", "search_path", "application_name")
        told = [(await ask(connection, "SELECT current_setting(%s)", name))[0][0] for name in names]
        length = await ask(connection, "SELECT length(%s), %s", "é", "é")
        await connection.close()
        operator.execute(f"ALTER DATABASE {found['dbname']} RESET ALL".encode())

    assert told == ["read committed", "on", "conductor", "conductor"]
    assert length == [(1, "é")]


async def test_of_several_hosts_the_primary_is_taken(database: str) -> None:
    found = psycopg.conninfo.conninfo_to_dict(database)
    several = psycopg.conninfo.make_conninfo("", **found | {"host": f"/nowhere,{found['host']}"})

    connection = await connect(DatabaseAddress.read(several))
    parameters = connection.info.get_parameters()
    await connection.close()

    assert (parameters["host"], parameters["target_session_attrs"]) == (found["host"], "primary")


async def test_a_user_without_rights_is_told_which_to_grant(databases: Databases, database: str) -> None:
    databases.allow_passwords()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE locked")
        with pytest.raises(errors.InsufficientPrivilege) as refused:
            connection.execute("CREATE SCHEMA conductor")

    found = translate(refused.value, DatabaseAddress.read(database))

    assert isinstance(found, StorageError)
    assert "GRANT CREATE ON DATABASE" in found.hint


async def test_conductors_with_users_of_their_own_share_a_schema_by_the_role_of_its_owner(database: str) -> None:
    owner, one, two, stranger = (f"{name}_{os.getpid()}" for name in ("owner", "one", "two", "stranger"))
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in (
            f"CREATE ROLE {owner}; CREATE ROLE {one} LOGIN; CREATE ROLE {two} LOGIN; CREATE ROLE {stranger} LOGIN",
            f"GRANT CREATE ON DATABASE {name} TO {owner}",
            f"GRANT {owner} TO {one}, {two}",
        ):
            connection.execute(statement.encode())

    for number, user in enumerate((one, two), start=1):
        url = database.replace("user=conductor", f"user={user}") + f"&options=-crole%3D{owner}"
        async with leading(url, user) as store:
            await store.append(creation(run_name(number)), 1.0)
    refused = await refusal(database.replace("user=conductor", f"user={stranger}"))

    assert isinstance(refused, StorageError)
    assert "permission denied" in str(refused)
    assert "connect as the user who owns the schema 'conductor'" in refused.hint


async def test_a_connection_pool_is_refused(database: str) -> None:
    """PgBouncer in transaction mode hands the parts of a session to several backends."""
    async with cable_to(database) as cable:
        cable.is_pool = True
        refused = await refusal(cable.url)

    assert "is a connection pool" in str(refused)
    assert "PostgreSQL itself" in refused.hint


async def test_a_stopped_holder_does_not_hold_a_lock_for_long(database: str) -> None:
    """Half a transaction ends after two seconds, and a connection that gets no acknowledgement after six."""
    connection = await connect(DatabaseAddress.read(database))
    reader = await connect(DatabaseAddress.read(database), READING)
    names = ("idle_in_transaction_session_timeout", "lock_timeout", "search_path")
    shown = [(await ask(connection, "SELECT current_setting(%s)", name))[0][0] for name in names]
    reads = [(await ask(reader, "SELECT current_setting(%s)", name))[0][0] for name in READING]
    parameters = connection.info.get_parameters()
    await connection.close()
    await reader.close()

    assert shown == ["2s", "5s", "conductor"]
    assert reads == ["on", "repeatable read", "30s"]
    assert parameters["tcp_user_timeout"] == "6000"


async def test_two_conductors_that_find_an_empty_database_make_one_schema(database: str) -> None:
    first, second = await asyncio.gather(PostgresqlStore.open(database), PostgresqlStore.open(database))
    await first.close()
    await second.close()

    assert first.conductor_id == second.conductor_id
    assert sorted((first.epoch, second.epoch)) == [1, 2]


@pytest.mark.parametrize(
    ("statement", "kind", "said"),
    [
        ("CREATE SCHEMA conductor", DatabaseDamagedError, "is not a conductor's"),
        ("CREATE SCHEMA conductor CREATE TABLE meta (other TEXT)", DatabaseDamagedError, "is not a conductor's"),
        (
            "CREATE SCHEMA conductor CREATE VIEW meta AS SELECT 'x' schema_version",
            DatabaseDamagedError,
            "not a conductor",
        ),
        (
            "CREATE SCHEMA conductor CREATE VIEW meta AS SELECT -3 schema_version",
            DatabaseDamagedError,
            "not a conductor",
        ),
        (
            "CREATE SCHEMA conductor CREATE VIEW meta AS SELECT 1 schema_version",
            DatabaseDamagedError,
            '"place" does not',
        ),
    ],
)
async def test_a_schema_of_another_program_is_refused(
    database: str, statement: str, kind: type[Exception], said: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(statement.encode())

    refused = await refusal(database)

    assert isinstance(refused, kind)
    assert said in str(refused)
    assert "--store" in refused.hint


async def test_a_newer_schema_is_refused_and_an_older_one_upgraded_whole_or_not_at_all(
    database: str, tmp_path: Path
) -> None:
    next_version = f"{SCHEMA_VERSION + 1:04}.sql"
    newer = Schema(version=SCHEMA_VERSION + 1, migrations=tmp_path)
    async with await PostgresqlStore.open(database) as store:
        await store.append(creation(run_name(1)), 1.0)
    (tmp_path / next_version).write_text("CREATE TABLE more (number BIGINT); ALTER TABLE absent ADD COLUMN x TEXT;")
    with pytest.raises(DatabaseNotUpgradedError, match="and is unchanged"):
        await PostgresqlStore.open(database, newer)
    async with await PostgresqlStore.open(database) as store:
        assert await store.known_runs([run_name(1)])
    (tmp_path / next_version).write_text("CREATE TABLE more (number BIGINT);")
    async with await PostgresqlStore.open(database, newer) as store:
        assert await store.known_runs([run_name(1)])

    refused = await refusal(database)

    assert isinstance(refused, DatabaseTooNewError)
    assert refused.metadata == {"found": str(SCHEMA_VERSION + 1), "known": str(SCHEMA_VERSION)}


async def test_an_old_server_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LEAST_VERSION", 990_000)

    assert "runs PostgreSQL" in str(await refusal(database))


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (errors.DiskFull("could not extend file"), StorageError, "make room on the disk of the server"),
        (errors.OutOfMemory("out of memory"), StorageError, "the server lacks a resource"),
        (errors.LockNotAvailable("lock timeout"), StorageError, "pg_stat_activity"),
        (errors.ReadOnlySqlTransaction("read-only"), StorageError, "the address of the primary"),
        (errors.AdminShutdown("terminating connection"), StorageError, "the server's log"),
        (errors.SerializationFailure("try again"), StorageError, ""),
        (psycopg.OperationalError("server closed the connection"), StorageError, ""),
        (errors.DataCorrupted("invalid page"), DatabaseDamagedError, "restore a backup of the server"),
        (errors.UndefinedColumn("no such column"), DatabaseDamagedError, "restore a backup of the server"),
        (errors.InsufficientPrivilege("permission denied"), StorageError, "GRANT CREATE"),
        (errors.SyntaxError("at or near"), errors.SyntaxError, None),
    ],
)
async def test_each_error_of_the_server_says_whether_it_may_pass_and_what_to_do(
    error: psycopg.Error, kind: type[Exception], hint: str | None
) -> None:
    address = DatabaseAddress.read("postgresql://ann@db/flows")

    found = translate(error, address)

    assert type(found) is kind
    if isinstance(found, StatusError) and hint is not None:
        assert "the database 'flows' at db" in str(found)
        assert hint in found.hint


async def test_values_travel_as_one_type_each(database: str) -> None:
    """NUL and lone surrogates have no form: such a text is sent as another, and so never found."""
    address = DatabaseAddress.read(database)
    connection = await connect(address)
    kinds = "SELECT pg_typeof(%s)::text, pg_typeof(%s)::text, pg_typeof(%s)::text, pg_typeof(%s)::text, %s::text"
    for number in (1, 70_000, 2**40):
        rows = await ask(connection, kinds, number, [number], ["a"], [b"a"], "a\0b\ud800")
        assert rows == [("bigint", "bigint[]", "text[]", "bytea[]", "a\ufffdb?")]
    with pytest.raises(TypeError, match="a list of float"):
        await ask(connection, "SELECT %s", [1.5])
    with pytest.raises(errors.DivisionByZero):
        await run_together(connection, ("SELECT 1", ()), ("SELECT 1 / %s::bigint", (0,)), ("SELECT 2", ()))
    after = await run_together(connection, ("SELECT 2", ()), ("SELECT %s::bytea[]", ([b"\0", b""],)))
    await connection.close()

    assert after == [[(2,)], [([b"\0", b""],)]]
