"""The steps of a run that would ask agents: those of the flow, and those inside steps with items or rounds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from conductor.core.model.plan import ForeachPlan, LoopPlan, RunPlan, StepPlan
from conductor.core.model.step_path import child_path
from conductor.flows.language.bands import for_band
from conductor.flows.library.bundle import read_bundle
from conductor.v1 import flow_service_pb2 as flow_pb


@dataclass(frozen=True, slots=True)
class Asking:
    """A step that asks an agent, with the id of its first time. `times` is how often it runs at most; 0 where there is no limit."""

    plan: StepPlan
    times: int


def list_asking(bundle: bytes, plan: RunPlan) -> list[Asking]:
    """Returns the steps that are not excluded, in the flow's order."""
    return list(_list(read_bundle(bundle).flow.steps, plan.steps, plan.band))


def _list(
    steps: Iterable[flow_pb.Flow.Step], plans: Iterable[StepPlan], band: str, parent: str = "", times: int = 1
) -> Iterator[Asking]:
    for step, plan in zip(steps, plans, strict=True):
        named = replace(plan, id=child_path(parent, 0, plan.id)) if parent else plan
        if plan.excluded_because:
            continue
        match plan.work:
            case ForeachPlan(steps=inner):
                most = for_band(step.foreach.max_items, band)
                yield from _list(step.foreach.steps, inner, band, named.id, times * most)
            case LoopPlan(steps=inner, max_rounds=most):
                yield from _list(step.loop.steps, inner, band, named.id, times * most)
            case _ if plan.agent is not None:
                yield Asking(named, times)
            case _:
                pass
