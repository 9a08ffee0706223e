"""A store with runs of every kind, all that can be read of it, and migrations that are killed."""

import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg

from conductor.core.access.roles import Role
from conductor.core.access.tokens import Token
from conductor.core.model.commands import Decision
from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.events.run_events import RunStarted
from conductor.core.model.output import Channel
from conductor.errors import DatabaseDamagedError, NotFoundError
from conductor.maintenance.migrating.migration import Migrated, Side, migrate
from conductor.maintenance.migrating.places import opened
from conductor.store.port import Store
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.raw import RawStore
from conductor.store.records import Deletion, RunFilter
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store import doomed_runs, whole_runs
from tests.conductor.store.material import (
    attempt,
    attempt_name,
    creation,
    events,
    finding,
    findings,
    run_name,
    said,
    settlement,
)
from tests.kit import leader

ODD = "NUL \0, half a pair \ud83d, → and 𝄞"


async def fill(store: Store, runs: int = 12) -> None:
    """Runs of every kind: at work, settled, compacted, deleted, half purged, failed findings, odd text, much and little of it."""
    chance = random.Random(runs)
    for number in range(runs):
        run = run_name(number)
        match number % 6:
            case 0:
                await whole_runs.live(store, run, seed=number, texts=60)
            case 1:
                await doomed_runs.live(store, run, number)
            case 2:
                await store.append(
                    creation(run, f"request {number}", question=ODD * 3, labels=(("a", ODD), ("b", "x"))), 1.0
                )
                await store.append(attempt(run), 2.0)
                await store.append(
                    Decision(to_store=(said(run, ODD, Channel.REASONING),), cursors=((attempt_name(run), 7),)), 2.5
                )
                await store.append(events(run, RunStarted()), 3.0)
            case 3:
                await store.append(creation(run, question="long " * 6_000), 1.0)
                for step in ("risks", "docs"):
                    found = [finding(f"{step} {index}", chance.choice(("high", "low"))) for index in range(5)]
                    await store.append(findings(run, step, found, FindingCounts(verified=3, moved=1, missing=1)), 4.0)
                await store.append(findings(run, "merge", [finding("merged")], FindingCounts(verified=1)), 5.0)
                await store.append(settlement(run), 6.0)
            case 4:
                await doomed_runs.live(store, run, number)
                await store.delete(Deletion(run, 50.0 + number, "by request", f"delete {number}"))
                if number % 12 == 4:
                    await store.purge(run)
            case _:
                await store.append(creation(run), 1.0)
    await whole_runs.compact(store, run_name(0))
    await store.keep_offset("boot", 12.5)
    await store.keep_tokens([Token("d" * 64, "ci", Role.OPERATOR, 1.0, "ann")])


async def read(store: Store) -> dict[str, Any]:
    """All that can be read through the port."""
    found = await store.runs(RunFilter(sub_runs=True), 500)
    listed = list(found.rows)
    while found.next is not None:
        found = await store.runs(RunFilter(sub_runs=True), 500, found.next)
        listed += found.rows
    page, feed = await store.feed(0), []
    while page.entries:
        feed += page.entries
        page = await store.feed(page.last_id)
    runs = {row.run: await _read_run(store, row.run) for row in listed}
    return {
        "listed": listed,
        "runs": runs,
        "feed": feed,
        "unfinished": await store.unfinished(),
        "deleted": await store.deleted_runs(),
        "settled": [(one.run, one.end_time) for one in await store.settled_runs((0.0, ""))],
        "requests": await store.requests(
            [f"{word} {number}" for number in range(50) for word in ("request", "delete")]
        ),
        "tokens": await store.tokens(),
        "hosts": await store.hosts(),
        "past": await store.past(),
    }


async def _read_run(store: Store, run: str) -> list[Any]:
    history: list[Any] = []
    while page := await _told(store.history(run, history[-1].position if history else 0)):
        if isinstance(page, str):
            history.append(page)
            break
        history += page
    places = [(attempt_name(run, step), channel.value) for step in ("risks", "docs", "merge") for channel in Channel]
    channels = [await _told(store.channel(*place, 0, 0)) for place in places]
    digest = (await store.run(run)).plan.inputs
    return [history, await _told(store.findings(run, 500)), channels, await _told(store.blob(run, digest))]


async def _told(read: Awaitable[Any]) -> Any:
    """What is read, or the error."""
    try:
        return await read
    except (DatabaseDamagedError, NotFoundError) as error:
        return f"{type(error).__name__}: {error}"


_DAMAGE = "UPDATE journal SET data = '{' WHERE run = (SELECT key FROM runs WHERE run = '%s') AND position = 2"


def damage(place: str, run: str) -> None:
    change(place, _DAMAGE % run)


def change(place: str, statement: str) -> None:
    """Changes a store behind the back of its conductor."""
    if "://" in place:
        with psycopg.connect(place, options="-c search_path=conductor") as connection:
            connection.execute(statement.encode())
        return
    with closing(sqlite3.connect(Path(place) / "conductor.db", isolation_level=None)) as database:
        database.execute(statement)


class KilledError(BaseException):
    """As a SIGKILL between two transactions."""


class Doomed(RawStore):
    """A store whose process is killed before, or after, one of its writes. `budget` counts them for both sides."""

    def __init__(self, raw: RawStore, budget: list[int]) -> None:
        self._raw = raw
        self._budget = budget

    def __getattribute__(self, name: str) -> Any:
        if name in ("begin", "add", "finish", "leave"):
            raw, budget = object.__getattribute__(self, "_raw"), object.__getattribute__(self, "_budget")

            async def write(*arguments: Any) -> None:
                _spend(budget)
                await getattr(raw, name)(*arguments)
                _spend(budget)

            return write
        if name in ("_raw", "_budget"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_raw"), name)


def _spend(budget: list[int]) -> None:
    budget[0] -= 1
    if budget[0] == 0:
        raise KilledError


async def moved(source: str, target: str, *, budget: int = 0, blobs: tuple[str, str] = ("", "")) -> Migrated:
    """Migrates; `budget` is how many moments pass before it is killed, 0 for none."""
    left = [budget]
    async with (
        opened(source, blobs[0], is_source=True) as leaving,
        opened(target, blobs[1], is_source=False) as entering,
    ):
        sides = [Side(Doomed(side.store, left), side.snapshots) for side in (leaving, entering)]
        return await migrate(*sides, lambda *_: None)


@asynccontextmanager
async def served(place: str) -> AsyncIterator[Store]:
    opening = PostgresqlStore.open(place) if "://" in place else SqliteStore.open(Path(place))
    async with await opening as store:
        yield store


@asynccontextmanager
async def leading(place: str) -> AsyncIterator[Store]:
    """As `serve` does: on a database with its lease."""
    if "://" not in place:
        async with served(place) as store:
            yield store
        return
    async with leader.leading(place) as store:
        yield store
