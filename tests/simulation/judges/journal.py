"""Judges what is stored, beside the store in memory that keeps it: each run is folded as its events come.

No text of an attempt that has not begun or has ended, no cursor that goes back, one end for each thing. Keys and request ids that
come twice the store itself refuses.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from conductor.core.folded.attempt import attempt_owner
from conductor.core.folded.run import Run, apply, fold
from conductor.core.folded.step import Step
from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.attempt_events import AttemptCreated, AttemptEnded
from conductor.core.model.events.run_events import (
    Event,
    RunCreated,
    RunSettled,
    StepBecameReady,
    StepCancelled,
    StepFailed,
    StepReused,
    StepSkipped,
    StepSucceeded,
)
from conductor.core.model.output import Output
from conductor.core.model.plan import OnFailure, OnInvalid
from conductor.core.model.states import GateState, PauseCause, StepState
from conductor.store.records import StoredRun
from tests.fakes.memory_store import Appended, MemoryDisk, Write
from tests.kit.histories import RUN, Entry, Fact, RunHistory, Speech
from tests.simulation.judges.violation import Violation

if TYPE_CHECKING:
    from conductor.core.model.registry import HostEntry

CONDUCTOR = "c1"
NOT_AT_WORK = {StepState.PENDING, StepState.READY, StepState.QUEUED, StepState.WAITING_GATE}
_MET = {StepState.SUCCEEDED, StepState.SKIPPED, StepState.EXCLUDED}
_NOTHING = {StepState.FAILED, StepState.CANCELLED}


class JudgedDisk(MemoryDisk):
    """The disk of the conductors' store, which judges each decision before it keeps it."""

    def __init__(self, conductor_id: str) -> None:
        super().__init__(conductor_id)
        self._forget()

    def _forget(self) -> None:
        self.positions: Counter[str] = Counter()
        self.runs: dict[str, Run] = {}
        self.texts: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.cursors: dict[str, int] = {}
        self.durable_cursors: dict[str, int] = {}
        self.durable_positions: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.entries: dict[str, list[Entry]] = defaultdict(list)
        self.times: dict[str, list[float]] = defaultdict(list)
        self._said_bytes: Counter[tuple[str, str]] = Counter()
        self.hosts: dict[str, HostEntry] = {}

    def take(self, write: Write) -> None:
        self._judge(write)
        super().take(write)
        self._note_durable()

    def lose_power(self) -> None:
        super().lose_power()
        self._forget()
        for write in self.writes:
            self._judge(write)
        self._note_durable()

    def check_folds(self, unfinished: Iterable[StoredRun]) -> None:
        """Compares what a new process would fold with what was judged, run by run."""
        for stored in unfinished:
            if fold((event.event, event.time) for event in stored.events) != self.runs[stored.run]:
                raise Violation(f"run {stored.run} folds to something else than it was")

    def page(self, run: str, after: int, limit: int) -> list[Entry]:
        """What lies above a position."""
        return self.entries[run][after : after + limit]

    def is_end(self, run: str, position: int) -> bool:
        return run in self.runs and self.runs[run].is_settled and position == self.positions[run]

    def histories(self) -> tuple[RunHistory, ...]:
        return tuple(RunHistory(run, tuple(entries)) for run, entries in self.entries.items())

    def is_live(self, attempt: str) -> bool:
        run, step = attempt_owner(attempt)
        if run not in self.runs or step not in self.runs[run].steps:
            return False
        live = self.runs[run].steps[step].live_attempt
        return live is not None and live.id == attempt

    def said(self, attempt: str, channel: str) -> str:
        return "".join(self.texts[attempt, channel])

    def _note_durable(self) -> None:
        if self.durable == len(self.writes):
            self.durable_cursors = dict(self.cursors)
            self.durable_positions = Counter(self.positions)

    def _judge(self, write: Write) -> None:
        if isinstance(write, Appended):
            self._judge_decision(write.decision, write.time)

    def _judge_decision(self, decision: Decision, now: float) -> None:
        for change in decision.hosts:
            self.hosts.pop(change.host, None)
            if change.entry is not None:
                self.hosts[change.host] = change.entry
        for item in decision.to_store:
            self.positions[item.run] += 1
            if isinstance(item, Output):
                if not self.is_live(item.attempt):
                    raise Violation(f"text of attempt {item.attempt}, which does not live")
                self.texts[item.attempt, item.channel].append(item.text)
                self._judge_speech(item)
            else:
                self._judge_record(item, now)
                name, end = type(item.event).__name__, _end(item.event)
                self.entries[item.run].append(Fact(self.positions[item.run], name, _subject(item.event), end))
            self.times[item.run].append(now)
        for attempt, cursor in decision.cursors:
            if cursor < self.cursors.get(attempt, 0):
                raise Violation(f"the cursor of {attempt} went back to {cursor}")
            self.cursors[attempt] = cursor

    def _judge_speech(self, item: Output) -> None:
        channel, data = (item.attempt, item.channel), item.text.encode()
        self.entries[item.run].append(Speech(self.positions[item.run], *channel, self._said_bytes[channel], data))
        self._said_bytes[channel] += len(data)

    def _judge_record(self, record: Record, now: float) -> None:
        event = record.event
        if isinstance(event, RunCreated) and self.positions[record.run] != 1:
            raise Violation(f"run {record.run} does not begin with its creation")
        for end in _ends(record.run, event):
            self.ends[end] += 1
            if self.ends[end] > 1:
                raise Violation(f"{end} ended twice")
        if isinstance(event, AttemptCreated) and is_held(self.runs, record.run):
            raise Violation(f"{event.attempt} is created, and an operator holds its run")
        if isinstance(event, StepBecameReady):
            run = self.runs[record.run]
            if run.stop is not None or not could_begin(run, run.steps[event.step]):
                raise Violation(f"step {record.run}/{event.step} begins too early, or too late")
        self.runs[record.run] = apply(self.runs.get(record.run), event, now)


