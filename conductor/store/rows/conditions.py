"""The conditions of a filter of runs that every engine understands, with a `?` for each value. `r` is the table of runs."""

from collections.abc import Iterable
from typing import Any

from conductor.store.records import RunFilter, RunKey

Condition = tuple[str, tuple[Any, ...]]


def join_conditions(conditions: Iterable[Condition]) -> tuple[str, list[Any]]:
    """Returns the conditions as one, and its values."""
    known = [("1 = 1", ()), *conditions]
    return " AND ".join(text for text, _ in known), [value for _, values in known for value in values]


def index_conditions(wanted: RunFilter, before: RunKey | None) -> list[Condition]:
    """Returns the conditions that an index answers."""
    conditions: list[Condition] = []
    if before is not None:
        conditions.append(("(r.create_time, r.run) < (?, ?)", (before.create_time, before.run)))
    if wanted.flow:
        conditions.append(("r.flow = ?", (wanted.flow,)))
    if wanted.create_time_from is not None:
        conditions.append(("r.create_time >= ?", (wanted.create_time_from,)))
    if wanted.create_time_before is not None:
        conditions.append(("r.create_time < ?", (wanted.create_time_before,)))
    return conditions


def row_conditions(wanted: RunFilter) -> list[Condition]:
    """Returns the conditions that only the rows answer, but for text and labels."""
    conditions: list[Condition] = [] if wanted.sub_runs else [("r.root = ''", ())]
    if wanted.states:
        marks = ", ".join("?" for _ in wanted.states)
        conditions.append((f"r.state IN ({marks})", tuple(wanted.states)))
    if wanted.workspace_path:
        conditions.append(("r.workspace_path = ?", (wanted.workspace_path,)))
    return conditions
