"""A step that asks a person: a worker renders once what the person reads, and then the step waits for the decision.

Decisions and expiry are in `core.gates`.
"""

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import settle_step
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.gates.opening import open_flow_gate
from conductor.core.kinds.kind import reject_answer
from conductor.core.model.events.run_events import StepFailed
from conductor.core.model.states import StepState
from conductor.core.model.work import Answer, Shown, Work, WorkFailed, WorkKind


def begin(_draft: RunDraft, _step: Step) -> None:
    """Does nothing: a ready step's open question is what it shows."""


def go_on(_draft: RunDraft, _step: Step) -> None:
    """Does nothing: it is never running."""


def pending_work(run: Run, step: Step) -> Work | None:
    """Asks for what the gate shows."""
    return Work(run.id, WorkKind.SHOW, step.plan.id) if step.state is StepState.READY else None


def take_answer(draft: RunDraft, step: Step, answer: Answer) -> None:
    """Opens the gate."""
    match answer:
        case Shown():
            open_flow_gate(draft, step, answer.text)
        case WorkFailed():
            settle_step(draft, StepFailed(step.plan.id, answer.failure))
        case _:
            raise reject_answer(step, answer)
