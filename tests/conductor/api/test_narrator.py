"""Watchers hold little while they wait. Keeps G4."""

import asyncio
from pathlib import Path
from typing import Any

from conductor.api.narrator import SharedStandings
from conductor.api.watch import Presence, watch_run
from conductor.core.model.events.run_events import RunStarted
from conductor.core.placing.standing import Present
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import creation, events, run_name, settlement

RUN = run_name(1)


async def test_who_waits_at_one_place_shares_the_run_that_each_has_folded(tmp_path: Path) -> None:
    """Five hundred watchers of a run hold it in memory once, and nothing of it when they are gone."""
    standings = SharedStandings()
    told: list[list[Any]] = [[] for _ in range(5)]
    held: list[int] = []

    async def follow(store: SqliteStore, number: int) -> None:
        async for message in watch_run(store, RUN, "", Presence(0.001, lambda _: Present(), lambda: 1.0, standings)):
            told[number].append(message)

    async with await SqliteStore.open(tmp_path) as store:
        await store.append(creation(RUN), 0.0)
        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(follow(store, number))
            for decision in (events(RUN, RunStarted()), settlement(RUN)):
                seen = [len(messages) for messages in told]
                # Each has told that nothing happens: so each has waited.
                while any(len(messages) < before + 2 for messages, before in zip(told, seen, strict=True)):
                    await asyncio.sleep(0)
                held.append(len(standings))
                await store.append(decision, 1.0)

    assert held == [1, 1]
    assert len(standings) == 0
    moves = [[message.sequence for message in messages if not message.HasField("progress")] for messages in told]
    assert moves == [[1, 2, 3]] * 5
