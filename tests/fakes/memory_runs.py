"""The contents of a store in memory: the same positions, ids, channels, lists and refusals as any other store's."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from conductor.core.folded.run import list_counted_steps
from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.attempt_events import AttemptCreated
from conductor.core.model.events.event_parts import FindingCounts
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
from conductor.core.model.output import Output
from conductor.core.model.plan import StepPlan
from conductor.core.model.registry import HostChange, HostEntry
from conductor.core.model.states import RunState
from conductor.store.codec import encode
from conductor.store.findings import list_findings
from conductor.store.port import RepeatedEventError
from conductor.store.records import (
    Deletion,
    FeedEntry,
    FindingRow,
    RunRow,
    Stored,
    StoredEvent,
    StoredOutput,
    StoredRequest,
)
from conductor.store.refusals import describe_deletion
from conductor.store.texts import split_text

_DIGEST = re.compile(r"[0-9a-f]{64}")
_REQUESTED = RunCreated | RunCancelRequested | RunPaused | RunResumed | GateResolved


@dataclass
class MemoryRun:
    """One run. `ids` are those of its items, `cursors` those of its attempts."""

    row: RunRow
    items: list[Stored] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    cursors: dict[str, int] = field(default_factory=dict)
    channels: defaultdict[tuple[str, str], bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    steps: list[StepPlan] = field(default_factory=list)
    found: dict[str, tuple[FindingCounts, list[tuple[int, FindingRow]]]] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    is_deleted: bool = False

    def events(self) -> Iterator[StoredEvent]:
        """Returns its events, in order."""
        return (item for item in self.items if isinstance(item, StoredEvent))

    def findings(self) -> list[tuple[int, FindingRow]]:
        """Returns the findings that count, with their keys."""
        return [keyed for step in list_counted_steps(self.steps, self.found) for keyed in self.found[step][1]]

    def size(self) -> int:
        """Returns the bytes of its events and texts."""
        return sum(len(encode(stored.event)) for stored in self.events()) + sum(map(len, self.channels.values()))


class MemoryRuns:
    """All runs."""

    def __init__(self) -> None:
        self.by_name: dict[str, MemoryRun] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: dict[str, StoredRequest] = {}
        self.hosts: dict[str, HostEntry] = {}
        self.deletions: dict[str, Deletion] = {}
        self.deleted: list[FeedEntry] = []
        self.last_id = 0
        self._last_finding = 0

    def check(self, decision: Decision) -> None:
        """Raises RepeatedEventError or LookupError for a decision that cannot be stored."""
        runs = set(self.by_name)
        attempts = {name for run in self.by_name.values() for name in run.cursors}
        keys = {(name, key) for name, run in self.by_name.items() for key in run.keys}
        requests = set(self.requests)
        for item in decision.to_store:
            event = item.event if isinstance(item, Record) else None
            if isinstance(event, RunCreated):
                _take_once(item.run, runs)
            if item.run not in runs:
                raise LookupError(f"an item of a run that was never created: {item.run}")
            if isinstance(item, Output) and item.attempt not in attempts:
                raise LookupError(f"an item of an attempt that was never created: {item.attempt}")
            if isinstance(item, Record) and item.key:
                _take_once((item.run, item.key), keys)
            if isinstance(event, AttemptCreated):
                _take_once(event.attempt, attempts)
            if isinstance(event, _REQUESTED) and event.request_id:
                _take_once(event.request_id, requests)
        for request_id in filter(None, (change.request_id for change in decision.hosts)):
            _take_once(request_id, requests)
        if unknown := {attempt for attempt, _ in decision.cursors} - attempts:
            raise LookupError(f"an item of an attempt that was never created: {min(unknown)}")

    def append(self, decision: Decision, time: float) -> dict[str, int]:
        """Stores a decision that was checked; returns the last position of each run that it adds to."""
        brought = {blob.digest: blob.data for blob in decision.blobs}
        self.blobs = brought | self.blobs
        for change in decision.hosts:
            self._change_host(change)
        for item in decision.to_store:
            if isinstance(item, Record):
                self._add_event(item, time, brought.keys())
            else:
                self._add_text(item, time)
        attempts = {name: run for run in self.by_name.values() for name in run.cursors}
        for attempt, cursor in decision.cursors:
            attempts[attempt].cursors[attempt] = cursor
        runs = {item.run: self.by_name[item.run] for item in decision.to_store}
        return {name: len(run.items) for name, run in runs.items()}

    def delete(self, deletion: Deletion) -> dict[str, int]:
        """Hides a settled run, and remembers what it was asked for with; returns its last position."""
        row = self.by_name[deletion.run].row
        for run in self.tree(deletion.run):
            run.is_deleted = True
        self.last_id += 1
        plan = row.plan
        self.deleted.append(FeedEntry(self.last_id, row.run, plan.flow, dict(plan.labels), None, deletion.time))
        self.deletions[deletion.run] = deletion
        told = describe_deletion(deletion.time, deletion.why)
        for name, request in self.requests.items():
            if request.run == deletion.run:
                self.requests[name] = replace(request, deleted=told)
        if deletion.request_id:
            self.requests[deletion.request_id] = StoredRequest("", deletion.run, told)
        return {deletion.run: row.last_position}

    def tree(self, root: str) -> list[MemoryRun]:
        """Returns a run that a caller asked for, and its sub-runs."""
        return [run for run in self.by_name.values() if run.row.plan.root == root]

    def size_of_blobs(self, run: MemoryRun) -> int:
        """Returns the bytes of the blobs that only this run holds."""
        shared = {digest for other in self.by_name.values() if other is not run for digest in other.blobs}
        return sum(len(self.blobs[digest]) for digest in run.blobs - shared)

    def _change_host(self, change: HostChange) -> None:
        if change.entry is None:
            self.hosts.pop(change.host, None)
        else:
            self.hosts[change.host] = change.entry
        if change.request_id:
            self.requests[change.request_id] = StoredRequest(change.request_digest, "")

    def _add_event(self, record: Record, time: float, brought: Collection[str]) -> None:
        event = record.event
        if isinstance(event, RunCreated):
            self.by_name[record.run] = MemoryRun(_make_row(event, time))
        run = self.by_name[record.run]
        run.keys.update({record.key} - {""})
        run.blobs.update(digest for digest in _DIGEST.findall(encode(event)) if digest in brought)
        self._add(run, StoredEvent(len(run.items) + 1, time, event))
        if isinstance(event, _REQUESTED) and event.request_id:
            self.requests[event.request_id] = StoredRequest(event.request_digest, record.run)
        match event:
            case RunCreated():
                run.steps.extend(event.plan.steps)
            case StepsAdded():
                run.steps.extend(event.steps)
            case AttemptCreated():
                run.cursors[event.attempt] = 0
            case StepSucceeded() | StepReused() if event.findings:
                self._add_findings(run, event)
            case _:
                run.row = _change_row(run.row, event, time)

    def _add_text(self, output: Output, time: float) -> None:
        run = self.by_name[output.run]
        channel = run.channels[output.attempt, output.channel]
        for piece in split_text(output.text):
            whole = replace(output, text=piece.decode())
            self._add(run, StoredOutput(len(run.items) + 1, time, len(channel), whole))
            channel += piece

    def _add(self, run: MemoryRun, item: Stored) -> None:
        self.last_id += 1
        run.items.append(item)
        run.ids.append(self.last_id)
        run.row = replace(run.row, last_position=item.position)

    def _add_findings(self, run: MemoryRun, event: StepSucceeded | StepReused) -> None:
        rows: list[tuple[int, FindingRow]] = []
        for listed in list_findings(self.blobs.get(event.findings, b"")):
            self._last_finding += 1
            rows.append((self._last_finding, FindingRow(event.step, *astuple(listed))))
        run.found[event.step] = (event.counts, rows)
        counted = [astuple(run.found[name][0]) for name in list_counted_steps(run.steps, run.found)]
        run.row = replace(run.row, counts=FindingCounts(*map(sum, zip(*counted, strict=True))))


def _take_once(name: object, taken: set[Any]) -> None:
    if name in taken:
        raise RepeatedEventError(f"stored already: {name}")
    taken.add(name)


def _make_row(event: RunCreated, time: float) -> RunRow:
    return RunRow(
        run=event.plan.run,
        state=RunState.QUEUED,
        create_time=time,
        start_time=None,
        end_time=None,
        plan=replace(event.plan, steps=()),
        failure=None,
        counts=FindingCounts(),
        last_position=0,
    )


def _change_row(row: RunRow, event: Event, time: float) -> RunRow:
    match event:
        case RunStarted():
            state = row.state if row.state is RunState.PAUSED else RunState.RUNNING
            return replace(row, state=state, start_time=time)
        case RunPaused():
            return replace(row, state=RunState.PAUSED)
        case RunResumed():
            return replace(row, state=event.state)
        case RunCancelRequested():
            return replace(row, state=RunState.CANCELLING)
        case RunSettled():
            return replace(row, state=event.state, end_time=time, failure=event.failure)
        case _:
            return row
