"""A step that runs another flow: a sub-run, which is a run of its own with an id that follows from the step.

- A worker evaluates the inputs and plans the sub-run, which is created in the decision that takes this answer (`sub_runs`).
- A step whose run stops tells its sub-run to end, and again after a restart. The step ends after its sub-run in any case.
- A sub-run that ended well is collected: its report is the step's text, and its findings are the step's.
"""

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import settle_step, succeed, why_stopped
from conductor.core.folded.run import Run, Stop
from conductor.core.folded.step import Step
from conductor.core.kinds.kind import reject_answer
from conductor.core.model.events.run_events import StepCancelled, StepFailed, StepValidating, SubRunEnded
from conductor.core.model.inputs import RequestCancel, SubRunReported
from conductor.core.model.states import Failure, FailureClass, RunState, StepState
from conductor.core.model.truncation import cut_text
from conductor.core.model.work import Answer, Folded, SubRunPlanned, Work, WorkFailed, WorkKind

SUB_RUN_CANCELLED = "SUB_RUN_CANCELLED"


def begin(_draft: RunDraft, _step: Step) -> None:
    """Does nothing: a ready step's open question is the plan of its sub-run."""


def go_on(draft: RunDraft, step: Step) -> None:
    """Tells the sub-run to end, where the step must not go on."""
    if step.live_sub_run and (why := why_stopped(draft.run, step)):
        draft.told.append(RequestCancel(step.live_sub_run, why))


def pending_work(run: Run, step: Step) -> Work | None:
    """Asks for the plan of the sub-run, or for what it reported and found."""
    match step.state:
        case StepState.READY:
            return Work(run.id, WorkKind.CALL, step.plan.id)
        case StepState.VALIDATING:
            return Work(run.id, WorkKind.COLLECT, step.plan.id)
        case _:
            return None


def take_answer(draft: RunDraft, step: Step, answer: Answer) -> None:
    """Asks for the sub-run to be created, or ends the step with what it found."""
    match step.state, answer:
        case StepState.READY, SubRunPlanned():
            draft.sub_runs[step.plan.id] = answer.plan
        case StepState.VALIDATING, Folded():
            succeed(draft, step, answer.text, answer.findings, answer.counts, output=answer.output)
        case _, WorkFailed():
            settle_step(draft, StepFailed(step.plan.id, answer.failure))
        case _:
            raise reject_answer(step, answer)


def take_end(draft: RunDraft, ended: SubRunReported) -> None:
    """Takes the end of the step's sub-run, once."""
    step = draft.run.steps.get(ended.step)
    if step is None or step.live_sub_run != ended.sub_run:
        return  # it was reported before
    draft.emit(SubRunEnded(ended.step, ended.sub_run, ended.state, ended.steps, ended.failure))
    if ended.state is RunState.SUCCEEDED:
        draft.emit(StepValidating(ended.step))
        return
    why = why_stopped(draft.run, step)
    if why and (ended.state is RunState.CANCELLED or draft.run.stop is Stop.CANCEL):
        settle_step(draft, StepCancelled(ended.step, why))
    else:
        settle_step(draft, StepFailed(ended.step, _explain(ended)))


def _explain(ended: SubRunReported) -> Failure:
    """Returns the failure of the step: that of its sub-run, which another caller may have cancelled."""
    failure = ended.failure
    if ended.state is RunState.CANCELLED or failure is None:
        message = cut_text(
            f"Its sub-run {ended.sub_run} was cancelled: {failure.message if failure else 'no reason is known'}"
        )
        return Failure(SUB_RUN_CANCELLED, message, FailureClass.HUMAN_REQUIRED, ended.step)
    where = f", step {failure.step}" if failure.step else ""
    message = cut_text(f"Its sub-run {ended.sub_run} failed{where}: {failure.message}")
    return Failure(failure.reason, message, failure.kind, ended.step)
