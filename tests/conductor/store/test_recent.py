"""What is kept of watched runs is what the database tells, within bounds. Keeps G1 and G4."""

import random

from hypothesis import given
from hypothesis import strategies as st

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events import StepBecameReady
from conductor.core.model.output import Channel, Output
from conductor.store.recent import EVENT_BYTES, RECENT_BYTES, Recent, Stored, size_of
from conductor.store.records import StoredEvent, StoredOutput
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.writing.transaction import CHUNK_BYTES
from tests.conductor.store.material import attempt, creation, run_name, said

RUN = run_name(1)
EVERYTHING = 10**9


def item(position: int, size: int = 0) -> Stored:
    if size:
        return StoredOutput(position, 1.0, 0, Output(f"{RUN}-docs-1", Channel.ANSWER, "x" * size))
    return StoredEvent(position, 1.0, StepBecameReady("docs"))


def positions(items: list[Stored] | None) -> list[int] | None:
    return None if items is None else [one.position for one in items]


async def test_what_a_watcher_is_told_at_once_is_what_the_database_tells_later(store: SqliteStore) -> None:
    chance = random.Random(5)
    await store.append(creation(RUN), 0.0)
    texts = ("", "größe ", "\ud800 half", "x" * (CHUNK_BYTES + 5), "🦀" * 9)
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


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30), st.data())
def test_pages_follow_each_other_without_a_gap(sizes: list[int], data: st.DataObject) -> None:
    recent = Recent()
    with recent.kept(RUN):
        at = 1
        while at <= len(sizes):
            count = data.draw(st.integers(1, 5))
            recent.add({RUN: [item(at + more, size) for more, size in enumerate(sizes[at - 1 : at - 1 + count])]})
            at += count
        start = data.draw(st.integers(0, len(sizes)))
        told: list[int] = []
        while page := recent.after(RUN, told[-1] if told else start, data.draw(st.sampled_from((1, 5000, EVERYTHING)))):
            told += [one.position for one in page]

    assert told == list(range(start + 1, len(sizes) + 1))


def test_what_is_not_kept_is_not_told_as_nothing() -> None:
    recent = Recent()
    recent.add({RUN: [item(1)]})
    assert recent.after(RUN, 0, EVERYTHING) is None
    with recent.kept(RUN):
        assert recent.after(RUN, 1, EVERYTHING) is None
        recent.add({RUN: [item(2), item(3)]})
        assert positions(recent.after(RUN, 0, EVERYTHING)) is None
        assert positions(recent.after(RUN, 1, EVERYTHING)) == [2, 3]
        assert positions(recent.after(RUN, 3, EVERYTHING)) == []
        assert positions(recent.after(RUN, 4, EVERYTHING)) is None


def test_of_a_run_only_so_much_is_kept_and_nothing_when_nobody_watches() -> None:
    """Keeps G4: however long a watcher does not look."""
    recent = Recent()
    with recent.kept(RUN):
        with recent.kept(RUN):
            for position in range(1, 200):
                recent.add({RUN: [item(position, 3000)]})
        kept = recent.after(RUN, 199 - RECENT_BYTES // (3000 + EVENT_BYTES), EVERYTHING)
        assert kept
        assert recent.after(RUN, 0, EVERYTHING) is None
        assert sum(map(size_of, kept)) <= RECENT_BYTES

        recent.add({RUN: [item(200, RECENT_BYTES + 1)]})
        assert recent.after(RUN, 199, EVERYTHING) is None
    assert recent._runs == {}
