"""Takes the decisions of people about gates, and lets gates expire.

The rules, before the code:

- A decision names the digest of the text that was shown. Another digest is refused in every state of the gate.
- A gate is decided once. The same decision with the same text again is a repetition, and accepted; another one is refused.
- An expired gate is rejected, also where the clock has not rung yet. It never opens by itself.
- What a decision means for the step: it succeeds, fails, is skipped, or begins again as if it had just become ready.
"""

from dataclasses import dataclass

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import settle_step, succeed
from conductor.core.folded.gate import Gate
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.kinds.table import kind_of
from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.events.gate_events import GateResolved
from conductor.core.model.events.run_events import StepBecameReady, StepFailed, StepSkipped
from conductor.core.model.inputs import RequestResolve
from conductor.core.model.states import Failure, FailureClass, GateCause, GateDecision, GateState
from conductor.core.model.truncation import MOST_REASON, MOST_WORD, cut_text

GATE_NOT_FOUND = "GATE_NOT_FOUND"
GATE_RESOLVED = "GATE_RESOLVED"
GATE_REJECTED = "GATE_REJECTED"
GATE_EXPIRED = "GATE_EXPIRED"
DIGEST_MISMATCH = "DIGEST_MISMATCH"
INVALID_REQUEST = "INVALID_REQUEST"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Says why a decision does not count. `reason` is one of the error table."""

    reason: str
    message: str


def find_gate(run: Run, step: str, number: int) -> Gate | None:
    """Returns a gate of a run; None where there is none."""
    found = run.steps.get(step)
    return next((gate for gate in found.gates if gate.number == number), None) if found is not None else None


def judge_decision(run: Run, asked: RequestResolve) -> Refusal | None:
    """Returns why a decision is refused; None where it counts, or repeats the one that was taken."""
    gate = find_gate(run, asked.step, asked.number)
    if gate is None:
        known = ", ".join(gate.id for step in run.steps.values() for gate in step.gates) or "none"
        return Refusal(GATE_NOT_FOUND, cut_text(f"run {run.id} has these gates: {known}"))
    if asked.shown != gate.shown:
        message = (
            f"gate {gate.id} shows the text with digest {gate.shown}, not {asked.shown}. Read it again, then decide"
        )
        return Refusal(DIGEST_MISMATCH, cut_text(message))
    if is_repeated(gate, asked):
        return None
    if not gate.is_pending or run.stop is not None:
        return Refusal(GATE_RESOLVED, f"gate {gate.id} {_how_resolved(gate)}")
    if asked.decision not in gate.decisions:
        taken = ", ".join(gate.decisions)
        return Refusal(INVALID_REQUEST, f"gate {gate.id} takes no {asked.decision}. It takes {taken}")
    return None


def is_repeated(gate: Gate, asked: RequestResolve) -> bool:
    """Returns whether a gate was decided in just this way."""
    return gate.decision is asked.decision and gate.text == asked.text


def resolve_gate(draft: RunDraft, asked: RequestResolve) -> None:
    """Decides a pending gate, and takes its step further."""
    draft.blobs.extend(asked.blobs)
    draft.emit(
        GateResolved(
            asked.step,
            asked.number,
            asked.decision,
            asked.shown,
            cut_text(asked.resolver, MOST_REASON),
            cut_text(asked.peer, MOST_WORD),
            cut_text(asked.comment),
            asked.text,
            request_id=asked.request_id,
            request_digest=asked.request_digest,
            by=asked.by,
        )
    )
    step = draft.step(asked.step)
    if step.gate is not None:
        _go_on(draft, step, step.gate, asked.decision)


def expire_gate(draft: RunDraft, step: Step, gate: Gate) -> None:
    """Rejects a gate whose time ran out without a decision."""
    draft.emit(GateResolved(gate.step, gate.number, GateDecision.REJECT, has_expired=True))
    message = (
        "No person decided in time, so the gate is rejected. Run the flow again, or give the gate a longer 'expires'."
    )
    settle_step(draft, StepFailed(step.plan.id, Failure(GATE_EXPIRED, message, FailureClass.HUMAN_REQUIRED)))


def is_overdue(gate: Gate, now: float) -> bool:
    """Returns whether a pending gate's time is up."""
    return gate.is_pending and gate.expire_time is not None and gate.expire_time <= now


def _go_on(draft: RunDraft, step: Step, gate: Gate, decision: GateDecision) -> None:
    name = step.plan.id
    match decision:
        case GateDecision.APPROVE if gate.cause is GateCause.FLOW:
            succeed(draft, step, gate.shown, "", FindingCounts())
        case GateDecision.APPROVE | GateDecision.REJECT:
            settle_step(draft, StepFailed(name, _explain(gate)))
        case GateDecision.EDIT:
            output = gate.text if step.plan.has_schema else ""
            succeed(draft, step, gate.text, "", FindingCounts(), output=output)
        case GateDecision.SKIP:
            settle_step(draft, StepSkipped(name, cut_text(f"skipped at its gate {_by(gate)}")))
        case GateDecision.RETRY:
            draft.emit(StepBecameReady(name, gate.number))
            if not step.plan.has_skip_guard or step.guard_passed:
                kind_of(step).begin(draft, draft.step(name))


def _explain(gate: Gate) -> Failure:
    """Returns what the step fails with: what the gate opened for, or that a person rejected it."""
    if gate.failure is None:
        text = f"The gate was rejected {_by(gate)}."
        return Failure(GATE_REJECTED, cut_text(text), FailureClass.HUMAN_REQUIRED)
    return gate.failure


def _by(gate: Gate) -> str:
    who = f"by {gate.resolver or gate.by or 'a caller without a name'}"
    return f"{who}: {gate.comment}" if gate.comment else who


def _how_resolved(gate: Gate) -> str:
    match gate.state:
        case GateState.PENDING | GateState.SUPERSEDED:
            return "asks no more: its run stops"
        case GateState.EXPIRED:
            return "has expired, which rejected it"
        case _:
            return f"was decided before: {gate.decision} {_by(gate)}"
