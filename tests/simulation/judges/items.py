"""What must be true of items and rounds, judged from the steps that are stored, and not from what the core counts."""

from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.plan import ForeachPlan, LoopPlan
from conductor.core.model.states import StepState
from tests.simulation.judges.journal import NOT_AT_WORK, ends_run
from tests.simulation.judges.violation import Violation


def check_items(run: Run, *, is_over: bool) -> None:
    """Judges the steps of a run that have items or rounds."""
    for name, step in run.steps.items():
        if isinstance(step.plan.work, ForeachPlan | LoopPlan):
            items = _list_items(run, name)
            _check_number(run, step, step.plan.work, items)
            if step.state is StepState.SUCCEEDED and not step.gates:  # else a person gave what it came to
                _check_success(run, step, step.plan.work, items)
            if not is_over:
                _check_failed(run, items)


def _list_items(run: Run, parent: str) -> list[list[Step]]:
    items: dict[int, list[Step]] = {}
    for step in run.steps.values():
        if step.plan.parent == parent:
            items.setdefault(step.plan.index, []).append(step)
    if list(items) != list(range(len(items))):
        raise Violation(f"the items {list(items)} of {run.id}/{parent} did not begin in order")
    return list(items.values())


def _check_number(run: Run, step: Step, plan: ForeachPlan | LoopPlan, items: list[list[Step]]) -> None:
    going = sum(any(not one.is_settled for one in item) for item in items)
    most, at_once = (
        (step.items.count or 0, plan.max_parallel) if isinstance(plan, ForeachPlan) else (plan.max_rounds, 1)
    )
    if len(items) > most or going > at_once:
        raise Violation(f"{len(items)} items of {run.id}/{step.plan.id} began, and {going} go on")
    if any(len(item) != len(plan.steps) for item in items):
        raise Violation(f"an item of {run.id}/{step.plan.id} has other steps than its plan")


def _check_success(run: Run, step: Step, plan: ForeachPlan | LoopPlan, items: list[list[Step]]) -> None:
    good = sum(all(_is_good(one) for one in item) for item in items)
    most = step.items.count if isinstance(plan, ForeachPlan) else len(items)
    least = most if isinstance(plan, LoopPlan) or plan.min_success is None else min(plan.min_success, most or 0)
    if len(items) != most or good < (least or 0) or any(not one.is_settled for item in items for one in item):
        raise Violation(f"{run.id}/{step.plan.id} succeeded with {good} of {most} items, {least} needed")


def _check_failed(run: Run, items: list[list[Step]]) -> None:
    """A step ends with its item: what has not begun does not begin any more."""
    for item in items:
        bad = [one for one in item if one.is_settled and not _is_good(one)]
        idle = [one for one in item if one.state in NOT_AT_WORK]
        if bad and idle:
            raise Violation(f"{run.id}/{idle[0].plan.id} waits though {bad[0].plan.id} ended its item")


def _is_good(step: Step) -> bool:
    allowed = step.state is StepState.FAILED and not ends_run(step)
    return allowed or step.state in {StepState.SUCCEEDED, StepState.SKIPPED, StepState.EXCLUDED}