def _subject(event: Event) -> str:
    match event:
        case AttemptEnded():
            return f"attempt {event.attempt}"
        case StepSucceeded() | StepSkipped() | StepFailed() | StepCancelled() | StepReused():
            return f"step {event.step}"
        case _:
            return RUN


def _end(event: Event) -> str:
    match event:
        case RunSettled() | AttemptEnded():
            return str(event.state)
        case StepReused():
            return str(event.state)
        case StepSucceeded() | StepSkipped() | StepFailed() | StepCancelled():
            return type(event).__name__.removeprefix("Step").lower()
        case _:
            return ""


def _ends(run: str, event: Event) -> Iterable[str]:
    match event:
        case RunSettled():
            yield f"run {run}"
        case StepSucceeded() | StepSkipped() | StepFailed() | StepCancelled() | StepReused():
            yield f"step {run}/{event.step}"
        case AttemptEnded():
            yield f"attempt {event.attempt}"
        case _:
            pass


def is_held(runs: Mapping[str, Run], run: str) -> bool:
    """Returns whether an operator holds a run, or one above it."""
    parent = runs[run].plan.parent
    return PauseCause.OPERATOR in runs[run].pauses or (parent is not None and is_held(runs, parent.run))


def could_begin(run: Run, step: Step) -> bool:
    """Returns whether a step has what it needs, in other words than the core's."""
    parent = run.steps.get(step.plan.parent)
    if parent is not None and parent.state is not StepState.RUNNING:
        return False
    needs = [run.steps[need] for need in step.plan.needs]
    return all(need.state in _MET or (need.state in _NOTHING and not ends_run(need)) for need in needs)


def ends_run(step: Step) -> bool:
    """Returns whether the run cannot go on without a step that ended badly, in other words than the core's."""
    is_invalid = (
        step.failure is not None and step.failure.reason.startswith("OUTPUT_INVALID") and bool(step.failure.cause)
    )
    if step.reused is not None:
        return not step.reused.is_dispensable
    if any(gate.state is GateState.APPROVED for gate in step.gates[-1:]):
        return False
    return step.plan.on_failure is not OnFailure.CONTINUE and not (
        is_invalid and step.plan.on_invalid is OnInvalid.CONTINUE
    )
