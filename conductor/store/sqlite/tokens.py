"""Keeps the tokens of callers. Who may have one is decided elsewhere."""

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple

from conductor.core.access.tokens import Token

_READ = (
    "SELECT digest, name, role, create_time, created_by, use_time, revoke_time, revoked_by FROM tokens"
    " ORDER BY create_time, name"
)
_KEEP = (
    "INSERT OR REPLACE INTO tokens (digest, name, role, create_time, created_by, use_time, revoke_time, revoked_by)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def read_tokens(connection: sqlite3.Connection) -> list[Token]:
    """Returns all tokens, the oldest first."""
    return [Token(*row) for row in connection.execute(_READ).fetchall()]


def keep_tokens(connection: sqlite3.Connection, kept: Sequence[Token], forgotten: Sequence[str]) -> None:
    """Stores tokens, new or changed, and removes those with these digests, in one durable transaction."""
    connection.execute("PRAGMA synchronous = FULL").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(_KEEP, map(astuple, kept))
        connection.executemany("DELETE FROM tokens WHERE digest = ?", [(digest,) for digest in forgotten])
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
