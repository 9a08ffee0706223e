"""What access keeps in memory is bounded, and what is worth storing is stored. Keeps K12."""

import asyncio
from contextlib import suppress

import pytest

from conductor.api.access.failures import MOST_FAILURES, MOST_PEERS, WINDOW_SECONDS, Failures
from conductor.api.access.token_book import USES_KEPT_EVERY_SECONDS, TokenBook
from conductor.core.access.roles import Role
from conductor.errors import TooManyFailedTokensError
from tests.fakes.memory_store import MemoryDisk, MemoryStore
from tests.kit.clock import ManualClock


def fail(failures: Failures, peer: str, times: int) -> None:
    for _ in range(times):
        failures.note_token(peer)


async def test_an_address_is_told_to_wait_until_its_minute_is_over() -> None:
    clock = ManualClock()
    failures = Failures(clock.now)
    fail(failures, "ipv4:192.0.2.1:1", MOST_FAILURES)
    await clock.advance(WINDOW_SECONDS - 20)

    with pytest.raises(TooManyFailedTokensError) as refused:
        failures.note_token("ipv4:192.0.2.1:2")
    fail(failures, "ipv4:192.0.2.2:1", 1)
    await clock.advance(20)
    fail(failures, "ipv4:192.0.2.1:3", MOST_FAILURES)

    assert refused.value.retry_after_seconds == 20


def test_the_address_that_failed_longest_ago_is_forgotten_where_there_are_too_many() -> None:
    failures = Failures(lambda: 0.0)
    fail(failures, "ipv4:192.0.2.1:1", MOST_FAILURES)
    for number in range(MOST_PEERS):
        failures.note_token(f"ipv6:[2001:db8::{number:x}]:1")

    fail(failures, "ipv4:192.0.2.1:1", MOST_FAILURES)


async def test_the_last_use_of_a_token_is_stored_at_once_and_then_once_a_minute() -> None:
    store, clock = MemoryStore(MemoryDisk()), ManualClock()
    book = await TokenBook.load(store, clock)
    _, secret = await book.create("ci", Role.VIEWER, "loopback")
    working = asyncio.ensure_future(book.run())
    for seconds in (0, USES_KEPT_EVERY_SECONDS):
        await clock.advance(seconds)
        book.find(secret)
        await clock.until_waiting(clock.now() + USES_KEPT_EVERY_SECONDS)
        assert [token.use_time for token in await store.tokens()] == [clock.now()]
    await clock.advance(1)
    book.find(secret)
    assert [token.use_time for token in await store.tokens()] == [clock.now() - 1]
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
