"""A page of runs looks through a bounded number of rows, whatever it finds."""

import pytest

from conductor.store.records import RunFilter
from conductor.store.sqlite.reading import listing
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import creation, run_name


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
