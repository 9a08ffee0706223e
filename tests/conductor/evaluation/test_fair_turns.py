"""Checks that a request waits for a turn of each other flow at most, however many requests they have."""

import asyncio

import pytest

from conductor.evaluation.workers.fair_turns import FairTurns


async def test_owners_take_turns_however_many_wait_of_each() -> None:
    turns, order = FairTurns(), list[str]()

    async def ask(owner: str) -> None:
        async with turns.hold(owner, 5.0):
            order.append(owner)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for owner in [*["bomb"] * 30, "good", "other"]:
            group.create_task(ask(owner))

    assert order[:4] == ["bomb", "bomb", "good", "other"]
    assert order.count("bomb") == 30


async def test_a_turn_that_does_not_come_in_time_is_told_and_lost_by_no_other() -> None:
    turns = FairTurns()
    async with turns.hold("one", 1.0):
        with pytest.raises(TimeoutError):
            async with turns.hold("two", 0.01):
                pass
        waiting = asyncio.create_task(turns.hold("three", 1.0).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with turns.hold("four", 0.01):
        pass


async def test_a_caller_that_leaves_as_its_turn_comes_passes_it_on() -> None:
    turns = FairTurns()
    holder = turns.hold("one", 1.0)
    await holder.__aenter__()
    leaving = asyncio.create_task(turns.hold("two", 1.0).__aenter__())
    await asyncio.sleep(0)
    await holder.__aexit__(None, None, None)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    async with asyncio.timeout(1), turns.hold("three", 0.5):
        pass
