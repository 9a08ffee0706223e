"""The steps of a run that would ask agents: those of the flow, those inside steps with items or rounds, those of called flows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from conductor.core.kinds.foreach import steps_of_item
from conductor.core.model.plan import ForeachPlan, LoopPlan, RunPlan, StepPlan, SubFlowPlan
from conductor.core.model.step_path import child_path
from conductor.flows.kinds.flow import band_of
from conductor.flows.language.bands import for_band
from conductor.flows.language.nesting import inner_steps
from conductor.flows.library.bundle import Bundle, read_bundle
from conductor.flows.plans import plan_steps
from conductor.v1 import flow_service_pb2 as flow_pb


@dataclass(frozen=True, slots=True)
class Asking:
    """A step that asks an agent.

    `name` is its path in the run: of its first time, as `angles.0.look`; of each agent of a panel, as `review.1.ask`; behind the
    step that calls its flow, as `spine.look`. `times` is how often it runs at most; 0 where there is no limit.
    """

    name: str
    plan: StepPlan
    times: int


def list_asking(bundle: bytes, plan: RunPlan) -> list[Asking]:
    """Returns the steps that are not excluded, in the flow's order."""
    pinned = read_bundle(bundle)
    return list(_Roster(pinned).list(pinned.flow.steps, plan.steps, plan.band))


@dataclass(frozen=True, slots=True)
class _Roster:
    bundle: Bundle

    def list(
        self, steps: Iterable[flow_pb.Flow.Step], plans: Iterable[StepPlan], band: str, before: str = "", times: int = 1
    ) -> Iterator[Asking]:
        """Yields the steps that would ask agents, with what stands before their names."""
        for step, plan in zip(steps, plans, strict=True):
            name = f"{before}{plan.id}"
            match plan.work:
                case _ if plan.excluded_because:
                    pass
                case ForeachPlan(agents=agents) as panel if agents:
                    for index in range(len(agents)):
                        asked = _children(plan, steps_of_item(panel, index), index)
                        yield from self.list(inner_steps(step), asked, band, before, times)
                case ForeachPlan(steps=inner):
                    most = times * for_band(step.foreach.max_items, band)
                    yield from self.list(inner_steps(step), _children(plan, inner), band, before, most)
                case LoopPlan(steps=inner, max_rounds=most):
                    yield from self.list(inner_steps(step), _children(plan, inner), band, before, times * most)
                case SubFlowPlan(flow=called):
                    flow = self.bundle.calls[called]
                    own = band_of(step, flow, band)
                    yield from self.list(flow.steps, plan_steps(flow, {}, band=own), own, f"{name}.", times)
                case _ if plan.agent is not None:
                    yield Asking(name, plan, times)
                case _:
                    pass


def _children(parent: StepPlan, inner: Iterable[StepPlan], index: int = 0) -> Iterator[StepPlan]:
    """Yields the plans of an item or round, the first by default: children need hosts that take their ids."""
    return (replace(plan, id=child_path(parent.id, index, plan.id)) for plan in inner)
