"""A page of runs, and a decision, look through a bounded number of rows, whatever they find."""

import pytest

from conductor.core.model.commands import Decision
from conductor.core.model.events.event_parts import FindingCounts
from conductor.store.records import RunFilter
from conductor.store.sqlite.reading import listing
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.writing import projection, transaction
from tests.conductor.store.material import LENSES, creation, finding, findings, run_name


async def test_a_filter_that_lets_little_through_gives_short_pages_and_goes_on(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SCANNED_RUNS", 10)
    for number in range(1, 36):
        labels = (("rare", "yes"),) if number in {3, 4, 30} else ()
        await store.append(creation(run_name(number), labels=labels), float(number))
    wanted = RunFilter(labels={"rare": "yes"})
    pages, before = [], None
    while True:
        page = await store.runs(wanted, 1, before)
        pages.append([int(row.run) for row in page.rows])
        if page.next is None:
            break
        before = page.next

    assert [number for page in pages for number in page] == [30, 4, 3]
    assert [] in pages
    assert len(pages) <= 8
    everything, before = [], None
    while True:
        page = await store.runs(RunFilter(), 7, before)
        everything += [int(row.run) for row in page.rows]
        if page.next is None:
            break
        before = page.next
    assert everything == list(range(35, 0, -1))


async def test_the_steps_of_a_run_are_read_once_for_all_findings_of_a_decision(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of a thousand steps, each with findings, ends in a second: a retry brings as many along."""
    reads: list[int] = []
    monkeypatch.setattr(transaction, "drop_merged", lambda connection, run: reads.append(run) or drop(connection, run))
    drop = projection.drop_merged
    run = run_name(1)
    await store.append(creation(run), 1.0)
    many = [findings(run, step, [finding(step)], FindingCounts(verified=1)) for step in LENSES]
    ends = tuple(record for one in many for record in one.to_store)
    blobs = tuple(blob for one in many for blob in one.blobs)
    await store.append(Decision(to_store=ends, blobs=blobs, durable=True), 2.0)

    assert len(reads) == 1
    assert len((await store.findings(run, 500)).rows) == len(LENSES)
    assert (await store.run(run)).counts.verified == len(LENSES)
