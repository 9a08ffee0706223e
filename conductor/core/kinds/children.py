"""Finds room for the steps of items and rounds, adds them below a running step, and tells how they failed."""

from dataclasses import replace

from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.events.run_events import StepsAdded
from conductor.core.model.plan import StepPlan
from conductor.core.model.states import Failure, FailureClass
from conductor.core.model.step_path import child_path
from conductor.core.model.truncation import cut_text

TOO_MANY_STEPS = "TOO_MANY_STEPS"


def find_lack_of_room(draft: RunDraft, step: Step, wanted: int, what: str, hint: str) -> Failure | None:
    """Returns why a step cannot add so many steps; None where they have room. They are reserved once it is running."""
    free, name = draft.count_free_steps(), step.plan.id
    if wanted <= free:
        return None
    message = (
        f"The {what} of step {name} would add {wanted} steps, and the run has room for {max(free, 0)}"
        f" of its {draft.limits.steps_per_run}. {hint}"
    )
    return Failure(TOO_MANY_STEPS, message, FailureClass.HUMAN_REQUIRED, name)


def add_item(
    draft: RunDraft, step: Step, inner: tuple[StepPlan, ...], *, name: str = "", is_round: bool = False
) -> None:
    """Adds the steps of a step's next item or round, for people under its name or number. Their room was reserved."""
    parent, index, items = step.plan.id, step.items.begun, step.items.listed
    added = tuple(
        replace(
            plan,
            id=child_path(parent, index, plan.id),
            label=f"{plan.label} {name or index + 1}",
            needs=tuple(child_path(parent, index, need) for need in plan.needs),
            parent=parent,
            item=items,
            index=index,
            round=index + 1 if is_round else 0,
        )
        for plan in inner
    )
    draft.emit(StepsAdded(added))
    draft.mark(*(plan.id for plan in added))


def stop_children(draft: RunDraft, step: Step) -> None:
    """Marks the children of a step that stops. Those of a step that a run stops with are marked already (see `settling`)."""
    if draft.run.stop is None:
        children = draft.run.children.get(step.plan.id, ())
        draft.mark(*(name for name in children if not draft.step(name).is_settled))


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
