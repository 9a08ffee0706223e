"""Watchers: none misses a commit, none costs anything while it does not look."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.run_events import RunStarted, StepBecameReady
from conductor.core.model.output import Channel
from conductor.store.port import Store
from conductor.store.records import StoredEvent, StoredOutput
from conductor.store.texts import PIECE_BYTES
from tests.conductor.store.material import attempt, creation, events, run_name, said, settlement

EVERYTHING = 10**9
RUN = run_name(1)
OTHER = run_name(2)

Entry = StoredEvent | StoredOutput


async def follow(store: Store, last: int, page_bytes: int) -> list[Entry]:
    """Reads what was, then what comes, as a servicer does."""
    seen: list[Entry] = []
    with store.watch(RUN) as watcher:
        while not seen or seen[-1].position < last:
            page = await store.history(RUN, seen[-1].position if seen else 0, page_bytes)
            seen += page
            if not page:
                await watcher.changed()
    return seen


def channels(entries: Sequence[Entry]) -> dict[tuple[str, str], str]:
    texts: dict[tuple[str, str], str] = {}
    for entry in entries:
        if isinstance(entry, StoredOutput):
            place = (entry.output.attempt, entry.output.channel)
            assert len(texts.get(place, "").encode()) == entry.offset
            texts[place] = texts.get(place, "") + entry.output.text
    return texts


async def test_watchers_who_join_at_random_read_the_same(store: Store) -> None:
    """Keeps G1."""
    chance = random.Random(3)
    await store.append(creation(RUN), 0.0)
    await store.append(attempt(RUN), 0.0)
    rounds = 150
    joins = sorted(chance.randrange(rounds) for _ in range(20))
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number in range(rounds):
            while joins and joins[0] == number:
                joins.pop(0)
                tasks.append(group.create_task(follow(store, 2 + 2 * rounds, chance.choice([1, 500, 10**6]))))
            decision = Decision(to_store=(said(RUN, f"größe {number} "), Record(RUN, StepBecameReady("docs"))))
            await store.append(decision, float(number))

    histories = [task.result() for task in tasks]
    assert len(histories) == 20
    assert [entry.position for entry in histories[0]] == list(range(1, 3 + 2 * rounds))
    assert all(history == histories[0] for history in histories)
    assert all(channels(history) == channels(histories[0]) for history in histories)


async def test_a_watcher_who_never_looks_costs_one_flag(store: Store) -> None:
    """Keeps G4."""
    await store.append(creation(RUN), 0.0)
    with store.watch(RUN) as idle:
        for _ in range(100):
            await store.append(events(RUN, StepBecameReady("docs")), 0.0)

        await idle.changed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await idle.changed()


async def test_only_watchers_of_what_was_touched_wake(store: Store) -> None:
    await store.append(creation(RUN), 0.0)
    await store.append(creation(OTHER), 0.0)
    with store.watch(RUN) as mine, store.watch(OTHER) as other, store.watch() as everything:
        await store.append(events(RUN, RunStarted()), 0.0)

        await mine.changed()
        await everything.changed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await other.changed()


async def test_a_commit_between_the_reading_and_the_waiting_is_not_missed(store: Store) -> None:
    """Keeps G1."""
    await store.append(creation(RUN), 0.0)
    with store.watch(RUN) as watcher:
        before = await store.history(RUN, 0)
        await store.append(settlement(RUN), 0.0)
        await watcher.changed()

        assert [entry.position for entry in await store.history(RUN, before[-1].position)] == [2]


async def test_a_cancelled_append_is_stored_and_wakes(store: Store) -> None:
    """Keeps I1."""
    await store.append(creation(RUN), 0.0)
    with store.watch(RUN) as watcher:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(store.append(events(RUN, RunStarted()), 0.0))
            await asyncio.sleep(0)
            task.cancel()
        await watcher.changed()

    assert len(await store.events(RUN)) == 2


async def test_what_a_watcher_is_told_at_once_is_what_pages_tell_later(store: Store) -> None:
    chance = random.Random(5)
    await store.append(creation(RUN), 0.0)
    texts = ("", "größe ", "\ud800 half", "x" * (PIECE_BYTES + 5), "🦀" * 9)
    with store.watch(RUN):
        await store.append(attempt(RUN), 1.25)
        for number in range(40):
            words = [said(RUN, chance.choice(texts), chance.choice((Channel.ANSWER, Channel.LOG))) for _ in range(3)]
            await store.append(Decision(to_store=(*words, Record(RUN, StepBecameReady("docs")))), number / 3)
        last = (await store.history(RUN, 0, EVERYTHING))[-1].position
        while page := await store.history(RUN, last):
            last = page[-1].position
        at_once = {position: await store.history(RUN, position) for position in range(last + 1)}
    later = {position: await store.history(RUN, position) for position in range(last + 1)}

    for position, told in at_once.items():
        shorter, longer = sorted((told, later[position]), key=len)
        assert longer[: len(shorter)] == shorter
        assert bool(shorter) == bool(longer)
