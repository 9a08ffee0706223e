"""The tokens that are valid, in memory, so that a call is judged without the database; every change is stored first.

The time of a token's last use is stored once a minute at most: a kill loses no more than that.
"""

import asyncio
import hmac
import secrets
from dataclasses import replace
from typing import Self

import structlog

from conductor.clock import Clock
from conductor.core.access.roles import Role
from conductor.core.access.tokens import MOST_TOKENS, RANDOM_BYTES, Token, digest_of_token, is_token, make_token
from conductor.errors import NoCapacityError, NotFoundError, StatusError, TokenExistsError
from conductor.store.port import Store

USES_KEPT_EVERY_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class TokenBook:
    """All tokens of a store. Changes happen one after another."""

    def __init__(self, store: Store, clock: Clock, tokens: list[Token]) -> None:
        self._store = store
        self._clock = clock
        self._tokens = {token.digest: token for token in tokens}
        self._has_valid = self._look_for_valid()
        self._changing = asyncio.Lock()
        self._used: dict[str, float] = {}  # times of uses that are not stored yet
        self._is_used = asyncio.Event()

    @classmethod
    async def load(cls, store: Store, clock: Clock) -> Self:
        """Reads the tokens of a store."""
        return cls(store, clock, await store.tokens())

    async def reload(self) -> None:
        """Reads the tokens again, which another conductor of the store may have changed."""
        async with self._changing:
            self._tokens = {token.digest: token for token in await self._store.tokens()}
            self._has_valid = self._look_for_valid()

    @property
    def has_valid(self) -> bool:
        """Returns whether any token is not revoked."""
        return self._has_valid

    def find(self, text: str) -> Token | None:
        """Returns the token that a caller sent, also a revoked one, and notes its use; None for any other text."""
        if not is_token(text):
            return None
        digest = digest_of_token(text)
        token = self._tokens.get(digest)
        if token is None or not hmac.compare_digest(token.digest, digest):
            return None
        if not token.revoke_time:
            self._used[digest] = self._clock.now()
            self._is_used.set()
        return token

    def all(self) -> list[Token]:
        """Returns all tokens, the oldest first."""
        used = [replace(one, use_time=self._used.get(one.digest, one.use_time)) for one in self._tokens.values()]
        return sorted(used, key=lambda token: (token.create_time, token.name))

    async def create(self, name: str, role: Role, by: str) -> tuple[Token, str]:
        """Makes a token; returns it, and the secret, which is told once."""
        async with self._changing:
            if self._find_valid(name) is not None:
                raise TokenExistsError(f"there is a token '{name}'", hint=f"conductor tokens revoke {name}")
            forgotten = self._make_room()
            secret = make_token(secrets.token_bytes(RANDOM_BYTES))
            token = Token(digest_of_token(secret), name, role, self._clock.now(), by)
            await self._store.keep_tokens((token,), forgotten)
            for digest in forgotten:
                del self._tokens[digest]
            self._tokens[token.digest] = token
            self._has_valid = True
        _log.info("token_created", token=name, role=str(role), by=by)
        return token, secret

    async def revoke(self, name: str, by: str) -> Token:
        """Revokes the valid token of a name, or returns the one that was revoked last."""
        async with self._changing:
            valid = self._find_valid(name)
            if valid is None:
                return self._find_revoked(name)
            use_time = self._used.pop(valid.digest, valid.use_time)
            revoked = replace(valid, use_time=use_time, revoke_time=self._clock.now(), revoked_by=by)
            await self._store.keep_tokens((revoked,))
            self._tokens[revoked.digest] = revoked
            self._has_valid = self._look_for_valid()
        _log.info("token_revoked", token=name, by=by)
        return revoked

    async def run(self) -> None:
        """Stores the times of uses until it is cancelled."""
        while True:
            await self._is_used.wait()
            self._is_used.clear()
            try:
                await self._keep_uses()
            except StatusError as error:
                _log.warning("token_uses_put_off", error=str(error))
            await self._clock.wait(asyncio.Event(), self._clock.now() + USES_KEPT_EVERY_SECONDS)

    async def _keep_uses(self) -> None:
        async with self._changing:
            used = [
                replace(token, use_time=time)
                for digest, time in self._used.items()
                if (token := self._tokens.get(digest)) is not None and token.use_time != time
            ]
            await self._store.keep_tokens(used)
            self._tokens |= {token.digest: token for token in used}

    def _look_for_valid(self) -> bool:
        return any(not token.revoke_time for token in self._tokens.values())

    def _find_valid(self, name: str) -> Token | None:
        named = (token for token in self._tokens.values() if token.name == name and not token.revoke_time)
        return next(named, None)

    def _find_revoked(self, name: str) -> Token:
        revoked = [token for token in self._tokens.values() if token.name == name]
        if not revoked:
            raise NotFoundError("token", name, hint="see them:  conductor tokens list")
        return max(revoked, key=lambda token: token.revoke_time)

    def _make_room(self) -> list[str]:
        """Returns the digest of the token to forget for another one: of those that were revoked, the oldest."""
        if len(self._tokens) < MOST_TOKENS:
            return []
        revoked = [token for token in self._tokens.values() if token.revoke_time]
        if not revoked:
            raise NoCapacityError(f"there are {MOST_TOKENS} tokens, which is the limit; revoke one first")
        return [min(revoked, key=lambda token: token.revoke_time).digest]
