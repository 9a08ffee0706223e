"""Watchers: none misses a commit, none costs anything while it does not look."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events import RunStarted, StepBecameReady
from conductor.errors import NoCapacityError
from conductor.store import wakeups
from conductor.store.records import StoredEvent, StoredOutput
from conductor.store.sqlite.store import SqliteStore
from conductor.store.wakeups import Wakeups
from tests.conductor.store.material import attempt, creation, events, run_name, said, settlement

RUN = run_name(1)
OTHER = run_name(2)

Entry = StoredEvent | StoredOutput


async def follow(store: SqliteStore, last: int, page_bytes: int) -> list[Entry]:
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


async def test_watchers_who_join_at_random_read_the_same(store: SqliteStore) -> None:
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


async def test_a_watcher_who_never_looks_costs_one_flag(store: SqliteStore) -> None:
    """Keeps G4."""
    await store.append(creation(RUN), 0.0)
    with store.watch(RUN) as idle:
        for _ in range(100):
            await store.append(events(RUN, StepBecameReady("docs")), 0.0)

        await idle.changed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await idle.changed()


async def test_only_watchers_of_what_was_touched_wake(store: SqliteStore) -> None:
    await store.append(creation(RUN), 0.0)
    await store.append(creation(OTHER), 0.0)
    with store.watch(RUN) as mine, store.watch(OTHER) as other, store.watch() as everything:
        await store.append(events(RUN, RunStarted()), 0.0)

        await mine.changed()
        await everything.changed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await other.changed()


async def test_a_commit_between_the_reading_and_the_waiting_is_not_missed(store: SqliteStore) -> None:
    """Keeps G1."""
    await store.append(creation(RUN), 0.0)
    with store.watch(RUN) as watcher:
        before = await store.history(RUN, 0)
        await store.append(settlement(RUN), 0.0)
        await watcher.changed()

        assert [entry.position for entry in await store.history(RUN, before[-1].position)] == [2]


async def test_a_cancelled_append_is_stored_and_wakes(store: SqliteStore) -> None:
    """Keeps I1."""
    await store.append(creation(RUN), 0.0)
    with store.watch(RUN) as watcher:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(store.append(events(RUN, RunStarted()), 0.0))
            await asyncio.sleep(0)
            task.cancel()
        await watcher.changed()

    assert len(await store.events(RUN)) == 2


def test_watchers_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps K5."""
    monkeypatch.setattr(wakeups, "WATCHERS", 2)
    feed = Wakeups()
    with feed.watch("a"), feed.watch("a"), pytest.raises(NoCapacityError, match="2 watchers"), feed.watch("b"):
        pass

    with feed.watch("b"):
        pass
    assert feed._watchers == {}
