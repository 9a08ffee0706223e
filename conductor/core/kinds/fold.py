"""A step that combines results: a worker renders or merges them, and its answer is the step's result."""

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import are_children_settled, settle_step, succeed, why_stopped
from conductor.core.decide.starting import start_step
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.kinds.kind import reject_answer
from conductor.core.model.events.run_events import StepCancelled, StepFailed
from conductor.core.model.states import StepState
from conductor.core.model.work import Answer, Folded, OutputInvalid, Work, WorkFailed, WorkKind


def begin(draft: RunDraft, step: Step) -> None:
    """Starts the step: it needs no place."""
    start_step(draft, step)


def go_on(draft: RunDraft, step: Step) -> None:
    """Cancels the step when its run stops."""
    if are_children_settled(draft.run, step) and (why := why_stopped(draft.run, step)):
        settle_step(draft, StepCancelled(step.plan.id, why))


def pending_work(run: Run, step: Step) -> Work | None:
    """Asks for the fold, once the step's children have ended."""
    if step.state is StepState.RUNNING and are_children_settled(run, step):
        return Work(run.id, WorkKind.FOLD, step.plan.id)
    return None


def take_answer(draft: RunDraft, step: Step, answer: Answer) -> None:
    """Ends the step with the result."""
    match answer:
        case Folded():
            succeed(draft, step, answer.text, answer.findings, answer.counts, output=answer.output)
        case WorkFailed() | OutputInvalid():
            settle_step(draft, StepFailed(step.plan.id, answer.failure))
        case _:
            raise reject_answer(step, answer)
