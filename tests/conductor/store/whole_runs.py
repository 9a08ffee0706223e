"""Runs whose attempts all talk at once, and everything that can be read of a run, to be compared."""

import random
from dataclasses import dataclass

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.run_events import StepBecameReady
from conductor.core.model.output import Channel, Output
from conductor.store.port import Store
from conductor.store.records import Stored
from tests.conductor.store.material import attempt, attempt_name, creation, said, settlement

STEPS = ("risks", "docs", "merge")
CHANNELS = (Channel.ANSWER, Channel.REASONING, Channel.LOG)


async def live(store: Store, run: str, seed: int, texts: int = 300, large: int = 3) -> None:
    """A run whose attempts all talk at once: words, single characters, now and then something long, and events between."""
    chance = random.Random(seed)
    await store.append(creation(run), 1.0)
    for step in STEPS:
        await store.append(attempt(run, step), 2.0)
    now, number = 1_790_000_000.0, 0
    while number < texts:
        items: list[Record | Output] = []
        for _ in range(chance.randint(1, 12)):
            number += 1
            text = "".join(chance.choices(("wort ", "é", "→", "𝄞", "\n", "x"), k=chance.randrange(6)))
            text = text * 400 if chance.randrange(100) < large else text
            items.append(said(run, text, chance.choice(CHANNELS), chance.choice(STEPS)))
            if chance.randrange(8) == 0:
                items.append(Record(run, StepBecameReady("docs"), f"key {number}"))
        now = round(now + chance.random(), 6)
        await store.append(Decision(to_store=tuple(items)), now)
    await store.append(settlement(run), 99.0)


async def compact(store: Store, run: str) -> int:
    slices = 0
    while await store.compact(run):
        slices += 1
    return slices


@dataclass
class Reading:
    """All that can be read of a run."""

    history: list[Stored]
    channels: dict[tuple[str, str], bytes]
    weight: int


async def read(store: Store, run: str, page_bytes: int = 3_000) -> Reading:
    history: list[Stored] = []
    while page := await store.history(run, history[-1].position if history else 0, page_bytes):
        history += page
    places = [(attempt_name(run, step), channel) for step in STEPS for channel in (*CHANNELS, "activity")]
    weights = {settled.run: settled.bytes for settled in await store.settled_runs((0.0, ""))}
    channels = {place: (await store.channel(*place, 0, 0))[0] for place in places}
    return Reading(history, channels, weights[run])


async def assert_reads_as_before(store: Store, run: str, before: Reading, seed: int) -> None:
    chance = random.Random(seed)
    assert await read(store, run) == before
    for item in before.history:
        page = await store.history(run, item.position, chance.randrange(1, 4_000))
        assert page == before.history[item.position : item.position + len(page)]
        assert page or item is before.history[-1]
    for place, whole in before.channels.items():
        for _ in range(20):
            offset, limit = chance.randrange(-1, len(whole) + 3), chance.randrange(1, 9_000)
            start = max(offset, 0)
            assert await store.channel(*place, offset, limit) == (whole[start : start + limit], len(whole))
