"""Runs with everything that a run can have, to be deleted, and what can still be seen of them."""

import pytest

from conductor.core.model.events.run_events import RunStarted
from conductor.errors import NotFoundError
from conductor.store.port import Store
from conductor.store.records import RunFilter
from tests.conductor.store.material import attempt_name, blob, creation, events, every_read, settlement, tell_all

WORDS = "word " * 30_000  # three rows


async def live(store: Store, run: str, number: int, *, is_settled: bool = True) -> None:
    """A run with everything that a run can have."""
    await store.append(creation(run, request_id=f"request {number}"), 1.0)
    await tell_all(store, run, f"{number} {WORDS}", f"{number}", cursor=3)
    await store.append(settlement(run) if is_settled else events(run, RunStarted()), 5.0)


async def look(store: Store, run: str) -> tuple[int, int, int, int]:
    """Counts what there is of a run: events and texts, findings, bytes said, answers to its request id."""
    history, after = 0, 0
    while page := await store.history(run, after):
        history, after = history + len(page), page[-1].position
    found = await store.findings(run, 10)
    _, said = await store.channel(attempt_name(run), "answer", 0, 1)
    return history, len(found.rows), said, len(await store.requests([f"request {int(run)}"]))


async def is_invisible(store: Store, run: str) -> bool:
    for ask in every_read(store, run, blob(b"bundle").digest):
        with pytest.raises(NotFoundError):
            await ask
    listed = [row.run for row in (await store.runs(RunFilter(), 10)).rows]
    told = [entry.run for entry in (await store.feed(0)).entries if entry.stored is not None]
    known = await store.requests([f"request {int(run)}"])
    return run not in listed and run not in told and all(request.deleted for request in known.values())
