"""Counts events as they are stored. Labels are states, kinds, causes and a bounded list of models: never a run, step or user."""

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from conductor.core.folded.attempt import Attempt
from conductor.core.folded.step import Step
from conductor.core.model.commands import Record
from conductor.core.model.events.attempt_events import AttemptCreated, AttemptEnded, AttemptStarted
from conductor.core.model.events.gate_events import GateOpened, GateResolved
from conductor.core.model.events.run_events import (
    RunCreated,
    RunSettled,
    StepCancelled,
    StepFailed,
    StepReused,
    StepSkipped,
    StepSucceeded,
)
from conductor.core.model.states import StepState
from conductor.engine.stored import Stored
from servicekit.metrics.names import BoundedNames
from servicekit.metrics.page import MINUTES, MOMENTS

MAX_MECHANISMS = 8

_STEP_ENDS: Mapping[type, StepState] = {
    StepSucceeded: StepState.SUCCEEDED,
    StepFailed: StepState.FAILED,
    StepCancelled: StepState.CANCELLED,
    StepSkipped: StepState.SKIPPED,
}


class EventMetrics:
    """The metrics that follow from stored events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"conductor_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = MINUTES) -> Histogram:
            return Histogram(f"conductor_{name}", text, labels, buckets=buckets, registry=registry)

        self._models = BoundedNames()
        self._mechanisms = BoundedNames(MAX_MECHANISMS)
        self._runs_created = counter("runs_created", "Runs that were created, sub-runs included.")
        self._runs_ended = counter("runs_ended", "Runs that ended, by state.", "state")
        self._run_seconds = histogram("run_duration_seconds", "From a run's creation to its end.", "state")
        self._steps_ended = counter("steps_ended", "Steps that ended, by kind and state.", "kind", "state")
        self._queue_seconds = histogram("step_queue_seconds", "Wait of a step for a place, for each attempt.")
        self._attempts_created = counter("attempts_created", "Attempts that were given to a host.")
        self._attempts_ended = counter("attempts_ended", "Attempts that ended, by outcome.", "state", "cause")
        self._attempt_seconds = histogram("attempt_duration_seconds", "From an attempt's creation to its end.", "state")
        self._proofs = counter("sandbox_proofs", "Attempts whose sandbox was proven before the agent ran.", "mechanism")
        self._denials = counter("sandbox_denials", "Writes and connections that sandboxes denied agents.")
        self._tokens = counter("model_tokens", "Tokens that models took and gave.", "model", "direction")
        self._requests = counter("model_requests", "Requests of agents to models, by outcome.", "model", "outcome")
        self._findings = counter(
            "findings", "Findings of steps that succeeded, by how their quotes were judged.", "status"
        )
        self._gates_opened = counter("gates_opened", "Gates that asked a person.", "cause")
        self._gates_resolved = counter("gates_resolved", "Gates that were decided, or expired.", "decision")
        self._stored = counter("stored_events", "Events that were stored.")
        self._commit_seconds = histogram(
            "store_commit_seconds", "Wait of the engine for a commit of its store.", buckets=MOMENTS
        )
        self._read_seconds = histogram("store_read_seconds", "Wait for a read of the store.", buckets=MOMENTS)
        self._counting: dict[type, Callable[[Stored, Record, Any], None]] = {
            RunCreated: lambda *_: self._runs_created.inc(),
            RunSettled: self._count_run_end,
            StepReused: lambda stored, record, event: self._count_step_end(stored, record.run, event.step, event.state),
            **dict.fromkeys(_STEP_ENDS, self._count_step),
            AttemptCreated: self._count_attempt,
            AttemptStarted: lambda _, __, event: self._proofs.labels(
                self._mechanisms.label(event.confinement.mechanism)
            ).inc(),
            AttemptEnded: self._count_attempt_end,
            GateOpened: lambda _, __, event: self._gates_opened.labels(event.cause).inc(),
            GateResolved: lambda _, __, event: self._gates_resolved.labels(_decision(event)).inc(),
        }

    def note_read(self, seconds: float) -> None:
        """Notes how long a read of the store took."""
        self._read_seconds.observe(seconds)

    def note_stored(self, stored: Stored) -> None:
        """Counts what was stored."""
        self._commit_seconds.observe(stored.seconds)
        records = [item for item in stored.items if isinstance(item, Record)]
        self._stored.inc(len(records))
        for record in records:
            count = self._counting.get(type(record.event))
            if count is not None:
                count(stored, record, record.event)

    def _count_run_end(self, stored: Stored, record: Record, event: RunSettled) -> None:
        self._runs_ended.labels(event.state).inc()
        if (run := stored.find_run(record.run)) is not None:
            self._run_seconds.labels(event.state).observe(stored.time - run.create_time)

    def _count_step(self, stored: Stored, record: Record, event: Any) -> None:
        self._count_step_end(stored, record.run, event.step, _STEP_ENDS[type(event)])
        if isinstance(event, StepSucceeded):
            counts = event.counts
            for status in ("verified", "moved", "missing", "placed"):
                if number := getattr(counts, status):
                    self._findings.labels(status).inc(number)

    def _count_step_end(self, stored: Stored, run: str, name: str, state: StepState) -> None:
        step = _find_step(stored, run, name)
        self._steps_ended.labels("" if step is None else step.plan.shown_kind, state).inc()

    def _count_attempt(self, stored: Stored, record: Record, event: AttemptCreated) -> None:
        self._attempts_created.inc()
        before = stored.before.run(record.run)
        step = before.steps.get(event.step) if before is not None else None
        # A step that was queued in the same decision did not wait.
        waited = stored.time - step.queue_time if step is not None and step.state is StepState.QUEUED else 0.0
        self._queue_seconds.observe(max(0.0, waited))

    def _count_attempt_end(self, stored: Stored, record: Record, event: AttemptEnded) -> None:
        cause = event.failure.cause if event.failure is not None else None
        self._attempts_ended.labels(event.state, cause or "").inc()
        _add(self._denials, event.denial_count)
        step = _find_step(stored, record.run, event.step)
        attempt = next((one for one in step.attempts if one.id == event.attempt), None) if step is not None else None
        if attempt is not None:
            self._attempt_seconds.labels(event.state).observe(max(0.0, stored.time - attempt.create_time))
        self._count_model(event, attempt)

    def _count_model(self, event: AttemptEnded, attempt: Attempt | None) -> None:
        use = event.model_use
        told = (attempt.model if attempt is not None else "") or (use.model if use is not None else "")
        if not told and not event.input_tokens and not event.output_tokens:
            return
        model = self._models.label(told)
        _add(self._tokens.labels(model, "input"), event.input_tokens or 0)
        _add(self._tokens.labels(model, "output"), event.output_tokens or 0)
        if use is None:
            return
        outcomes = {"refused": use.refused, "broken": use.broken, "rate_limited": use.rate_limited}
        outcomes["answered"] = max(0, use.requests - use.broken - use.rate_limited)
        for outcome, number in outcomes.items():
            _add(self._requests.labels(model, outcome), number)


def _add(counter: Counter, number: int) -> None:
    """Adds what a host told: it may tell anything, and no counter goes back."""
    counter.inc(max(0, number))


def _find_step(stored: Stored, run: str, name: str) -> Step | None:
    found = stored.find_run(run)
    return None if found is None else found.steps.get(name)


def _decision(event: GateResolved) -> str:
    return "expired" if event.has_expired else event.decision
