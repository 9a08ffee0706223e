"""Adds the steps of items and rounds below a running step, and tells how they failed.

The steps of items that have not begun are reserved. So two steps with items cannot fill the run together, and no item lacks room
after the first one began.
"""

from dataclasses import replace

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import add_steps
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.plan import ForeachPlan, LoopPlan, StepPlan
from conductor.core.model.states import Failure, FailureClass, StepState
from conductor.core.model.step_path import child_path
from conductor.core.model.truncation import cut_text


def add_item(draft: RunDraft, step: Step, inner: tuple[StepPlan, ...], *, is_round: bool = False) -> None:
    """Adds the steps of a step's next item or round."""
    parent, index, items = step.plan.id, step.items.begun, step.items.listed
    added = tuple(
        replace(
            plan,
            id=child_path(parent, index, plan.id),
            label=f"{plan.label} {index + 1}",
            needs=tuple(child_path(parent, index, need) for need in plan.needs),
            parent=parent,
            item=items,
            index=index,
            round=index + 1 if is_round else 0,
        )
        for plan in inner
    )
    if (failure := add_steps(draft, added)) is not None:
        raise RuntimeError(failure.message)  # its room was reserved


def stop_children(draft: RunDraft, step: Step) -> None:
    """Marks the children of a step that stops. Those of a step that a run stops with are marked already (see `settling`)."""
    if draft.run.stop is None:
        children = draft.run.children.get(step.plan.id, ())
        draft.mark(*(name for name in children if not draft.step(name).is_settled))


def count_reserved(run: Run) -> int:
    """Returns how many steps the running steps may still add."""
    return sum(_reserved(step) for step in run.steps.values() if step.state is StepState.RUNNING)


def explain_failure(run: Run, step: Step, reason: str) -> Failure:
    """Returns the failure of a step whose items failed. It names the first one, and says who can help as that one does."""
    failed = {index: name for index, name in step.items.failed.items() if name}
    if not failed:  # none did: steps were cancelled for what they need
        return Failure(reason, f"The steps inside {step.plan.id} could not begin.", FailureClass.FATAL, step.plan.id)
    index, name = next(iter(failed.items()))
    child = run.steps[name]
    first = f"{child.failure.reason}: {child.failure.message}" if child.failure is not None else child.reason
    kind = child.failure.kind if child.failure is not None else FailureClass.FATAL
    if child.plan.round:
        text = f"Round {child.plan.round} of step {step.plan.id} failed, at step {name}: {first}"
    else:
        what = f"{len(failed)} of the {step.items.count} items of step {step.plan.id} failed"
        text = f"{what}, the first one (number {index}) at step {name}: {first}"
    return Failure(reason, cut_text(text), kind, step.plan.id)


def _reserved(step: Step) -> int:
    match step.plan.work:
        case ForeachPlan(steps=inner):
            return ((step.items.count or 0) - step.items.begun) * len(inner)
        case LoopPlan(steps=inner, max_rounds=most):
            return (most - step.items.begun) * len(inner)
        case _:
            return 0
