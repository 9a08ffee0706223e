"""A step that runs steps round after round, until its expression is true or its rounds are used up. A failed round fails it."""

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import settle_step, succeed, why_stopped
from conductor.core.decide.starting import start_step
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.kinds.children import add_item, explain_failure, find_lack_of_room, stop_children
from conductor.core.kinds.kind import reject_answer
from conductor.core.model.events.run_events import RoundJudged, StepCancelled, StepFailed
from conductor.core.model.plan import LoopPlan
from conductor.core.model.states import StepState
from conductor.core.model.work import Answer, Folded, RoundDecided, Work, WorkFailed, WorkKind

ROUND_FAILED = "ROUND_FAILED"


def begin(draft: RunDraft, step: Step) -> None:
    """Starts the step with its first round, where all its rounds have room."""
    plan, hint = _plan(step), "Give the step fewer rounds: max_rounds."
    if lack := find_lack_of_room(draft, step, plan.max_rounds * len(plan.steps), f"{plan.max_rounds} rounds", hint):
        settle_step(draft, StepFailed(step.plan.id, lack))
        return
    start_step(draft, step)
    go_on(draft, draft.step(step.plan.id))


def go_on(draft: RunDraft, step: Step) -> None:
    """Begins a round where the one before was judged, or ends a step that must stop."""
    name, items, why = step.plan.id, step.items, why_stopped(draft.run, step)
    if items.open:
        if why:
            stop_children(draft, step)
        return
    if why:
        settle_step(draft, StepCancelled(name, why))
    elif items.failed:
        settle_step(draft, StepFailed(name, explain_failure(draft.run, step, ROUND_FAILED)))
    elif items.begun == items.judged and not _is_over(step):
        add_item(draft, step, _plan(step).steps, is_round=True)


def pending_work(run: Run, step: Step) -> Work | None:
    """Asks whether the last round is enough, and for what the rounds gave."""
    items = step.items
    if step.state is not StepState.RUNNING or items.open or items.failed or not items.begun:
        return None
    if items.judged < items.begun:
        return Work(run.id, WorkKind.UNTIL, step.plan.id, round=items.begun)
    return Work(run.id, WorkKind.GATHER, step.plan.id) if _is_over(step) else None


def take_answer(draft: RunDraft, step: Step, answer: Answer) -> None:
    """Goes on as the round was judged, or ends the step with what its rounds gave."""
    match answer:
        case RoundDecided():
            draft.emit(RoundJudged(step.plan.id, step.items.begun, answer.is_done))
            go_on(draft, draft.step(step.plan.id))
        case Folded():
            succeed(draft, step, answer.text, answer.findings, answer.counts, output=answer.output)
        case WorkFailed():
            settle_step(draft, StepFailed(step.plan.id, answer.failure))
        case _:
            raise reject_answer(step, answer)


def _is_over(step: Step) -> bool:
    return step.items.is_done or step.items.judged >= _plan(step).max_rounds


def _plan(step: Step) -> LoopPlan:
    if not isinstance(step.plan.work, LoopPlan):
        raise TypeError(f"step {step.plan.id} has no rounds")
    return step.plan.work
