"""Plans a good flow for the core: ids, needs and limits, with defaults filled in. Texts stay in the bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from conductor.config import Clocks
from conductor.core.model.plan import OnFailure, StepPlan
from conductor.flows.checks.output_rules import has_schema, on_invalid
from conductor.flows.kinds.kind import Planning
from conductor.flows.kinds.table import KINDS
from conductor.flows.language.nesting import inner_steps
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
_ON_FAILURE = {Flow.ON_FAILURE_CONTINUE: OnFailure.CONTINUE, Flow.ON_FAILURE_GATE: OnFailure.GATE}


def plan_steps(
    flow: Flow, excluded: Mapping[str, str], clocks: Clocks | None = None, band: str = "small"
) -> tuple[StepPlan, ...]:
    """Returns the steps, in the flow's order. `excluded` holds the reasons of those that are left out, by their paths of names."""
    planner = _Planner(excluded, clocks or Clocks(), band)
    return tuple(planner.plan(step, step.id) for step in flow.steps)


def run_timeout(flow: Flow, clocks: Clocks) -> float:
    """Returns how long a run of this flow may take, in seconds."""
    return float(flow.timeout.ToTimedelta().total_seconds()) if flow.HasField("timeout") else clocks.run_timeout_seconds


@dataclass(frozen=True, slots=True)
class _Planner:
    """Plans steps, and those inside them."""

    excluded: Mapping[str, str]
    clocks: Clocks
    band: str

    def plan(self, step: Flow.Step, path: str) -> StepPlan:
        """Returns the plan of a step, which is reached by a path of names."""
        kind = step.WhichOneof("work")
        if kind is None:
            raise ValueError(f"step {path} has no kind; the flow was not validated")
        return StepPlan(
            id=step.id,
            work=KINDS[kind].plan(step, Planning(self.clocks, self.band, partial(self._inner, step, path))),
            label=step.label or step.id,
            needs=tuple(step.needs),
            has_skip_guard=bool(step.skip_when),
            excluded_because=self.excluded.get(path, ""),
            priority=step.priority,
            on_invalid=on_invalid(step),
            has_schema=has_schema(step),
            on_failure=_ON_FAILURE.get(step.on_failure, OnFailure.FAIL),
        )

    def _inner(self, step: Flow.Step, path: str) -> tuple[StepPlan, ...]:
        return tuple(self.plan(inner, f"{path}.{inner.id}") for inner in inner_steps(step))
