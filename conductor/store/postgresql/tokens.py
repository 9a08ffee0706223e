"""Keeps the tokens of callers. Who may have one is decided elsewhere."""

from collections.abc import Sequence
from dataclasses import astuple

from conductor.core.access.tokens import Token
from conductor.store.postgresql.pipeline import Connection, Statement, ask
from conductor.store.postgresql.writer import Writer

_READ = (
    "SELECT digest, name, role, create_time, created_by, use_time, revoke_time, revoked_by FROM tokens"
    " ORDER BY create_time, name"
)
_FORGET = "DELETE FROM tokens WHERE digest = ANY(%s)"
_KEEP = (
    "INSERT INTO tokens (digest, name, role, create_time, created_by, use_time, revoke_time, revoked_by)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)


async def read_tokens(connection: Connection) -> list[Token]:
    """Returns all tokens, the oldest first."""
    return [Token(*row) for row in await ask(connection, _READ)]


async def keep_tokens(writer: Writer, kept: Sequence[Token], forgotten: Sequence[str]) -> None:
    """Stores tokens, new or changed, and removes those with these digests, in one durable transaction."""
    replaced = [token.digest for token in kept]
    statements: list[Statement] = [(_FORGET, (replaced,)), *((_KEEP, astuple(token)) for token in kept)]
    await writer.store([*statements, (_FORGET, (list(forgotten),))], is_durable=True)
