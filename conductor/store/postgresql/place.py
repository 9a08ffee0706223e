"""Tells whether a database is still the one that its conductor wrote, or a copy of it that may lack what was stored last.

A restored backup, a copied database and a promoted replica hold the same id. Hosts would obey a conductor that knows less than they
do. So the place is noted: the server, the database in it, and the server's timeline, which each promotion and each restore to a
point in time begins again. Another place is refused until `conductor store renew` gave the copy an id of its own. A promotion alone
is accepted where commits waited for a replica: then the replica lacks nothing.
"""

import secrets
from dataclasses import dataclass

import psycopg

from conductor.errors import DatabaseInUseError, DatabaseRestoredError
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import connect
from conductor.store.postgresql.failures import translate
from conductor.store.postgresql.pipeline import Connection, ask, run_together
from conductor.store.postgresql.schema import Schema, read_version
from conductor.store.raw import Move
from conductor.store.refusals import refuse_moved

_LOOK = """
SELECT s.system_identifier || '/' || d.oid, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint,
  current_setting('synchronous_standby_names') <> ''
FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()
"""
_NOTED = "SELECT server, timeline, is_synchronous FROM place"
_NOTE = (
    "INSERT INTO place (number, server, timeline, is_synchronous) VALUES (1, %s, %s, %s) ON CONFLICT (number) DO UPDATE"
    " SET server = excluded.server, timeline = excluded.timeline, is_synchronous = excluded.is_synchronous"
)
_HOLDER = (
    "SELECT conductor_id, lease_holder <> '' AND lease_end > clock_timestamp(), lease_address FROM meta FOR UPDATE"
)
_RENEW = "UPDATE meta SET conductor_id = %s, epoch = 0, lease_holder = '', lease_address = ''"


@dataclass(frozen=True, slots=True)
class _Place:
    server: str
    timeline: int
    is_synchronous: bool

    def precedes(self, found: "_Place") -> bool:
        """Returns whether what was stored here is there as well."""
        is_promoted = self.is_synchronous and found.timeline > self.timeline
        return self.server == found.server and (self.timeline == found.timeline or is_promoted)


async def check_place(connection: Connection, address: DatabaseAddress) -> _Place | None:
    """Returns where the database is; None on a server that does not tell. DatabaseRestoredError: it was elsewhere before."""
    try:
        found = _Place(*(await ask(connection, _LOOK))[0])
    except psycopg.errors.InsufficientPrivilege:
        return None
    noted = [_Place(*row) for row in await ask(connection, _NOTED)]
    if noted and not noted[0].precedes(found):
        text = f"the {address.shown} was restored, copied or promoted since its conductor wrote it"
        raise DatabaseRestoredError(text, hint="give it a new id:  conductor store renew URL")
    return found


async def note_place(connection: Connection, address: DatabaseAddress) -> None:
    """Notes where the database is, after a check."""
    if (found := await check_place(connection, address)) is not None:
        await run_together(connection, (_NOTE, (found.server, found.timeline, found.is_synchronous)))


async def renew(url: str) -> tuple[str, str]:
    """Gives a database a new id, which no host knows; returns the old one and the new one."""
    address = DatabaseAddress.read(url)
    connection = await connect(address)
    try:
        if await read_version(connection, address, Schema()) == 0:
            raise DatabaseRestoredError(
                f"the {address.shown} has no conductor's schema", hint="there is nothing to renew"
            )
        async with connection.transaction():
            old, is_held, holder = (await ask(connection, _HOLDER))[0]
            refuse_moved(Move.decode((await ask(connection, "SELECT moved FROM meta"))[0][0]), url)
            if is_held:
                raise DatabaseInUseError(
                    f"the {address.shown} has an active conductor at {holder}", hint="stop it first"
                )
            new = secrets.token_hex(13)
            await run_together(connection, (_RENEW, (new,)), ("DELETE FROM place", ()))
    except psycopg.Error as error:
        raise translate(error, address) from error
    finally:
        await connection.close()
    return old, new
