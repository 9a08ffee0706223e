"""Tokens of callers in every store. Keeps K12."""

from dataclasses import replace

from conductor.core.access.tokens import Token
from conductor.store.port import Store
from tests.conductor.store.contract.places import Place

FIRST = Token("a" * 64, "ci", "operator", 1.5, "loopback")
SECOND = Token("b" * 64, "ann", "admin", 2.5, "token:ci", use_time=7.25)


async def test_tokens_are_kept_changed_and_forgotten(store: Store) -> None:
    assert await store.tokens() == []

    await store.keep_tokens([SECOND, FIRST])
    assert await store.tokens() == [FIRST, SECOND]

    revoked = replace(FIRST, revoke_time=9.0, revoked_by="token:ann")
    await store.keep_tokens([revoked], [SECOND.digest])
    assert await store.tokens() == [revoked]


async def test_a_kill_loses_no_token(place: Place) -> None:
    async with place.open() as store:
        await store.keep_tokens([FIRST])
        place.kill()
    async with place.open() as store:
        assert await store.tokens() == [FIRST]
