"""Opens gates: a step asks a person, because its flow says so or because it failed.

A gate is numbered like the attempt that it is about, or one above the gate before it. So each opens once, also after a crash.
What it shows is a blob of the same decision.
"""

from hashlib import sha256

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.starting import start_run
from conductor.core.folded.step import Step
from conductor.core.model.events.gate_events import GateOpened, StepWaitsAtGate
from conductor.core.model.inputs import Blob
from conductor.core.model.plan import AgentPlan, FoldPlan, OnFailure
from conductor.core.model.states import Cause, Failure, FailureClass, GateCause, GateDecision
from conductor.core.model.truncation import MOST_REASON, cut_text

# So many gates of a step offer to try it again.
MOST_RETRIES = 50
_EFFECTS = {
    GateDecision.APPROVE: "the run goes on",
    GateDecision.REJECT: "the step fails",
    GateDecision.EDIT: "the step succeeds with your text",
    GateDecision.RETRY: "the step is tried again",
    GateDecision.SKIP: "the step is skipped",
}


def open_flow_gate(draft: RunDraft, step: Step, shown: str) -> None:
    """Opens the gate of a step that is one. `shown` is the digest of what its author wrote."""
    plan = step.plan.gate
    expire_time = draft.now + plan.expires_seconds if plan.expires_seconds else 0.0
    _open(
        draft,
        GateOpened(
            step.plan.id,
            _next_number(step),
            GateCause.FLOW,
            FailureClass.HUMAN_REQUIRED,
            cut_text(plan.title, MOST_REASON),
            _hint(step, plan.decisions),
            shown,
            plan.decisions,
            expire_time,
        ),
    )


def open_failure_gate(draft: RunDraft, step: Step, failure: Failure) -> None:
    """Opens a gate for a failure. If it is rejected, the step fails with it."""
    number = _next_number(step)
    decisions = tuple(
        decision for decision in GateDecision if decision is not GateDecision.RETRY or _may_retry(draft, step, number)
    )
    label = step.plan.label or step.plan.id
    text = f"Step {step.plan.id} ({label}) failed, at attempt {number}.\n\n{failure.reason}: {failure.message}\n"
    blob = Blob(sha256(text.encode(errors="replace")).hexdigest(), text.encode(errors="replace"))
    draft.blobs.append(blob)
    draft.queue.pop(step.plan.id, None)
    _open(
        draft,
        GateOpened(
            step.plan.id,
            number,
            GateCause.INVALID if failure.cause is Cause.SCHEMA else GateCause.FAILURE,
            failure.kind,
            cut_text(f"{label} failed: {failure.reason}", MOST_REASON),
            _hint(step, decisions),
            blob.digest,
            decisions,
            failure=failure,
        ),
    )


def _open(draft: RunDraft, event: GateOpened) -> None:
    start_run(draft)
    draft.emit(event)
    draft.emit(StepWaitsAtGate(event.step))


def _next_number(step: Step) -> int:
    return max(len(step.attempts), step.gate.number + 1 if step.gate else 1)


def _may_retry(draft: RunDraft, step: Step, number: int) -> bool:
    """Returns whether the step can be tried again. The children of one that has some were added once and for all."""
    has_children = bool(draft.run.children.get(step.plan.id))
    return isinstance(step.plan.work, AgentPlan | FoldPlan) and not has_children and number <= MOST_RETRIES


def _hint(step: Step, decisions: tuple[GateDecision, ...]) -> str:
    effects = dict(_EFFECTS)
    if step.plan.on_failure is not OnFailure.CONTINUE and not step.plan.parent:
        effects[GateDecision.REJECT] = "the step fails, and the run with it"
    return "; ".join(f"{decision}: {effects[decision]}" for decision in decisions)
