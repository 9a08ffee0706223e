"""Every kind of step, by the name that its plan has."""

from collections.abc import Mapping

from conductor.core.folded.step import Step
from conductor.core.kinds import agent, flow, fold, foreach, gate, loop
from conductor.core.kinds.kind import Kind
from conductor.core.model.plan import AgentPlan, FoldPlan, ForeachPlan, GatePlan, LoopPlan, SubFlowPlan

KINDS: Mapping[str, Kind] = {
    AgentPlan.kind: agent,
    FoldPlan.kind: fold,
    ForeachPlan.kind: foreach,
    LoopPlan.kind: loop,
    GatePlan.kind: gate,
    SubFlowPlan.kind: flow,
}


def kind_of(step: Step) -> Kind:
    """Returns the kind of a step."""
    return KINDS[step.plan.kind]
