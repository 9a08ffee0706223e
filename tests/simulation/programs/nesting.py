"""Turns steps of random flows into steps with items or rounds. The flows of older seeds stay as they were."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from conductor.core.model.plan import AgentPlan, FoldPlan, ForeachPlan, LoopPlan, OnFailure, StepPlan

MOST_LEVELS = 3
MakeAgent = Callable[[Random], AgentPlan]


def nest_some(steps: list[StepPlan], rng: Random, make_agent: MakeAgent) -> list[StepPlan]:
    """Returns the steps, some of them with steps inside. A parent of other steps stays as it is."""
    parents = {step.parent for step in steps}
    return [
        replace(step, work=_make_holder(rng, make_agent, 1)) if step.id not in parents and rng.random() < 0.25 else step
        for step in steps
    ]


def _make_holder(rng: Random, make_agent: MakeAgent, level: int) -> ForeachPlan | LoopPlan:
    inner = tuple(_make_inner(rng, make_agent, level, place) for place in range(rng.choice((1, 1, 2, 3))))
    if rng.random() < 0.3:
        return LoopPlan(inner, rng.randint(1, 3))
    return ForeachPlan(
        inner,
        max_parallel=rng.choice((1, 2, 4)),
        min_success=rng.choice((None, None, 0, 1, 2)),
        fails_when_empty=rng.random() < 0.3,
    )


def _make_inner(rng: Random, make_agent: MakeAgent, level: int, place: int) -> StepPlan:
    work: AgentPlan | FoldPlan | ForeachPlan | LoopPlan = make_agent(rng) if rng.random() < 0.6 else FoldPlan()
    if level < MOST_LEVELS and rng.random() < 0.15:
        work = _make_holder(rng, make_agent, level + 1)
    needs = tuple(f"i{level}{other}" for other in range(place) if rng.random() < 0.5)
    return StepPlan(
        f"i{level}{place}",
        work,
        needs=needs,
        has_skip_guard=rng.random() < 0.1,
        excluded_because="not for this band" if rng.random() < 0.05 else "",
        on_failure=OnFailure.CONTINUE if rng.random() < 0.5 else OnFailure.FAIL,
    )
