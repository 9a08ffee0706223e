"""A store in memory: it folds what was stored, gives positions, and refuses what a real one would refuse.

What was appended survives its process; what no FULL commit followed does not survive a power cut. It also judges, as only a store
can: no key twice, no text of an attempt that has not begun or has ended, one end for each thing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from conductor.core.model.attempt import attempt_owner
from conductor.core.model.commands import Decision, Record
from conductor.core.model.events import (
    AttemptEnded,
    Event,
    RunCancelRequested,
    RunCreated,
    RunSettled,
    StepBecameReady,
    StepCancelled,
    StepFailed,
    StepSkipped,
    StepSucceeded,
)
from conductor.core.model.output import Output
from conductor.core.model.plan import OnFailure
from conductor.core.model.run import Run, apply, fold
from conductor.core.model.states import StepState
from conductor.core.model.step import Step
from tests.histories import RUN, Entry, Fact, RunHistory, Speech
from tests.simulation.judges.violation import Violation

_MET = {StepState.SUCCEEDED, StepState.SKIPPED, StepState.EXCLUDED}
_NOTHING = {StepState.FAILED, StepState.CANCELLED}


class MemoryStore:
    def __init__(self) -> None:
        self.log: list[tuple[Decision, float]] = []
        self.durable = 0
        self.epoch = 0
        self.kept_clock = ("", 0.0)
        self._forget()

    def begin_epoch(self) -> int:
        """Counts the conductor's starts; durable at once."""
        self.epoch += 1
        return self.epoch

    def _forget(self) -> None:
        self.journal: dict[str, list[tuple[Event, float]]] = {}
        self.positions: Counter[str] = Counter()
        self.runs: dict[str, Run] = {}
        self.texts: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.cursors: dict[str, int] = {}
        self.durable_cursors: dict[str, int] = {}
        self.durable_positions: Counter[str] = Counter()
        self.keys: set[tuple[str, str]] = set()
        self.ends: Counter[str] = Counter()
        self.requests: dict[str, tuple[str, str]] = {}
        self.entries: dict[str, list[Entry]] = defaultdict(list)
        self.times: dict[str, list[float]] = defaultdict(list)
        self._said_bytes: Counter[tuple[str, str]] = Counter()

    def page(self, run: str, after: int, limit: int) -> list[Entry]:
        """What lies above a position."""
        return self.entries[run][after : after + limit]

    def is_end(self, run: str, position: int) -> bool:
        return run in self.runs and self.runs[run].is_settled and position == self.positions[run]

    def histories(self) -> tuple[RunHistory, ...]:
        return tuple(RunHistory(run, tuple(entries)) for run, entries in self.entries.items())

    def append(self, decision: Decision, now: float) -> None:
        self.log.append((decision, now))
        self._write(decision, now)
        if decision.durable and (decision.to_store or decision.cursors):
            self.durable = len(self.log)
            self.durable_cursors = dict(self.cursors)
            self.durable_positions = Counter(self.positions)

    def lose_power(self) -> None:
        """Forgets what no FULL commit followed."""
        log, self.log = self.log[: self.durable], []
        self.durable = 0
        self._forget()
        for decision, now in log:
            self.append(decision, now)

    def unfinished(self) -> dict[str, Run]:
        """Folds the journal from its beginning, as a new process would."""
        runs = {run: fold(events) for run, events in self.journal.items() if not self.runs[run].is_settled}
        for name, run in runs.items():
            if run != self.runs[name]:
                raise Violation(f"run {name} folds to something else than it was")
        return runs

    def cursors_of(self, run: str) -> dict[str, int]:
        """How far each attempt of a run was read."""
        return {attempt: cursor for attempt, cursor in self.cursors.items() if attempt_owner(attempt)[0] == run}

    def is_live(self, attempt: str) -> bool:
        run, step = attempt_owner(attempt)
        if run not in self.runs or step not in self.runs[run].steps:
            return False
        live = self.runs[run].steps[step].live_attempt
        return live is not None and live.id == attempt

    def said(self, attempt: str, channel: str) -> str:
        return "".join(self.texts[attempt, channel])

    def _write(self, decision: Decision, now: float) -> None:
        for item in decision.to_store:
            self.positions[item.run] += 1
            if isinstance(item, Output):
                if not self.is_live(item.attempt):
                    raise Violation(f"text of attempt {item.attempt}, which does not live")
                self.texts[item.attempt, item.channel].append(item.text)
                self._write_speech(item)
            else:
                self._write_record(item, now)
                name, end = type(item.event).__name__, _end(item.event)
                self.entries[item.run].append(Fact(self.positions[item.run], name, _subject(item.event), end))
            self.times[item.run].append(now)
        for attempt, cursor in decision.cursors:
            if cursor < self.cursors.get(attempt, 0):
                raise Violation(f"the cursor of {attempt} went back to {cursor}")
            self.cursors[attempt] = cursor

    def _write_speech(self, item: Output) -> None:
        channel, data = (item.attempt, item.channel), item.text.encode()
        self.entries[item.run].append(Speech(self.positions[item.run], *channel, self._said_bytes[channel], data))
        self._said_bytes[channel] += len(data)

    def _write_record(self, record: Record, now: float) -> None:
        event = record.event
        if isinstance(event, RunCreated) and self.positions[record.run] != 1:
            raise Violation(f"run {record.run} does not begin with its creation")
        if isinstance(event, RunCreated | RunCancelRequested) and event.request_id:
            if event.request_id in self.requests:
                raise Violation(f"request id {event.request_id} was stored twice")
            self.requests[event.request_id] = (event.request_digest, record.run)
        if record.key and (record.run, record.key) in self.keys:
            raise Violation(f"{record.key} came twice in run {record.run}")
        self.keys.add((record.run, record.key))
        for end in _ends(record.run, event):
            self.ends[end] += 1
            if self.ends[end] > 1:
                raise Violation(f"{end} ended twice")
        if isinstance(event, StepBecameReady):
            run = self.runs[record.run]
            if run.stop is not None or not could_begin(run, run.steps[event.step]):
                raise Violation(f"step {record.run}/{event.step} begins too early, or too late")
        self.runs[record.run] = apply(self.runs.get(record.run), event, now)
        self.journal.setdefault(record.run, []).append((event, now))


def _subject(event: Event) -> str:
    match event:
        case AttemptEnded():
            return f"attempt {event.attempt}"
        case StepSucceeded() | StepSkipped() | StepFailed() | StepCancelled():
            return f"step {event.step}"
        case _:
            return RUN


def _end(event: Event) -> str:
    match event:
        case RunSettled() | AttemptEnded():
            return str(event.state)
        case StepSucceeded() | StepSkipped() | StepFailed() | StepCancelled():
            return type(event).__name__.removeprefix("Step").lower()
        case _:
            return ""


def _ends(run: str, event: Event) -> Iterable[str]:
    match event:
        case RunSettled():
            yield f"run {run}"
        case StepSucceeded() | StepSkipped() | StepFailed() | StepCancelled():
            yield f"step {run}/{event.step}"
        case AttemptEnded():
            yield f"attempt {event.attempt}"
        case _:
            pass


def could_begin(run: Run, step: Step) -> bool:
    """Tells whether a step has what it needs, in other words than the core's."""
    parent = run.steps.get(step.plan.parent)
    if parent is not None and parent.state is not StepState.RUNNING:
        return False
    needs = [run.steps[need] for need in step.plan.needs]
    return all(
        need.state in _MET or (need.state in _NOTHING and need.plan.on_failure is OnFailure.CONTINUE) for need in needs
    )
