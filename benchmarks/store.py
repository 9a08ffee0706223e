"""Measures how the conductor's database behaves as it grows. Goal 7: a stored transcript stays below 1.5 times its text.

Appending is timed in an almost empty database and in one of a million events, in turns; a page of a list among a hundred
thousand runs, with a filter that lets nothing through as well; a run of a million tokens is said in rows of three sizes,
weighed on the disk, read back in pages, and compared. The sizes: a token each, as an agent begins; 64, as it goes on; 1 KiB and
more, as from a slow start of its reader. Agents that say a word every 20 ms, of a text like prose, at jittered times, are weighed
before and after their run was compacted. It is the store alone: no engine, no streams.
"""

import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.engines import ENGINES, engines
from benchmarks.measuring import Report, Sample, alternate, must
from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.run_events import RunCreated, StepBecameReady
from conductor.core.model.output import Output
from conductor.core.model.states import RunState
from conductor.store.port import Store
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.records import RunFilter, StoredEvent, StoredOutput
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import attempt, attempt_name, creation, plan, run_name, said, settlement

BATCH = 500
MAX_ROWS = 100_000
WORD = "word "
ROWS = {"of 1 token": 1, "of 64 tokens": 64, "of 500 tokens": 500}


@dataclass(frozen=True, slots=True)
class Scale:
    """The amounts of everything."""

    events: int
    runs: int
    tokens: int
    rounds: int


FULL = Scale(events=1_000_000, runs=100_000, tokens=1_000_000, rounds=200)
SHORT = Scale(events=2_000, runs=1_000, tokens=5_000, rounds=3)


