"""Reads rows of the lists of runs and of findings."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.plan import RunPlan
from conductor.core.model.states import Failure, RunState
from conductor.store.codec import UndecodableEventError, decode
from conductor.store.records import FindingKey, FindingPage, FindingRow, RunKey, RunPage, RunRow
from conductor.store.refusals import damaged_row

SCANNED_RUNS = 5_000
PAGE_BYTES = 1024 * 1024  # a page of large plans is shorter than asked for
LONG_PLAN = 16 * 1024  # bytes; the question of a longer one is cut in lists


def take_runs(rows: Iterable[Any], size: int) -> RunPage:
    """Returns a page of rows of runs; `next` says whether more follow."""
    page: list[RunRow] = []
    last: RunKey | None = None
    used = 0
    for row in rows:
        used += len(row[5])
        if last is not None and (len(page) >= size or used > PAGE_BYTES):
            return RunPage(tuple(page), last)
        last = RunKey(row[2], row[0])
        if (run := _run_row(row)) is not None:
            page.append(run)
    return RunPage(tuple(page), None)


def take_run(row: Any) -> RunRow:
    """Returns a run's row of the list. DatabaseDamagedError: the row cannot be read."""
    found = _run_row(row)
    if found is None:
        raise damaged_row(row[0], f"runs, {row[0]}: its plan or its failure cannot be read")
    return found


def take_findings(rows: Sequence[Any], size: int) -> FindingPage:
    """Returns a page of rows (key, step, finding, rank, status, data) of findings."""
    page = rows[:size]
    more = FindingKey(page[-1][3], page[-1][0]) if len(rows) > size else None
    return FindingPage(tuple(FindingRow(*columns) for _, *columns in page), more)


def read_labels(text: str) -> Mapping[str, str]:
    """Reads labels from their column."""
    labels: Mapping[str, str] = json.loads(text)
    return labels


def _run_row(row: Any) -> RunRow | None:
    """Reads a row; None where it cannot be read: recovery reports a damaged run, and it must not hide the others."""
    run, state, create_time, start_time, end_time, plan, failure, *counts, last_position = row
    try:
        return RunRow(
            run=run,
            state=RunState(state),
            create_time=create_time,
            start_time=start_time,
            end_time=end_time,
            plan=decode(RunPlan, plan),
            failure=decode(Failure, failure) if failure else None,
            counts=FindingCounts(*counts),
            last_position=last_position,
        )
    except (UndecodableEventError, ValueError):
        return None
