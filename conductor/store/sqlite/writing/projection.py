"""What lists are made of, kept up to date in the transaction of the events that change it.

A projection decides nothing and holds nothing that the journal does not: it can be thrown away and made again. Which
findings count is `conductor.core.model.findings`' rule, not this file's.
"""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from conductor.core.model.events import (
    Event,
    RunCancelRequested,
    RunCreated,
    RunSettled,
    RunStarted,
    StepsAdded,
    StepSucceeded,
)
from conductor.core.model.findings import list_counted_steps
from conductor.core.model.plan import StepPlan
from conductor.core.model.states import RunState
from conductor.store.codec import decode_event, encode

RANKS = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}
FINDINGS_PER_STEP = 500

ReadBlob = Callable[[str], bytes]


def create_run(connection: sqlite3.Connection, created: RunCreated, time: float) -> int:
    """Adds a run to the list and gives its key."""
    plan = created.plan
    light = json.loads(encode(plan)) | {"steps": []}
    cursor = connection.execute(
        "INSERT INTO runs (run, state, create_time, flow, workspace_path, question, labels, plan, inputs)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            plan.run,
            RunState.QUEUED,
            time,
            plan.flow,
            plan.workspace_path,
            _clean(plan.question.casefold()),
            json.dumps(dict(plan.labels)),
            json.dumps(light, separators=(",", ":")),
            plan.inputs,
        ),
    )
    return int(cursor.lastrowid or 0)


def project(connection: sqlite3.Connection, run: int, event: Event, time: float, read_blob: ReadBlob) -> None:
    """Changes the lists as the event says. `run` is the run's key."""
    match event:
        case RunCreated() | RunCancelRequested() if event.request_id:
            row = (event.request_id, event.request_digest, run)
            connection.execute("INSERT INTO requests (request_id, digest, run) VALUES (?, ?, ?)", row)
        case _:
            pass
    match event:
        case RunStarted():
            connection.execute("UPDATE runs SET state = ?, start_time = ? WHERE key = ?", (RunState.RUNNING, time, run))
        case RunCancelRequested():
            connection.execute("UPDATE runs SET state = ? WHERE key = ?", (RunState.CANCELLING, run))
        case RunSettled():
            failure = encode(event.failure) if event.failure else None
            connection.execute(
                "UPDATE runs SET state = ?, end_time = ?, failure = ? WHERE key = ?",
                (event.state, time, failure, run),
            )
        case StepSucceeded() if event.findings:
            _add_findings(connection, run, event, read_blob(event.findings))
        case _:
            pass


def _add_findings(connection: sqlite3.Connection, run: int, event: StepSucceeded, document: bytes) -> None:
    counts = event.counts
    connection.execute(
        "INSERT INTO finders (run, step, verified, moved, missing) VALUES (?, ?, ?, ?, ?)",
        (run, event.step, counts.verified, counts.moved, counts.missing),
    )
    connection.executemany(
        "INSERT INTO findings (run, step, finding, rank, status, data) VALUES (?, ?, ?, ?, ?, ?)",
        [(run, event.step, *columns) for columns in _list_findings(document)],
    )
    _drop_merged(connection, run)


def _drop_merged(connection: sqlite3.Connection, run: int) -> None:
    """Leaves only the findings that count, and counts their citations."""
    rows = connection.execute("SELECT step, verified, moved, missing FROM finders WHERE run = ?", (run,)).fetchall()
    finders = {step: counts for step, *counts in rows}
    counted = list_counted_steps(_read_steps(connection, run), finders)
    merged = [(run, step) for step in finders if step not in counted]
    connection.executemany("DELETE FROM findings WHERE run = ? AND step = ?", merged)
    totals = [sum(column) for column in zip(*(finders[step] for step in counted), strict=True)] or [0, 0, 0]
    connection.execute("UPDATE runs SET verified = ?, moved = ?, missing = ? WHERE key = ?", (*totals, run))


def _read_steps(connection: sqlite3.Connection, run: int) -> list[StepPlan]:
    query = "SELECT type, data FROM journal WHERE run = ? AND type IN ('RunCreated', 'StepsAdded') ORDER BY position"
    steps: list[StepPlan] = []
    for type_name, data in connection.execute(query, (run,)).fetchall():
        match decode_event(type_name, data):
            case RunCreated(plan=plan):
                steps.extend(plan.steps)
            case StepsAdded(steps=added):
                steps.extend(added)
            case _:
                pass
    return steps


def _list_findings(document: bytes) -> list[tuple[str, int, str, str]]:
    """Gives id, rank, status and JSON of each finding.

    The document was checked before it came here. What has another shape all the same is left out of the list: a list is
    not worth a transaction that can never succeed, and the document itself is kept as it is.
    """
    try:
        found = json.loads(document)["findings"][:FINDINGS_PER_STEP]
    except (ValueError, KeyError, TypeError):
        return []
    return [_columns(finding) for finding in found if isinstance(finding, dict)]


def _columns(finding: dict[str, Any]) -> tuple[str, int, str, str]:
    rank = RANKS.get(str(finding.get("severity")), RANKS["info"])
    return _clean(str(finding.get("id", ""))), rank, _clean(str(finding.get("status", ""))), json.dumps(finding)


def _clean(text: str) -> str:
    """Gives text that has a UTF-8 form: a lone surrogate from somebody's JSON has none."""
    return text.encode("utf-8", "replace").decode()
