"""A good flow as the core's plan: ids, needs and limits, with defaults filled in. Texts stay in the bundle."""

from collections.abc import Mapping

from conductor.core.plan import AgentPlan, OnFailure, StepKind, StepPlan
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
DEFAULT_TIMEOUT_SECONDS = 1800.0
DEFAULT_IDLE_TIMEOUT_SECONDS = 600.0
DEFAULT_MAX_ATTEMPTS = 3


def plan_steps(flow: Flow, excluded: Mapping[str, str]) -> tuple[StepPlan, ...]:
    """The steps, in the flow's order; `excluded` gives the reasons of those that are left out."""
    return tuple(_step(step, excluded.get(step.id, "")) for step in flow.steps)


def _step(step: Flow.Step, excluded_because: str) -> StepPlan:
    is_agent = step.WhichOneof("work") == "agent"
    return StepPlan(
        id=step.id,
        kind=StepKind.AGENT if is_agent else StepKind.FOLD,
        label=step.label or step.id,
        needs=tuple(step.needs),
        has_skip_guard=bool(step.skip_when),
        excluded_because=excluded_because,
        on_failure=OnFailure.CONTINUE if step.on_failure == Flow.ON_FAILURE_CONTINUE else OnFailure.FAIL,
        agent=_agent(step.agent) if is_agent else None,
    )


def _agent(work: flow_service_pb2.AgentWork) -> AgentPlan:
    return AgentPlan(
        agents=tuple(work.agents),
        parameters=tuple(sorted(work.parameters.items())),
        timeout_seconds=_seconds(work, "timeout", DEFAULT_TIMEOUT_SECONDS),
        idle_timeout_seconds=_seconds(work, "idle_timeout", DEFAULT_IDLE_TIMEOUT_SECONDS),
        max_attempts=work.max_attempts or DEFAULT_MAX_ATTEMPTS,
    )


def _seconds(work: flow_service_pb2.AgentWork, name: str, default: float) -> float:
    if not work.HasField(name):  # type: ignore[arg-type]
        return default
    return float(getattr(work, name).ToTimedelta().total_seconds())
