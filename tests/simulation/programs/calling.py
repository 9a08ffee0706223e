"""Random calls of other flows: in some flows a few steps that fold call a flow instead, and so do the flows that they call."""

from dataclasses import replace
from random import Random

from conductor.core.folded.run import Run
from conductor.core.model.plan import FoldPlan, ForeachPlan, LoopPlan, ParentStep, RunPlan, StepPlan, SubFlowPlan
from conductor.evaluation.sub_runs import sub_run_id
from tests.simulation.programs.plans import GATED, gate_some, has_people, make_steps, plan_of

CALLING_FLOWS = 0.4
CALLS = 0.7
MOST_LEVELS = 4


def add_calls(plan: RunPlan) -> RunPlan:
    """Returns a plan that may call flows. Other draws stay as they were."""
    rng = Random(f"calls {plan.run}")
    level = plan.parent.level if plan.parent is not None else 1
    if level == MOST_LEVELS or (level == 1 and rng.random() > CALLING_FLOWS):
        return plan
    return replace(plan, steps=_call_in(plan.steps, rng))


def plan_part(run: Run, step: str) -> RunPlan:
    """Returns the plan of the sub-run of a step: always the same."""
    rng = Random(f"part {run.id} {step}")
    steps = tuple(make_steps(rng, rng.randint(1, 4)))
    seed = int(run.plan.root.removeprefix("r")) // 10
    if has_people(seed) and (gated := Random(f"gates {run.id} {step}")).random() < GATED:
        steps = gate_some(steps, gated)
    name = sub_run_id(run.id, step)
    plan = plan_of(name, steps, run.plan.priority, timeout=rng.choice((0.0,) * 7 + (20.0,)))
    level = run.plan.parent.level + 1 if run.plan.parent is not None else 2
    return add_calls(replace(plan, parent=ParentStep(run.id, step, run.plan.root, level)))


def _call_in(steps: tuple[StepPlan, ...], rng: Random) -> tuple[StepPlan, ...]:
    parents = {step.parent for step in steps}
    return tuple(_call(step, rng) if step.id not in parents else step for step in steps)


def _call(step: StepPlan, rng: Random) -> StepPlan:
    match step.work:
        case FoldPlan() if rng.random() < CALLS:
            return replace(step, work=SubFlowPlan("flows/called"))
        case ForeachPlan() | LoopPlan():
            return replace(step, work=replace(step.work, steps=_call_in(step.work.steps, rng)))
        case _:
            return step