async def measure_engines(report: Report, scale: Scale) -> None:
    """Measures what the port does, without an engine of the conductor: appends of each plane, and reads, on each database."""
    texts, rounds = scale.tokens // 200, scale.rounds
    with tempfile.TemporaryDirectory() as name, engines() as databases:
        for engine in ENGINES:
            url = databases.url(engine)
            opening = PostgresqlStore.open(url) if url else SqliteStore.open(Path(name))
            async with await opening as store:
                await store.append(creation(run_name(1)), 1.0)
                await store.append(attempt(run_name(1)), 1.0)
                for what, decisions in (
                    ("a text", [Decision(to_store=(said(run_name(1), WORD),))] * rounds),
                    ("an event, durable", [ready(number, 1) for number in range(rounds)]),
                ):
                    times = []
                    for decision in decisions:
                        begun = time.perf_counter()
                        await store.append(decision, 1.0)
                        times.append(1e6 * (time.perf_counter() - begun))
                    report.add(f"append of {what}: {engine}", "µs", times)
                begun = time.perf_counter()
                for number in range(0, scale.events // 10, BATCH):
                    await store.append(ready(10**6 + number, BATCH), 1.0)
                taken = time.perf_counter() - begun
                report.add(
                    f"append, {BATCH} events in a durable commit: {engine}", "events/s", [scale.events / 10 / taken]
                )
                for decision in speech(texts, 1):
                    await store.append(decision, 1.0)
                begun, heard = time.perf_counter(), [item async for item in replay(store)]
                taken = time.perf_counter() - begun
                report.add(f"replay of a run, in pages: {engine}", "items/s", [len(heard) / taken])


async def measure(report: Report) -> None:
    scale = SHORT if report.is_short else FULL
    if report.is_of_engines:
        await measure_engines(report, scale)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await measure_growth(report, scale, folder)
        await measure_lists(report, scale, folder)
        for title, tokens in ROWS.items():
            # A commit each: the bytes per payload are told as well by a tenth of the smallest rows, in a tenth of the time.
            least = replace(scale, tokens=min(scale.tokens, tokens * MAX_ROWS))
            await measure_text(report, least, folder / title, title, tokens)
        for agents in (1, 4):
            await measure_words(report, min(scale.tokens, MAX_ROWS), folder / f"words of {agents}", agents)


def ready(number: int, count: int) -> Decision:
    return Decision(
        to_store=tuple(Record(run_name(1), StepBecameReady("docs"), f"{number + at}") for at in range(count)),
        durable=True,
    )


async def measure_growth(report: Report, scale: Scale, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        stores = {}
        for title, events in (("1 k events", 1_000), (f"{scale.events:,} events", scale.events)):
            store = stores[title] = await stack.enter_async_context(await SqliteStore.open(folder / title))
            await store.append(creation(run_name(1)), 1.0)
            begun = time.perf_counter()
            for number in range(0, events, BATCH):
                await store.append(ready(number, BATCH), 1.0)
            taken = time.perf_counter() - begun
        report.add(f"append, {BATCH} events in one durable commit", "events/s", [scale.events / taken])
        numbers = iter(range(10**9, 2 * 10**9))

        async def append(store: SqliteStore) -> Sample:
            begun = time.perf_counter()
            await store.append(ready(next(numbers), 1), 1.0)
            return {"append": 1e6 * (time.perf_counter() - begun)}

        found = await alternate(
            scale.rounds,
            {title: lambda store=store: append(store) for title, store in stores.items()},  # type: ignore[misc]
        )
        for title, values in found.items():
            report.add(f"append, one event in a durable commit, at {title}", "µs", values["append"])
        begun = time.perf_counter()
        read = await stores[title].events(run_name(1))
        report.add("replay of a run's events, decoded", "events/s", [len(read) / (time.perf_counter() - begun)])
        must(len(read) >= scale.events, "every event that was appended is read")


def creations(first: int) -> Decision:
    numbers = range(first, first + BATCH)
    bodies = [
        RunCreated(plan(run_name(number), flow=f"flows/f{number % 7}", labels=(("team", f"t{number % 50}"),)))
        for number in numbers
    ]
    records = tuple(Record(created.plan.run, created, "RunCreated") for created in bodies)
    return replace(creation(run_name(first)), to_store=records)


async def measure_lists(report: Report, scale: Scale, folder: Path) -> None:
    async with await SqliteStore.open(folder / "lists") as store:
        for first in range(1, scale.runs, BATCH):
            await store.append(creations(first), float(first))
        filters = {
            "all": RunFilter(),
            "a flow": RunFilter(flow="flows/f3"),
            "a label": RunFilter(labels={"team": "t3"}),
            "a state that none has": RunFilter(states=(RunState.FAILED,)),
            "a text that none has": RunFilter(text="nowhere"),
        }
        for title, wanted in filters.items():
            times = []
            for _ in range(min(scale.rounds, 50)):
                begun = time.perf_counter()
                await store.runs(wanted, 50)
                times.append(1000 * (time.perf_counter() - begun))
            report.add(f"page of 50 of {scale.runs:,} runs: {title}", "ms", times)


def speech(tokens: int, per_row: int) -> Iterator[Decision]:
    for first in range(0, tokens, per_row):
        words = WORD * min(per_row, tokens - first)
        # One row a commit, as when it is shown at once; durable now and then, as acknowledgements are.
        yield Decision(to_store=(said(run_name(1), words),), durable=first % (per_row * 200) == 0)


async def measure_text(report: Report, scale: Scale, folder: Path, title: str, per_row: int) -> None:
    async with await SqliteStore.open(folder) as store:
        await store.append(creation(run_name(1)), 1.0)
        await store.append(attempt(run_name(1)), 1.0)
        before = (await store.usage()).used_bytes
        begun = time.perf_counter()
        for decision in speech(scale.tokens, per_row):
            await store.append(decision, 1.0)
        report.add(f"text in rows {title}, stored", "tokens/s", [scale.tokens / (time.perf_counter() - begun)])
        payload = len(WORD) * scale.tokens
        stored = ((await store.usage()).used_bytes - before) / payload
        report.add(f"text in rows {title}, on the disk", "times its payload", [stored])
        if per_row == 64:
            report.at_most("storage of 1 M tokens in rows of 64, times their payload (7)", stored, 1.5)
        begun, heard, after = time.perf_counter(), 0, 0
        while page := await store.history(run_name(1), after):
            heard += sum(len(item.output.text) for item in page if isinstance(item, StoredOutput))
            after = page[-1].position
        report.add(f"text in rows {title}, replayed", "tokens/s", [scale.tokens / (time.perf_counter() - begun)])
        must(heard == payload, "every byte that was said is read back")
        must(
            (await store.channel(attempt_name(run_name(1)), "answer", payload - 5, 0))[0] == WORD.encode(),
            "its end is",
        )


def write_prose(count: int) -> list[str]:
    """Makes words as frequent, as long and as compressible as those of English prose; the same ones each time."""
    chance = random.Random(1)  # noqa: S311 — a benchmark that is the same each time
    starts = (
        "b",
        "br",
        "c",
        "d",
        "f",
        "g",
        "h",
        "k",
        "l",
        "m",
        "n",
        "p",
        "r",
        "s",
        "st",
        "t",
        "th",
        "tr",
        "v",
        "w",
        "",
    )
    syllables = [
        start + vowel + end for start in starts for vowel in "aeiou" for end in ("", "", "n", "r", "s", "l", "t")
    ]
    vocabulary = [" " + "".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 2, 3, 3)))) for _ in range(4_000)]
    frequencies = [1 / (rank + 2.7) for rank in range(len(vocabulary))]
    return chance.choices(vocabulary, frequencies, k=count)


