"""A good flow as the core's plan: ids, needs and limits, with defaults filled in. Texts stay in the bundle.

Of the two durations that must fit each other (`lost_after` at least `orphan_timeout` and a margin), the one that an author leaves
out follows the one that they give; where both are given, `rules` has judged them.
"""

from collections.abc import Mapping
from typing import assert_never

from conductor.config import LEASE_MARGIN_SECONDS, Clocks
from conductor.core.model.plan import AgentPlan, FoldPlan, OnFailure, OnLost, RetryPlan, StepPlan, WorkPlan
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
AgentWork = flow_service_pb2.AgentWork
DEFAULT_INFRASTRUCTURE_RETRIES = 2
MOST_ATTEMPTS = 10


def plan_steps(flow: Flow, excluded: Mapping[str, str], clocks: Clocks | None = None) -> tuple[StepPlan, ...]:
    """The steps, in the flow's order; `excluded` gives the reasons of those that are left out."""
    return tuple(_step(step, excluded.get(step.id, ""), clocks or Clocks()) for step in flow.steps)


def run_timeout(flow: Flow, clocks: Clocks) -> float:
    """How long a run of this flow may take, in seconds."""
    return float(flow.timeout.ToTimedelta().total_seconds()) if flow.HasField("timeout") else clocks.run_timeout_seconds


def _step(step: Flow.Step, excluded_because: str, clocks: Clocks) -> StepPlan:
    return StepPlan(
        id=step.id,
        work=_work(step, clocks),
        label=step.label or step.id,
        needs=tuple(step.needs),
        has_skip_guard=bool(step.skip_when),
        excluded_because=excluded_because,
        on_failure=OnFailure.CONTINUE if step.on_failure == Flow.ON_FAILURE_CONTINUE else OnFailure.FAIL,
    )


def _work(step: Flow.Step, clocks: Clocks) -> WorkPlan:
    match step.WhichOneof("work"):
        case "agent":
            return _agent(step.agent, clocks)
        case "fold":
            return FoldPlan()
        case None:
            raise ValueError(f"step {step.id} does nothing: no good flow has it")
        case other:
            assert_never(other)


def _agent(work: AgentWork, clocks: Clocks) -> AgentPlan:
    orphan, lost_after = _lease(work, clocks)
    return AgentPlan(
        agents=tuple(work.agents),
        parameters=tuple(sorted(work.parameters.items())),
        timeout_seconds=_seconds(work, "timeout", clocks.step_timeout_seconds),
        idle_timeout_seconds=_seconds(work, "idle_timeout", clocks.idle_timeout_seconds),
        max_attempts=work.max_attempts or MOST_ATTEMPTS,
        first_output_timeout_seconds=_seconds(work, "first_output_timeout", clocks.first_output_timeout_seconds),
        queue_timeout_seconds=_seconds(work, "queue_timeout", clocks.queue_timeout_seconds),
        orphan_timeout_seconds=orphan,
        lost_after_seconds=lost_after,
        on_lost=OnLost.FAIL if work.on_lost == AgentWork.ON_LOST_FAIL else OnLost.RETRY,
        retries=_retries(work),
    )


def _lease(work: AgentWork, clocks: Clocks) -> tuple[float, float]:
    """How long an agent lives without its conductor, and after how long of its host's silence it counts as lost."""
    orphan = _seconds(work, "orphan_timeout", clocks.orphan_timeout_seconds)
    lost_after = _seconds(work, "lost_after", clocks.lost_after_seconds)
    if work.may_overlap:
        return orphan, lost_after
    if work.HasField("lost_after") and not work.HasField("orphan_timeout"):
        orphan = min(orphan, lost_after - LEASE_MARGIN_SECONDS)
    return orphan, max(lost_after, orphan + LEASE_MARGIN_SECONDS)


def _retries(work: AgentWork) -> RetryPlan:
    given, default = work.retries, RetryPlan()
    infrastructure = work.max_attempts - 1 if work.max_attempts else DEFAULT_INFRASTRUCTURE_RETRIES
    return RetryPlan(
        infrastructure=given.infrastructure if given.HasField("infrastructure") else infrastructure,
        rate_limit=given.rate_limit if given.HasField("rate_limit") else default.rate_limit,
        hang=given.hang if given.HasField("hang") else default.hang,
        schema=given.schema if given.HasField("schema") else default.schema,
        agent=given.agent if given.HasField("agent") else default.agent,
        first_pause_seconds=_seconds(given, "first_pause", default.first_pause_seconds),
        longest_pause_seconds=_seconds(given, "longest_pause", default.longest_pause_seconds),
    )


def _seconds(message: AgentWork | flow_service_pb2.Retries, name: str, default: float) -> float:
    if not message.HasField(name):  # type: ignore[arg-type]
        return default
    return float(getattr(message, name).ToTimedelta().total_seconds())
