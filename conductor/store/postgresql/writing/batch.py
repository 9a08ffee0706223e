"""The rows of one decision, each at its position and with its id, and the statements that store them.

One statement a table, for any number of rows: each travels as one list of values for each column.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.attempt_events import AttemptCreated
from conductor.core.model.events.run_events import RunCreated, StepsAdded
from conductor.core.model.output import Output
from conductor.core.model.plan import StepPlan
from conductor.store.codec import encode
from conductor.store.port import LISTED_QUESTION
from conductor.store.postgresql.pipeline import Statement
from conductor.store.postgresql.writing.known import Known, KnownAttempt, KnownRun
from conductor.store.records import Stored, StoredEvent, StoredOutput
from conductor.store.rows.listing import LONG_PLAN
from conductor.store.rows.projection import describe_run, find_document, list_changes, make_finder, make_findings
from conductor.store.texts import split_text

Written = dict[str, list[Stored]]
Row = tuple[Any, ...]

_DIGEST = re.compile(r"[0-9a-f]{64}")

_RUN = (
    "INSERT INTO runs (key, run, state, create_time, flow, workspace_path, question, labels, plan, inputs, root, label_pairs)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_JOURNAL = (
    "INSERT INTO journal (id, run, position, time, type, key, data) SELECT i, r, p, %s, t, k, d"
    " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[]) n(i, r, p, t, k, d)"
)
_CHUNKS = (
    "INSERT INTO chunks (id, run, position, time, attempt, channel, end_byte, text) SELECT i, r, p, %s, a, c, e, t"
    " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::bytea[])"
    " n(i, r, p, a, c, e, t)"
)
_ATTEMPT = "INSERT INTO attempts (key, attempt, run, step) VALUES (%s, %s, %s, %s)"
_CURSORS = "UPDATE attempts SET cursor = c FROM unnest(%s::bigint[], %s::bigint[]) n(k, c) WHERE key = k"
_BLOBS = "INSERT INTO blobs (digest, data) SELECT * FROM unnest(%s::text[], %s::bytea[]) ON CONFLICT DO NOTHING"
_LINKS = "INSERT INTO run_blobs (run, digest) SELECT * FROM unnest(%s::bigint[], %s::text[]) ON CONFLICT DO NOTHING"
_FINDER = "INSERT INTO finders (run, step, verified, moved, missing) VALUES (%s, %s, %s, %s, %s)"
_FINDINGS = (
    "INSERT INTO findings (key, run, step, finding, rank, status, data) SELECT k, %s, %s, f, r, s, d"
    " FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[]) n(k, f, r, s, d)"
)
_UNPACK = "UPDATE runs SET is_compacted = false WHERE key = %s"


@dataclass(slots=True)
class Batch:
    """The rows of one decision. `documents` are the findings that its events name, by digest."""

    decision: Decision
    time: float
    known: Known
    last_id: int
    documents: Mapping[str, bytes]
    written: Written = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    texts: list[Row] = field(default_factory=list)
    created: list[Statement] = field(default_factory=list)  # runs and attempts
    changes: list[Statement] = field(default_factory=list)  # of the lists
    links: set[tuple[int, str]] = field(default_factory=set)
    # Of runs with new findings: what the events of this decision add to their steps and finders.
    finders: dict[int, list[Row]] = field(default_factory=dict)
    steps: dict[int, list[StepPlan]] = field(default_factory=dict)

    def fill(self) -> None:
        """Gives each item its place. LookupError: an item of a run or an attempt that was never created."""
        for item in self.decision.to_store:
            if isinstance(item, Record):
                self._add_event(item)
            else:
                self._add_output(item)

    def statements(self) -> Iterator[Statement]:
        """Returns what stores the rows, in an order that their references allow."""
        decision = self.decision
        if decision.blobs:
            blobs = {blob.digest: blob.data for blob in decision.blobs}
            yield _BLOBS, (list(blobs), list(blobs.values()))
        yield from self.created
        if self.events:
            yield _JOURNAL, (self.time, *_columns(self.events))
        if self.texts:
            yield _CHUNKS, (self.time, *_columns(self.texts))
        yield from self.changes
        if cursors := {self._attempt(attempt).key: cursor for attempt, cursor in decision.cursors}:
            yield _CURSORS, (list(cursors), list(cursors.values()))
        brought = {blob.digest for blob in decision.blobs}
        if links := sorted(link for link in self.links if link[1] in brought):
            yield _LINKS, _columns(links)

    def take_id(self) -> int:
        """Returns the next id."""
        self.last_id += 1
        return self.last_id

    def _add_event(self, record: Record) -> None:
        event, entry_id = record.event, self.take_id()
        if isinstance(event, RunCreated):
            self.known.runs[record.run] = KnownRun(entry_id)
            self.created.append((_RUN, _run_row(entry_id, event, self.time)))
        run = self._run(record.run)
        position = self._place(run)
        self._note_written(record.run, StoredEvent(position, self.time, event))
        data = encode(event)
        self.events.append((entry_id, run.key, position, type(event).__name__, record.key, data))
        if isinstance(event, AttemptCreated):
            self.known.attempts[event.attempt] = KnownAttempt(entry_id)
            self.created.append((_ATTEMPT, (entry_id, event.attempt, run.key, event.step)))
        changes = list_changes(run.key, event, self.time)
        self.changes.extend((text.replace("?", "%s"), values) for text, values in changes)
        self.links.update((run.key, digest) for digest in _DIGEST.findall(data))
        if isinstance(event, RunCreated | StepsAdded):
            steps = event.plan.steps if isinstance(event, RunCreated) else event.steps
            self.steps.setdefault(run.key, []).extend(steps)
        if digest := find_document(event):
            self._add_findings(make_finder(run.key, event), self.documents.get(digest, b""))

    def _add_findings(self, finder: Row, document: bytes) -> None:
        run, step, *counts = finder
        self.finders.setdefault(run, []).append((step, *counts))
        self.changes.append((_FINDER, finder))
        if found := make_findings(document):
            keys = [self.take_id() for _ in found]
            self.changes.append((_FINDINGS, (run, step, keys, *_columns(found))))

    def _add_output(self, output: Output) -> None:
        name = output.run
        run, attempt, channel = self._run(name), self._attempt(output.attempt), output.channel.value
        end = attempt.ends.get(channel, 0)
        for piece in split_text(output.text):
            position = self._place(run)
            self._note_written(name, StoredOutput(position, self.time, end, replace(output, text=piece.decode())))
            end += len(piece)
            self.texts.append((self.take_id(), run.key, position, attempt.key, channel, end, piece))
        attempt.ends[channel] = end

    def _place(self, run: KnownRun) -> int:
        run.position += 1
        if run.is_compacted:
            run.is_compacted = False
            self.changes.append((_UNPACK, (run.key,)))
        return run.position

    def _note_written(self, run: str, stored: Stored) -> None:
        self.written.setdefault(run, []).append(stored)

    def _run(self, name: str) -> KnownRun:
        if (run := self.known.runs.get(name)) is None:
            raise LookupError(f"an item of a run that was never created: {name}")
        return run

    def _attempt(self, name: str) -> KnownAttempt:
        if (attempt := self.known.attempts.get(name)) is None:
            raise LookupError(f"an item of an attempt that was never created: {name}")
        return attempt


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _run_row(key: int, event: RunCreated, time: float) -> Row:
    row = describe_run(event, time)
    plan = row.plan
    if len(plan) > LONG_PLAN:
        light = json.loads(plan)
        plan = json.dumps(light | {"question": light["question"][:LISTED_QUESTION]}, separators=(",", ":"))
    pairs = [json.dumps(label) for label in event.plan.labels]
    question = row.question.encode()
    return (key, *row._replace(plan=plan, question=question), pairs)
