"""Makes spans of what ended in a run: run, step, attempt, request to a model.

Each follows from what is stored alone, under an id that never changes.

Names follow OpenTelemetry's conventions for generative AI. No span holds a prompt, an answer, a question or the text of a failure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from conductor.core.folded.attempt import Attempt
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.run_events import (
    Event,
    RunSettled,
    StepCancelled,
    StepFailed,
    StepReused,
    StepSkipped,
    StepSucceeded,
)
from conductor.core.model.model_requests import ModelRequest
from conductor.core.model.trace import Trace, span_of_attempt, span_of_run, span_of_step

MAX_TEXT_CHARACTERS = 256

Value = str | int | float | bool

STEP_ENDS = (StepSucceeded, StepFailed, StepCancelled, StepSkipped, StepReused)
ENDS = (RunSettled, AttemptEnded, *STEP_ENDS)


@dataclass(frozen=True, slots=True)
class Span:
    """A span that has ended. Times are in seconds since 1970. `error` is the reason of a failure; empty for none."""

    name: str
    trace: str
    id: str
    parent: str
    start: float
    end: float
    attributes: Mapping[str, Value]
    error: str = ""
    is_remote: bool = False  # another process did the work


def spans_of(run: Run, ended: Iterable[Event], requests: Mapping[str, Sequence[ModelRequest]]) -> Iterator[Span]:
    """Yields the spans of what ended by these events of a run. `run` is folded from them at least.

    `requests` are those of attempts to their models, by attempt.
    """
    if run.trace is None or not run.trace.is_sampled:
        return
    for event in ended:
        if isinstance(event, RunSettled):
            yield _span_of_run(run, run.trace)
        elif isinstance(event, STEP_ENDS):
            yield _span_of_step(run, run.trace, run.steps[event.step])
        elif isinstance(event, AttemptEnded):
            step = run.steps[event.step]
            for attempt in step.attempts:
                if attempt.id == event.attempt:
                    yield _span_of_attempt(run, run.trace, step, attempt)
                    told = requests.get(attempt.id, ())
                    yield from (_span_of_request(run.trace, attempt, one) for one in told)


def _span_of_run(run: Run, trace: Trace) -> Span:
    plan = run.plan
    told: dict[str, Value | None] = {
        "conductor.run": run.id,
        "conductor.flow": plan.flow,
        "conductor.flow_revision": plan.flow_revision,
        "conductor.snapshot": plan.snapshot.commit,
        "conductor.steps": len(run.steps),
        "conductor.retry_of": plan.retry_of,
        "conductor.state": run.state,
    }
    end = run.create_time if run.end_time is None else run.end_time
    return Span(
        f"run {plan.flow}",
        trace.id,
        span_of_run(run.id),
        trace.parent,
        run.create_time,
        end,
        _given(told),
        _reason(run),
    )


def _span_of_step(run: Run, trace: Trace, step: Step) -> Span:
    plan = step.plan
    parent = span_of_step(run.id, plan.parent) if plan.parent else span_of_run(run.id)
    end = run.create_time if step.end_time is None else step.end_time
    begins = (time for time in (step.ready_time, step.start_time, end) if time is not None)
    told: dict[str, Value | None] = {
        "conductor.run": run.id,
        "conductor.step": plan.id,
        "conductor.step.kind": plan.shown_kind,
        "conductor.attempts": len(step.attempts),
        "conductor.state": step.state,
        "conductor.reused": step.is_reused or "",
        "conductor.sub_run": step.sub_run.run if step.sub_run is not None else "",
    }
    return Span(
        f"step {plan.id}",
        trace.id,
        span_of_step(run.id, plan.id),
        parent,
        min(begins),
        end,
        _given(told),
        _reason(step),
    )


def _span_of_attempt(run: Run, trace: Trace, step: Step, attempt: Attempt) -> Span:
    told: dict[str, Value | None] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": attempt.agent,
        "gen_ai.request.model": attempt.model,
        "gen_ai.usage.input_tokens": attempt.input_tokens,
        "gen_ai.usage.output_tokens": attempt.output_tokens,
        "conductor.run": run.id,
        "conductor.step": step.plan.id,
        "conductor.attempt": attempt.id,
        "conductor.host": attempt.host,
        "conductor.pool": attempt.pool,
        "conductor.state": attempt.state,
        "conductor.exit_code": attempt.end.exit_code,
        "conductor.denials": attempt.end.denial_count or "",
        "conductor.start_seconds": None if attempt.start_time is None else attempt.start_time - attempt.create_time,
    }
    end = attempt.create_time if attempt.end_time is None else attempt.end_time
    return Span(
        f"invoke_agent {attempt.agent}",
        trace.id,
        span_of_attempt(attempt.id),
        span_of_step(run.id, step.plan.id),
        attempt.create_time,
        end,
        _given(told),
        attempt.end.failure.reason if attempt.end.failure is not None else "",
        is_remote=True,
    )


def _span_of_request(trace: Trace, attempt: Attempt, request: ModelRequest) -> Span:
    """Returns the span of a request, inside of its attempt's: the host's clock and the conductor's need not agree."""
    latest = attempt.create_time if attempt.end_time is None else attempt.end_time
    began = attempt.create_time if attempt.start_time is None else attempt.start_time
    start = min(began + request.offset_seconds, latest)
    told: dict[str, Value | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": attempt.model,
        "gen_ai.response.model": request.model,
        "gen_ai.usage.input_tokens": request.input_tokens or "",
        "gen_ai.usage.output_tokens": request.output_tokens or "",
        "http.response.status_code": request.status or "",
        "conductor.attempt": attempt.id,
        "conductor.pool": attempt.pool,
    }
    name = f"chat {attempt.model or request.model}".strip()
    end = min(start + request.seconds, latest)
    parent = span_of_attempt(attempt.id)
    return Span(name, trace.id, request.span, parent, start, end, _given(told), request.trouble, is_remote=True)


def _reason(ended: Run | Step) -> str:
    return ended.failure.reason if ended.failure is not None else ""


def _given(told: Mapping[str, Value | None]) -> dict[str, Value]:
    """Returns the attributes that say something; enums as their values."""
    return {
        name: text_of(value) if isinstance(value, str) else value
        for name, value in told.items()
        if value not in ("", None)
    }


def text_of(value: str) -> str:
    """Returns a text of a flow or a host as UTF-8 can hold it, cut."""
    return value[:MAX_TEXT_CHARACTERS].encode(errors="replace").decode()
