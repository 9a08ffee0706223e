"""Translates errors of PostgreSQL, here and nowhere else. Those that may pass by themselves become StorageError.

Others are a defect, or damage. A sentence says what to do where an operator can do something.
"""

import psycopg
from psycopg import errors

from conductor.errors import DatabaseAwayError, DatabaseDamagedError, StorageError
from conductor.store.postgresql.address import DatabaseAddress

# Texts of libpq and of the server, from before there is an SQLSTATE, and what to do about each.
_CONNECTING = {
    "no password supplied": "name a file with the password in PGPASSFILE, or set PGPASSWORD",
    "password authentication failed": "mend the password in the file that PGPASSFILE names, or in PGPASSWORD",
    "no pg_hba.conf entry": "allow this user and machine in the server's pg_hba.conf",
    "does not exist": "create the user and the database:  "
    "createuser USER && createdb --owner USER --encoding UTF8 --template template0 DB",
    "too many clients": "raise max_connections of the server; a conductor needs 8",
    "connection slots are reserved": "raise max_connections of the server; a conductor needs 8",
    "too many connections": "raise the limit of connections of this user or database; a conductor needs 8",
    "the database system is": "wait until the server has started",
    "unsupported startup parameter": "give the address of PostgreSQL itself: this is a connection pool",
}
_REACHING = "look whether the server runs, and whether host and port are right"
_PASSING_HINTS = (_REACHING, _CONNECTING["too many clients"], _CONNECTING["the database system is"])

# By class of SQLSTATE, or the whole one: what an operator can do.
_PASSING = {
    "53100": "make room on the disk of the server",
    "53": "the server lacks a resource: look at its log",
    "55P03": "another session holds a lock for long: look for it in pg_stat_activity",
    "57014": "",
    "57": "look at the server's log",
    "08": "",
    "40": "",
    "25006": "the server is a replica that only reads, or was set to read only: give the address of the primary",
    "25P03": "",
    "42501": "connect as the user who owns the schema 'conductor', or grant its role:  GRANT OWNER TO USER;"
    " where there is no schema yet:  GRANT CREATE ON DATABASE DB TO USER",
    "58": "look at the disk and the log of the server",
}
_DAMAGED = ("XX001", "XX002")
_LACKING = ("42P01", "42703", "3F000")  # tables, columns, the schema
_REPEATED = (errors.UniqueViolation, errors.ForeignKeyViolation)


def translate_connecting(error: psycopg.Error, address: DatabaseAddress) -> StorageError:
    """Returns the error for a connection that could not be made: DatabaseAwayError where a later try may succeed."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    said = next((line for line in lines if any(text in line for text in _CONNECTING)), lines[0])
    hint = next((hint for text, hint in _CONNECTING.items() if text in said), _REACHING)
    kind = DatabaseAwayError if hint in _PASSING_HINTS else StorageError
    # The address stands before it already.
    told = said.rpartition(" failed: ")[2].removeprefix("fe_sendauth:").removeprefix("FATAL:").strip()
    return kind(f"cannot connect to the {address.shown}: {told}", hint=hint)


def translate(error: psycopg.Error, address: DatabaseAddress) -> Exception:
    """Returns the error to raise: StorageError where a retry may help, the same error otherwise."""
    state = error.sqlstate or ""
    said = str(error).partition("\n")[0].strip() or type(error).__name__
    if state in _DAMAGED:
        return DatabaseDamagedError(f"the {address.shown} is damaged: {said}", hint="restore a backup of the server")
    if state in _LACKING:
        text = f"the {address.shown} has no whole schema of a conductor: {said}"
        return DatabaseDamagedError(text, hint="give another database with --store, or restore a backup of the server")
    hint = next((_PASSING[key] for key in (state, state[:2]) if key in _PASSING), None)
    # Without an SQLSTATE it is libpq that tells: the connection broke.
    if hint is None and not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        hint = ""
    return error if hint is None else StorageError(f"the {address.shown} cannot be used now: {said}", hint=hint)


def is_repetition(error: psycopg.Error) -> bool:
    """Returns whether a statement would store again what is stored, or refers to something unknown."""
    return isinstance(error, _REPEATED)
