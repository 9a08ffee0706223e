"""Random flows: graphs and trees of steps, with guards, exclusions, failures that are allowed, and now and then a cycle."""

from dataclasses import replace
from random import Random

from conductor.core.model.plan import (
    AgentPlan,
    FoldPlan,
    ForeachPlan,
    GatePlan,
    LoopPlan,
    OnFailure,
    OnInvalid,
    OnLost,
    RetryPlan,
    RunPlan,
    SnapshotPlan,
    StepPlan,
)
from conductor.core.model.states import GateDecision
from tests.simulation.programs.nesting import nest_some

AGENTS = ("survey", "scripted", "reader")
TALKING = "/talker"  # the program of those that say their answers in lines
TALKERS = frozenset({"scripted", "reader"})  # take turns
RENDERED = "depth"  # a parameter that is a template, where a step has it; it becomes the step's id
GATED = 0.5  # of the flows
DECISIONS = (GateDecision.APPROVE, GateDecision.REJECT, GateDecision.EDIT, GateDecision.SKIP)
ORPHAN_SECONDS = 12.0  # with its grace and a late wake-up, below the shortest patience of a simulated flow


def make_plan(rng: Random, number: int) -> RunPlan:
    copied = Random()
    copied.setstate(rng.getstate())  # so the flows of older seeds stay as they were
    steps = tuple(make_steps(rng, rng.randint(1, 13)))
    if copied.random() < 0.5:
        steps = tuple(nest_some(list(steps), copied, make_agent))
    gated = Random(f"gates {number}")  # so that other draws stay as they were
    if has_people(number // 10) and gated.random() < GATED:
        steps = gate_some(steps, gated)
    timeout = rng.choice((0.0,) * 5 + (40.0,))
    return plan_of(f"{number:026d}", steps, priority=rng.choice((0, 0, 0, 1)), timeout=timeout)


def has_people(seed: int) -> bool:
    """Returns whether people decide and hold runs in a world: in two of three."""
    return seed % 3 != 1


def gate_some(steps: tuple[StepPlan, ...], rng: Random) -> tuple[StepPlan, ...]:
    """Makes some folds gates, and lets a person decide about some failures."""
    return tuple(_with_gates(rng, step, steps) for step in steps)


def _with_gates(rng: Random, step: StepPlan, steps: tuple[StepPlan, ...]) -> StepPlan:
    if isinstance(step.work, ForeachPlan | LoopPlan):
        step = replace(step, work=replace(step.work, steps=gate_some(step.work.steps, rng)))
    if rng.random() < 0.3:
        step = replace(step, on_failure=OnFailure.GATE)
    if rng.random() < 0.3:
        step = replace(step, on_invalid=OnInvalid.GATE)
    is_parent = any(other.parent == step.id for other in steps)
    if not isinstance(step.work, FoldPlan) or is_parent or rng.random() < 0.4:
        return step
    return replace(
        step, work=GatePlan("go on?", DECISIONS, rng.choice((0.0, 2.0, 20.0))), on_failure=OnFailure.CONTINUE
    )


def plan_of(run: str, steps: tuple[StepPlan, ...], priority: int = 0, timeout: float = 0.0) -> RunPlan:
    return RunPlan(
        run=run,
        flow="flows/simulated",
        flow_revision="1",
        bundle="bundle",
        inputs="inputs",
        workspace_path="/nowhere",
        workspace_mode="working_tree",
        workspace_revision="",
        snapshot=SnapshotPlan("c" * 40),
        band="small",
        steps=steps,
        priority=priority,
        timeout_seconds=timeout,
    )


def make_steps(rng: Random, count: int) -> list[StepPlan]:
    steps = [make_step(rng, place) for place in range(count)]
    if count > 2 and rng.random() < 0.02:
        steps[0] = StepPlan("s0", FoldPlan(), needs=(f"s{count - 1}",))  # perhaps a cycle, perhaps not
    return steps


def make_step(rng: Random, place: int) -> StepPlan:
    is_fold = rng.random() < 0.25
    earlier = [f"s{other}" for other in range(place)]
    needs = tuple(sorted(rng.sample(earlier, min(place, rng.choice((0, 1, 1, 2, 3))))))
    parent = rng.choice(earlier) if earlier and rng.random() < 0.15 else ""
    typed = Random(f"typed {place} {needs} {rng.getstate()[1][:4]}")  # so that other draws stay as they were
    return StepPlan(
        id=f"s{place}",
        needs=tuple(need for need in needs if need != parent),
        has_skip_guard=rng.random() < 0.2,
        excluded_because="not for this band" if rng.random() < 0.06 else "",
        on_failure=OnFailure.CONTINUE if rng.random() < 0.7 else OnFailure.FAIL,
        on_invalid=OnInvalid.CONTINUE if typed.random() < 0.4 else OnInvalid.FAIL,
        work=FoldPlan() if is_fold else make_agent(rng),
        parent=parent,
    )


def make_agent(rng: Random) -> AgentPlan:
    own = Random(f"own {rng.getstate()[1][:4]}")  # so that other draws stay as they were
    return AgentPlan(
        tuple(rng.sample(AGENTS, rng.randint(1, 3))),
        parameters=((RENDERED, "{{ a template }}"),) if own.random() < 0.3 else (),
        max_attempts=rng.choice((1, 2, 3, 4, 4)),
        orphan_timeout_seconds=ORPHAN_SECONDS,
        queue_timeout_seconds=rng.choice((0.0,) * 7 + (30.0,)),
        lost_after_seconds=rng.choice((0.0, 25.0, 40.0)),
        on_lost=rng.choice((OnLost.RETRY, OnLost.RETRY, OnLost.FAIL)),
        retries=RetryPlan(
            hang=rng.randint(0, 2),
            schema=rng.choice((0, 0, 1)),
            agent=rng.randint(0, 1),
            first_pause_seconds=rng.choice((0.2, 1.0)),
        ),
        repairs=rng.random() < 0.9,
    )