def talk(words: int, agents: int) -> Iterator[tuple[Decision, float]]:
    """Runs agents that say a word every 20 ms, a commit each, at jittered times."""
    chance = random.Random(agents)  # noqa: S311 — a benchmark that is the same each time
    prose = write_prose(10_000)
    now = 1_790_000_000.0
    for number in range(words):
        now = round(now + max(chance.gauss(0.02, 0.001) / agents, 0), 6)
        step = f"agent{number % agents}"
        word = prose[(number // agents + number % agents * 999) % len(prose)]
        yield Decision(to_store=(said(run_name(1), word, step=step),)), now


async def measure_words(report: Report, words: int, folder: Path, agents: int) -> None:
    title = f"a word every 20 ms from each of {agents}"
    async with await SqliteStore.open(folder) as store:
        await store.append(creation(run_name(1)), 1.0)
        for agent in range(agents):
            await store.append(attempt(run_name(1), f"agent{agent}"), 1.0)
        before, payload = (await store.usage()).used_bytes, 0
        for decision, now in talk(words, agents):
            payload += sum(len(item.text.encode()) for item in decision.to_store if isinstance(item, Output))
            await store.append(decision, now)
        await store.append(settlement(run_name(1)), now)
        stored = ((await store.usage()).used_bytes - before) / payload
        report.add(f"{title}, on the disk while at work", "times its payload", [stored])
        told, slices = [item async for item in replay(store)], []
        begun = time.perf_counter()
        while await store.compact(run_name(1)):
            slices.append(1000 * (time.perf_counter() - begun))
            begun = time.perf_counter()
        packed = ((await store.usage()).used_bytes - before) / payload
        report.add(f"{title}, compacted: a slice", "ms", slices)
        report.add(f"{title}, compacted, on the disk", "times its payload", [packed])
        report.at_most(f"storage of {title}, compacted, times their payload (7)", packed, 1.5)
        begun = time.perf_counter()
        must(told == [item async for item in replay(store)], "everything is read as it was before")
        report.add(f"{title}, compacted, replayed", "words/s", [words / (time.perf_counter() - begun)])


async def replay(store: Store) -> AsyncIterator[StoredEvent | StoredOutput]:
    """Reads all of the run, page by page."""
    after = 0
    while page := await store.history(run_name(1), after):
        for item in page:
            yield item
        after = page[-1].position
