"""The statements about the lease, which stands in the one row of `meta` beside the epoch. The server's clock alone judges it.

`clock_timestamp()` is the time of the statement, also where it waited for a lock; `now()` would be that of its beginning. A holder
that stands still in a transaction keeps the row locked: after a second its backend is ended, and the lease taken.
"""

import psycopg

from conductor.core.lease.model import Ask, Lease, Question
from conductor.store.postgresql.connection import Connection, ask
from conductor.store.shared import Claim

LOCK_SECONDS = 1

_TAKE = """
UPDATE meta SET epoch = epoch + 1, decision = 0, lease_holder = %s, lease_address = %s,
  lease_end = clock_timestamp() + make_interval(secs => %s)
WHERE epoch = %s AND (lease_holder IN ('', %s) OR lease_end <= clock_timestamp()) AND moved = ''
"""
_RENEW = """
UPDATE meta SET lease_end = clock_timestamp() + make_interval(secs => %s)
WHERE epoch = %s AND lease_holder = %s AND lease_end > clock_timestamp()
"""
_GIVE_AWAY = "UPDATE meta SET lease_holder = '', lease_address = '' WHERE epoch = %s AND lease_holder = %s"
_LOOK = """
SELECT lease_holder, epoch, CASE WHEN lease_holder = '' THEN 0
  ELSE greatest(extract(epoch FROM lease_end - clock_timestamp()), 0) END::float8, lease_address FROM meta
"""
# Only where the lease has run out, and only a conductor's backend: its number may be another's since.
_END_WRITER = """
SELECT pg_terminate_backend(a.pid) FROM meta m JOIN pg_stat_activity a ON a.pid = m.writer_pid
WHERE a.datname = current_database() AND a.application_name = 'conductor' AND a.pid <> pg_backend_pid()
  AND (m.lease_holder = '' OR m.lease_end <= clock_timestamp())
"""


async def ask_lease(connection: Connection, question: Ask, claim: Claim) -> Lease:
    """Carries out one statement; returns the lease as it is then."""
    match question.question:
        case Question.TAKE:
            await _take(connection, question.epoch, claim)
        case Question.RENEW:
            await connection.execute(_RENEW, (claim.seconds, question.epoch, claim.holder))
        case Question.GIVE_AWAY:
            await connection.execute(_GIVE_AWAY, (question.epoch, claim.holder))
        case Question.LOOK:
            pass
    holder, epoch, left, address = (await ask(connection, _LOOK))[0]
    return Lease(holder, epoch, left, address)


async def _take(connection: Connection, epoch: int, claim: Claim) -> None:
    values = (claim.holder, claim.address, claim.seconds, epoch, claim.holder)
    try:
        await connection.execute(_TAKE, values)
    except psycopg.errors.LockNotAvailable:
        await connection.execute(_END_WRITER)
        await connection.execute(_TAKE, values)
