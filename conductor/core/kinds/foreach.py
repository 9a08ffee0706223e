"""A step that runs steps once for each item of a list: a chain for each item, and no item waits for another one.

- The items are asked for once, when the step is ready, and counted: all their steps must fit into the run before the first begins.
- Items begin a few at a time. When one has ended, the next one begins.
- When every item has ended, a worker gathers what they gave. When too few can succeed, the others are stopped and the step fails.
"""

from dataclasses import replace

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import is_out_of_reach, settle_step, succeed, why_stopped
from conductor.core.decide.starting import start_step
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.kinds.children import add_item, explain_failure, find_lack_of_room, stop_children
from conductor.core.kinds.kind import reject_answer
from conductor.core.model.events.run_events import ItemsListed, StepCancelled, StepFailed, StepSkipped
from conductor.core.model.plan import AgentPlan, ForeachPlan, StepPlan
from conductor.core.model.states import Failure, FailureClass, StepState
from conductor.core.model.work import Answer, Folded, ItemsFound, Work, WorkFailed, WorkKind

NO_ITEMS = "NO_ITEMS"
TOO_FEW_SUCCEEDED = "TOO_FEW_SUCCEEDED"


def begin(draft: RunDraft, step: Step) -> None:
    """Begins with the agents of a panel. Else it does nothing: a ready step's open question is its items."""
    if agents := _plan(step).agents:
        _take_items(draft, step, ItemsFound("", len(agents)))


def go_on(draft: RunDraft, step: Step) -> None:
    """Begins an item that may begin, or ends a step that must stop."""
    name, plan, why = step.plan.id, _plan(step), why_stopped(draft.run, step)
    if not why and not is_out_of_reach(step) and _may_begin(step, plan):
        name_of_item = plan.agents[step.items.begun] if plan.agents else ""
        add_item(draft, step, steps_of_item(plan, step.items.begun), name=name_of_item)
        draft.mark(name)  # for the next one, as far as the decision has room
        return
    if step.items.open:
        if why:
            stop_children(draft, step)
        return
    if why:
        settle_step(draft, StepCancelled(name, why))
    elif is_out_of_reach(step):
        settle_step(draft, StepFailed(name, explain_failure(draft.run, step, TOO_FEW_SUCCEEDED)))


def pending_work(run: Run, step: Step) -> Work | None:
    """Asks for the items, and for what they gave once all have ended."""
    if step.state is StepState.READY and not _plan(step).agents:
        return Work(run.id, WorkKind.ITEMS, step.plan.id)
    items = step.items
    if step.state is StepState.RUNNING and items.begun == items.count and not items.open and not is_out_of_reach(step):
        return Work(run.id, WorkKind.GATHER, step.plan.id)
    return None


def take_answer(draft: RunDraft, step: Step, answer: Answer) -> None:
    """Begins with the items, or ends the step with what they gave."""
    match step.state, answer:
        case StepState.READY, ItemsFound():
            _take_items(draft, step, answer)
        case StepState.RUNNING, Folded():
            succeed(draft, step, answer.text, answer.findings, answer.counts, output=answer.output)
        case _, WorkFailed():
            settle_step(draft, StepFailed(step.plan.id, answer.failure))
        case _:
            raise reject_answer(step, answer)


def _take_items(draft: RunDraft, step: Step, found: ItemsFound) -> None:
    name, plan = step.plan.id, _plan(step)
    hint = "Give the step fewer items, or max_items."
    if not found.count and plan.fails_when_empty:
        message = f"Step {name} has no items: its list is empty."
        settle_step(draft, StepFailed(name, Failure(NO_ITEMS, message, FailureClass.HUMAN_REQUIRED, name)))
    elif not found.count:
        settle_step(draft, StepSkipped(name, "its list of items is empty"))
    elif lack := find_lack_of_room(draft, step, found.count * len(plan.steps), f"{found.count} items", hint):
        settle_step(draft, StepFailed(name, lack))
    else:
        start_step(draft, step)
        draft.emit(ItemsListed(name, found.items, found.count, found.left_out))
        draft.mark(name)


def steps_of_item(plan: ForeachPlan, index: int) -> tuple[StepPlan, ...]:
    """Returns the steps of an item; those of an agent's ask it alone."""
    if not plan.agents:
        return plan.steps
    asked = (plan.agents[index],)
    return tuple(
        replace(step, work=replace(step.work, agents=asked)) if isinstance(step.work, AgentPlan) else step
        for step in plan.steps
    )


def _may_begin(step: Step, plan: ForeachPlan) -> bool:
    return step.items.begun < (step.items.count or 0) and len(step.items.open) < plan.max_parallel


def _plan(step: Step) -> ForeachPlan:
    if not isinstance(step.plan.work, ForeachPlan):
        raise TypeError(f"step {step.plan.id} has no items")
    return step.plan.work
