"""Checks that callers who ask for the same thing at once share the work, and see nothing older than their question."""

import asyncio
from collections.abc import Callable

import pytest

from conductor.snapshots.shared_work import SharedWork


class _Work:
    """Counts; each piece begins when it is let."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.may_end = asyncio.Event()
        self._one = asyncio.Lock()

    async def __call__(self, begin: Callable[[], None]) -> int:
        async with self._one:
            begin()
            self.begun += 1
            number = self.begun
            try:
                await self.may_end.wait()
            finally:
                self.ended += 1
            return number


async def test_twelve_callers_wait_for_two_pieces_of_work() -> None:
    shared, work = SharedWork[int](), _Work()
    first = asyncio.create_task(shared.join("a", work))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(shared.join("a", work)) for _ in range(11)]
    await asyncio.sleep(0.01)
    work.may_end.set()

    assert await asyncio.gather(first, *others) == [1, *[2] * 11]


async def test_work_goes_on_while_one_caller_waits_and_ends_when_all_have_left() -> None:
    shared, work = SharedWork[int](), _Work()
    callers = [asyncio.create_task(shared.join("a", work)) for _ in range(3)]
    await asyncio.sleep(0.01)
    callers[0].cancel()
    await asyncio.sleep(0.01)
    assert (work.begun, work.ended) == (1, 0)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await asyncio.sleep(0.01)

    assert work.ended == 1


async def test_all_callers_hear_of_a_failure() -> None:
    async def fail(begin: Callable[[], None]) -> int:
        await asyncio.sleep(0)
        begin()
        raise ValueError("no")

    shared = SharedWork[int]()
    told = await asyncio.gather(*(shared.join("a", fail) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [ValueError] * 3
    with pytest.raises(ValueError, match="no"):
        await shared.join("a", fail)
