"""Plans a good flow for the core: ids, needs and limits, with defaults filled in. Texts stay in the bundle."""

from collections.abc import Mapping

from conductor.config import Clocks
from conductor.core.model.plan import OnFailure, StepPlan
from conductor.flows.kinds.table import KINDS
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow


def plan_steps(flow: Flow, excluded: Mapping[str, str], clocks: Clocks | None = None) -> tuple[StepPlan, ...]:
    """Returns the steps, in the flow's order; `excluded` holds the reasons of those that are left out."""
    return tuple(_plan_step(step, excluded.get(step.id, ""), clocks or Clocks()) for step in flow.steps)


def run_timeout(flow: Flow, clocks: Clocks) -> float:
    """Returns how long a run of this flow may take, in seconds."""
    return float(flow.timeout.ToTimedelta().total_seconds()) if flow.HasField("timeout") else clocks.run_timeout_seconds


def _plan_step(step: Flow.Step, excluded_because: str, clocks: Clocks) -> StepPlan:
    kind = step.WhichOneof("work")
    if kind is None:
        raise ValueError(f"step {step.id} has no kind; the flow was not validated")
    return StepPlan(
        id=step.id,
        work=KINDS[kind].plan(step, clocks),
        label=step.label or step.id,
        needs=tuple(step.needs),
        has_skip_guard=bool(step.skip_when),
        excluded_because=excluded_because,
        priority=step.priority,
        on_failure=OnFailure.CONTINUE if step.on_failure == Flow.ON_FAILURE_CONTINUE else OnFailure.FAIL,
    )
