"""Keeps the tables that lists are read from, in the transaction of the events that change them."""

import sqlite3
from collections.abc import Callable

from conductor.core.model.events.run_events import Event, RunCreated, StepsAdded
from conductor.core.model.plan import StepPlan
from conductor.store.codec import decode
from conductor.store.rows import projection
from conductor.store.rows.projection import (
    ADD_FINDER,
    describe_run,
    find_document,
    list_changes,
    make_finder,
    make_findings,
)

ReadBlob = Callable[[str], bytes]

# The steps of a run's creation and of each addition, in one form: what a retry brings along is not read.
_STEPS = """
SELECT iif(type = 'RunCreated', json_object('steps', json_extract(data, '$.plan.steps')), data)
FROM journal WHERE run = ? AND type IN ('RunCreated', 'StepsAdded') ORDER BY position
"""
_ADD_FINDINGS = "INSERT INTO findings (run, step, finding, rank, status, data) VALUES (?, ?, ?, ?, ?, ?)"


def create_run(connection: sqlite3.Connection, created: RunCreated, time: float) -> int:
    """Adds a run to the list and returns its key."""
    cursor = connection.execute(
        "INSERT INTO runs (run, state, create_time, flow, workspace_path, question, labels, plan, inputs, root)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        describe_run(created, time),
    )
    return int(cursor.lastrowid or 0)


def project(connection: sqlite3.Connection, run: int, event: Event, time: float, read_blob: ReadBlob) -> None:
    """Changes the lists as the event says. `run` is the run's key."""
    for statement, values in list_changes(run, event, time):
        connection.execute(statement, values)
    if digest := find_document(event):
        finder = make_finder(run, event)
        connection.execute(ADD_FINDER, finder)
        connection.executemany(_ADD_FINDINGS, [(*finder[:2], *row) for row in make_findings(read_blob(digest))])


def drop_merged(connection: sqlite3.Connection, run: int) -> None:
    """Leaves only the findings that count, and counts their citations. It reads every step: once a transaction."""
    finders = connection.execute("SELECT step, verified, moved, missing FROM finders WHERE run = ?", (run,)).fetchall()
    for statement, values in projection.drop_merged(run, _read_steps(connection, run), finders):
        connection.execute(statement, values)


def _read_steps(connection: sqlite3.Connection, run: int) -> list[StepPlan]:
    steps: list[StepPlan] = []
    for (data,) in connection.execute(_STEPS, (run,)).fetchall():
        steps.extend(decode(StepsAdded, data).steps)
    return steps
