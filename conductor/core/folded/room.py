"""Counts the steps of a run for its limit: a run and its sub-runs have a number of steps together.

The steps of items and rounds that have not begun are reserved. So two steps with items cannot fill the run together, and no item
lacks room after the first one began.
"""

from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.plan import ForeachPlan, LoopPlan
from conductor.core.model.states import StepState


def count_known_steps(run: Run) -> int:
    """Returns the number of steps of a run and of those of its sub-runs that have ended."""
    return len(run.steps) + sum(step.sub_run.steps for step in run.steps.values() if step.sub_run is not None)


def count_reserved(run: Run) -> int:
    """Returns how many steps the running steps may still add."""
    return sum(_reserved(step) for step in run.steps.values() if step.state is StepState.RUNNING)


def _reserved(step: Step) -> int:
    match step.plan.work:
        case ForeachPlan(steps=inner):
            return ((step.items.count or 0) - step.items.begun) * len(inner)
        case LoopPlan(steps=inner, max_rounds=most):
            return (most - step.items.begun) * len(inner)
        case _:
            return 0
