"""Says how the tables that lists are read from follow from events, as statements that every engine understands.

A projection decides nothing and holds nothing that the journal does not: it can be deleted and made again. Which findings count
is the rule of `list_counted_steps` in the core.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

from conductor.core.folded.run import list_counted_steps
from conductor.core.model.events.gate_events import GateResolved, RunPaused, RunResumed
from conductor.core.model.events.run_events import (
    Event,
    RunCancelRequested,
    RunCreated,
    RunSettled,
    RunStarted,
    StepReused,
    StepSucceeded,
)
from conductor.core.model.plan import StepPlan
from conductor.core.model.states import RunState
from conductor.store.codec import encode
from conductor.store.findings import list_findings
from conductor.store.texts import replace_surrogates

# A statement with a `?` for each value.
Statement = tuple[str, tuple[Any, ...]]


class NewRun(NamedTuple):
    """The columns of a new row of `runs`."""

    run: str
    state: str
    create_time: float
    flow: str
    workspace_path: str
    question: Any  # case folded, to be searched
    labels: str  # JSON object
    plan: str  # JSON of RunPlan, without its steps
    inputs: str
    root: str


# Most events change no list, and their way here is short.
_PROJECTED = frozenset({RunCreated, RunCancelRequested, RunPaused, RunResumed, GateResolved, RunStarted, RunSettled})

ADD_FINDER = "INSERT INTO finders (run, step, verified, moved, missing) VALUES (?, ?, ?, ?, ?)"
DROP_FINDINGS = "DELETE FROM findings WHERE run = ? AND step = ?"
COUNT_FINDINGS = "UPDATE runs SET verified = ?, moved = ?, missing = ? WHERE key = ?"


def describe_run(created: RunCreated, time: float) -> NewRun:
    """Returns the row of a run that is created."""
    plan = created.plan
    light = json.loads(encode(plan)) | {"steps": []}
    return NewRun(
        plan.run,
        RunState.QUEUED,
        time,
        plan.flow,
        plan.workspace_path,
        replace_surrogates(plan.question.casefold()),
        json.dumps(dict(plan.labels)),
        json.dumps(light, separators=(",", ":")),
        plan.inputs,
        plan.root if plan.parent is not None else "",
    )


def list_changes(run: int, event: Event, time: float) -> Sequence[Statement]:
    """Returns what an event changes of its run, whose key this is."""
    if type(event) not in _PROJECTED:
        return ()
    changes: list[Statement] = []
    match event:
        case RunCreated() | RunCancelRequested() | RunPaused() | RunResumed() | GateResolved() if event.request_id:
            row = (event.request_id, event.request_digest, run)
            changes.append(("INSERT INTO requests (request_id, digest, run) VALUES (?, ?, ?)", row))
        case _:
            pass
    match event:
        case RunStarted():
            change = "UPDATE runs SET state = CASE WHEN state = ? THEN state ELSE ? END, start_time = ? WHERE key = ?"
            changes.append((change, (RunState.PAUSED, RunState.RUNNING, time, run)))
        case RunPaused() | RunResumed():
            state = event.state if isinstance(event, RunResumed) else RunState.PAUSED
            changes.append(("UPDATE runs SET state = ? WHERE key = ?", (state, run)))
        case RunCancelRequested():
            changes.append(("UPDATE runs SET state = ? WHERE key = ?", (RunState.CANCELLING, run)))
        case RunSettled():
            failure = encode(event.failure) if event.failure else None
            settle = "UPDATE runs SET state = ?, end_time = ?, failure = ? WHERE key = ?"
            changes.append((settle, (event.state, time, failure, run)))
        case _:
            pass
    return changes


def find_document(event: Event) -> str:
    """Returns the digest of the findings that an event adds to the lists; empty where it adds none."""
    return event.findings if isinstance(event, StepSucceeded | StepReused) else ""


def make_finder(run: int, event: Event) -> tuple[Any, ...]:
    """Returns the row of `finders` for an event that adds findings."""
    if not isinstance(event, StepSucceeded | StepReused):
        raise TypeError(f"{type(event).__name__} has no findings")
    return (run, event.step, event.counts.verified, event.counts.moved, event.counts.missing)


def make_findings(document: bytes) -> list[tuple[Any, ...]]:
    """Returns the findings of a document as (finding, rank, status, data), in its order."""
    return [astuple(listed) for listed in list_findings(document)]


def drop_merged(run: int, steps: Sequence[StepPlan], finders: Iterable[Any]) -> list[Statement]:
    """Leaves only the findings that count, and counts their citations.

    `steps` are all of the run; `finders` its rows of that table, as (step, verified, moved, missing).
    """
    found: Mapping[str, list[int]] = {step: counts for step, *counts in finders}
    counted = frozenset(list_counted_steps(steps, found))
    totals = [sum(column) for column in zip(*(found[step] for step in counted), strict=True)] or [0, 0, 0]
    merged: list[Statement] = [(DROP_FINDINGS, (run, step)) for step in found if step not in counted]
    return [*merged, (COUNT_FINDINGS, (*totals, run))]
