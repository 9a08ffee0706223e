"""Whose turn it is: owners take turns, and none has two. Keeps C2."""

import asyncio

from conductor.evaluation.workers.fair_queue import FairQueue


async def test_owners_take_turns_however_many_jobs_each_has() -> None:
    queue: FairQueue[int] = FairQueue()
    for owner, jobs in (("a", range(3)), ("b", range(10, 12)), ("c", range(20, 21))):
        for job in jobs:
            queue.put(owner, job)

    taken = []
    for _ in range(6):
        owner, job = await queue.take()
        taken.append(job)
        queue.done(owner)

    assert taken == [0, 10, 20, 1, 11, 2]
    assert [queue.waiting(owner) for owner in "abc"] == [0, 0, 0]


async def test_an_owner_at_work_waits_for_itself_only() -> None:
    queue: FairQueue[int] = FairQueue()
    queue.put("a", 1)
    queue.put("a", 2)
    queue.put("b", 3)

    assert await queue.take() == ("a", 1)
    assert await queue.take() == ("b", 3)
    waiting = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    assert not waiting.done()

    queue.done("a")
    assert await waiting == ("a", 2)


async def test_several_takers_share_what_comes() -> None:
    queue: FairQueue[int] = FairQueue()
    takers = [asyncio.ensure_future(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        queue.put(f"owner {number}", number)

    assert sorted(job for _, job in await asyncio.gather(*takers)) == [0, 1, 2]


async def test_an_owner_may_have_several_at_once_but_takes_turns_all_the_same() -> None:
    queue: FairQueue[int] = FairQueue(at_once=2)
    for owner, jobs in (("a", range(4)), ("b", range(10, 12))):
        for job in jobs:
            queue.put(owner, job)

    assert [(await queue.take())[1] for _ in range(4)] == [0, 10, 1, 11]
    waiting = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    assert not waiting.done()

    queue.done("b")
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done("a")
    assert await waiting == ("a", 2)


async def test_only_a_job_that_stays_untaken_ends_the_wait_for_one() -> None:
    queue: FairQueue[int] = FairQueue()
    taking = asyncio.ensure_future(queue.take())
    hearing = asyncio.ensure_future(queue.until_one_waits(0.0))
    await asyncio.sleep(0)

    queue.put("a", 1)
    assert await taking == ("a", 1)
    queue.put("a", 2)  # has to wait for its owner: it cannot be taken
    for _ in range(5):
        await asyncio.sleep(0)
    assert not hearing.done()

    queue.put("b", 3)
    await hearing
