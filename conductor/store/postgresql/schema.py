"""Brings the conductor's schema to the version that this software knows. Only the holder of the lease migrates.

A new schema is made from schema.sql. An older one is upgraded through all versions in one transaction: it is afterwards either
what it was or what it should be. A newer one is refused, since this software cannot know what it would break; so is a schema of
this name that another program made. Reads work one version back, so that a standby of the earlier version goes on meanwhile.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

import psycopg

from conductor.errors import DatabaseDamagedError, DatabaseNotUpgradedError, DatabaseTooNewError
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import SCHEMA_NAME
from conductor.store.postgresql.failures import translate
from conductor.store.postgresql.pipeline import Connection, ask

SCHEMA_VERSION = 1
_HERE = Path(__file__).parent
_LOCK = 0x434E4443  # "CNDC": two conductors that find an empty database make one schema
_OWNED = "SELECT to_regclass('meta') IS NOT NULL, EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = current_schema())"


@dataclass(frozen=True, slots=True)
class Schema:
    """A version, the script that creates it, and the folder of its migrations."""

    version: int = SCHEMA_VERSION
    script: Path = _HERE / "schema.sql"
    migrations: Path = _HERE / "migrations"


@dataclass(frozen=True, slots=True)
class Identity:
    """The id that was made with the schema, and the epoch of this opening."""

    conductor_id: str
    epoch: int


async def bring_up(connection: Connection, address: DatabaseAddress, schema: Schema, conductor_id: str = "") -> None:
    """Creates, upgrades or refuses the schema. A new one gets this id, or one of its own."""
    version = await read_version(connection, address, schema)
    if version == 0:
        await _make(connection, schema, conductor_id)
    elif version < schema.version:
        await _upgrade(connection, address, schema, version)


async def read_version(connection: Connection, address: DatabaseAddress, schema: Schema) -> int:
    """Returns the version of the schema, 0 where there is none. Refuses foreign and newer ones."""
    try:
        has_meta, has_schema = (await ask(connection, _OWNED))[0]
        if not has_meta and not has_schema:
            return 0
        version = (await ask(connection, "SELECT schema_version FROM meta"))[0][0]
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable, IndexError) as error:
        raise _foreign(address) from error
    if not isinstance(version, int) or version < 1:
        raise _foreign(address)
    if version > schema.version:
        raise DatabaseTooNewError(
            f"the {address.shown} has version {version}; this conductor knows versions up to {schema.version}",
            hint="start the newer conductor that wrote it, or give another database with --store",
            metadata={"found": str(version), "known": str(schema.version)},
        )
    return version


def _foreign(address: DatabaseAddress) -> DatabaseDamagedError:
    text = f"the schema '{SCHEMA_NAME}' of the {address.shown} is not a conductor's"
    return DatabaseDamagedError(text, hint="give another database with --store")


async def take_epoch(connection: Connection) -> Identity:
    """Raises the epoch, as a takeover does: an earlier writer writes nothing from now on."""
    rows = await ask(
        connection,
        "UPDATE meta SET epoch = epoch + 1, decision = 0, writer_pid = pg_backend_pid() RETURNING conductor_id, epoch",
    )
    return Identity(*rows[0])


async def _make(connection: Connection, schema: Schema, conductor_id: str) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA_NAME}")
        if (await ask(connection, "SELECT to_regclass('meta') IS NOT NULL"))[0][0]:
            return  # another conductor was first
        await connection.execute(schema.script.read_text(), prepare=False)
        row = (schema.version, conductor_id or secrets.token_hex(13))
        await connection.execute("INSERT INTO meta VALUES (1, %s, %s, 0, 0, 0, 0)", row)


async def _upgrade(connection: Connection, address: DatabaseAddress, schema: Schema, version: int) -> None:
    steps = range(version + 1, schema.version + 1)
    script = "\n".join((schema.migrations / f"{step:04}.sql").read_text() for step in steps)
    try:
        async with connection.transaction():
            await connection.execute(script, prepare=False)
            await connection.execute("UPDATE meta SET schema_version = %s", (schema.version,))
    except psycopg.Error as error:
        raise DatabaseNotUpgradedError(
            f"the {address.shown} could not be upgraded from version {version} to {schema.version} and is unchanged: {error}",
            hint="start the conductor that wrote it",
        ) from translate(error, address)
