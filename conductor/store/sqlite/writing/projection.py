"""Keeps the tables that lists are read from, in the transaction of the events that change them.

A projection decides nothing and holds nothing that the journal does not: it can be deleted and made again. Which findings count
is the rule of `list_counted_steps` in the core.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import astuple

from conductor.core.folded.run import list_counted_steps
from conductor.core.model.events.gate_events import GateResolved, RunPaused, RunResumed
from conductor.core.model.events.run_events import (
    Event,
    RunCancelRequested,
    RunCreated,
    RunSettled,
    RunStarted,
    StepReused,
    StepsAdded,
    StepSucceeded,
)
from conductor.core.model.plan import StepPlan
from conductor.core.model.states import RunState
from conductor.store.codec import decode, encode
from conductor.store.findings import list_findings
from conductor.store.texts import replace_surrogates

ReadBlob = Callable[[str], bytes]

# The steps of a run's creation and of each addition, in one form: what a retry brings along is not read.
_STEPS = """
SELECT iif(type = 'RunCreated', json_object('steps', json_extract(data, '$.plan.steps')), data)
FROM journal WHERE run = ? AND type IN ('RunCreated', 'StepsAdded') ORDER BY position
"""


def create_run(connection: sqlite3.Connection, created: RunCreated, time: float) -> int:
    """Adds a run to the list and returns its key."""
    plan = created.plan
    light = json.loads(encode(plan)) | {"steps": []}
    cursor = connection.execute(
        "INSERT INTO runs (run, state, create_time, flow, workspace_path, question, labels, plan, inputs, root)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
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
        ),
    )
    return int(cursor.lastrowid or 0)


def project(connection: sqlite3.Connection, run: int, event: Event, time: float, read_blob: ReadBlob) -> None:
    """Changes the lists as the event says. `run` is the run's key."""
    match event:
        case RunCreated() | RunCancelRequested() | RunPaused() | RunResumed() | GateResolved() if event.request_id:
            row = (event.request_id, event.request_digest, run)
            connection.execute("INSERT INTO requests (request_id, digest, run) VALUES (?, ?, ?)", row)
        case _:
            pass
    match event:
        case RunStarted():
            change = "UPDATE runs SET state = iif(state = ?, state, ?), start_time = ? WHERE key = ?"
            connection.execute(change, (RunState.PAUSED, RunState.RUNNING, time, run))
        case RunPaused() | RunResumed():
            state = event.state if isinstance(event, RunResumed) else RunState.PAUSED
            connection.execute("UPDATE runs SET state = ? WHERE key = ?", (state, run))
        case RunCancelRequested():
            connection.execute("UPDATE runs SET state = ? WHERE key = ?", (RunState.CANCELLING, run))
        case RunSettled():
            failure = encode(event.failure) if event.failure else None
            connection.execute(
                "UPDATE runs SET state = ?, end_time = ?, failure = ? WHERE key = ?",
                (event.state, time, failure, run),
            )
        case StepSucceeded() | StepReused() if event.findings:
            _add_findings(connection, run, event, read_blob(event.findings))
        case _:
            pass


def _add_findings(connection: sqlite3.Connection, run: int, event: StepSucceeded | StepReused, document: bytes) -> None:
    counts = event.counts
    connection.execute(
        "INSERT INTO finders (run, step, verified, moved, missing) VALUES (?, ?, ?, ?, ?)",
        (run, event.step, counts.verified, counts.moved, counts.missing),
    )
    connection.executemany(
        "INSERT INTO findings (run, step, finding, rank, status, data) VALUES (?, ?, ?, ?, ?, ?)",
        [(run, event.step, *astuple(listed)) for listed in list_findings(document)],
    )


def drop_merged(connection: sqlite3.Connection, run: int) -> None:
    """Leaves only the findings that count, and counts their citations. It reads every step: once a transaction."""
    rows = connection.execute("SELECT step, verified, moved, missing FROM finders WHERE run = ?", (run,)).fetchall()
    finders = {step: counts for step, *counts in rows}
    counted = frozenset(list_counted_steps(_read_steps(connection, run), finders))
    merged = [(run, step) for step in finders if step not in counted]
    connection.executemany("DELETE FROM findings WHERE run = ? AND step = ?", merged)
    totals = [sum(column) for column in zip(*(finders[step] for step in counted), strict=True)] or [0, 0, 0]
    connection.execute("UPDATE runs SET verified = ?, moved = ?, missing = ? WHERE key = ?", (*totals, run))


def _read_steps(connection: sqlite3.Connection, run: int) -> list[StepPlan]:
    steps: list[StepPlan] = []
    for (data,) in connection.execute(_STEPS, (run,)).fetchall():
        steps.extend(decode(StepsAdded, data).steps)
    return steps
