"""The places of a pool at a gateway: their number changes when a server tells its slots. Keeps C12."""

import asyncio
import random

from agenthost.models.gateway.places import Places


async def taken(places: Places, most: int = 20) -> int:
    """Takes what is free now; returns how many places that were."""
    count = 0
    while count < most and not places.locked():
        await places.acquire()
        count += 1
    return count


async def test_a_pool_that_grows_lets_more_requests_pass_and_one_that_shrinks_waits_for_those_at_work() -> None:
    places = Places(1)
    assert await taken(places) == 1
    waiting = asyncio.create_task(places.acquire())
    await asyncio.sleep(0)

    places.resize(3)
    await waiting
    assert await taken(places) == 1
    places.resize(1)
    for _ in range(2):
        places.release()
        assert places.locked()
    places.release()

    assert await taken(places) == 1


async def test_there_are_never_more_places_taken_than_slots_whatever_the_order() -> None:
    rng = random.Random(1)
    places, slots, held = Places(2), 2, 0
    for _ in range(2000):
        match rng.randrange(3):
            case 0:
                slots = rng.randint(1, 6)
                places.resize(slots)
            case 1 if held:
                places.release()
                held -= 1
            case _:
                free = max(0, slots - held)
                assert await taken(places) == free
                held += free


async def test_a_quiet_time_that_is_prolonged_is_waited_for_as_a_whole() -> None:
    """C10."""
    places, clock = Places(1), asyncio.get_running_loop().time
    began = clock()
    places.keep_quiet(0.05)
    waiting = asyncio.create_task(places.until_quiet_ends())
    await asyncio.sleep(0.02)
    places.keep_quiet(0.1)
    places.keep_quiet(0.01)
    await waiting

    assert clock() - began >= 0.12


async def test_a_request_that_leaves_the_queue_takes_no_place() -> None:
    places = Places(1)
    await places.acquire()
    first, second, third = [asyncio.create_task(places.acquire()) for _ in range(3)]
    await asyncio.sleep(0)

    second.cancel()
    places.release()
    first.cancel()  # the place is its own by now, and it hears of both at once
    await third

    assert await taken(places) == 0
    places.release()
    assert await taken(places) == 1
