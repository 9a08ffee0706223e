"""The needs of a step that asks an agent. Pure."""

from dataclasses import dataclass
from functools import lru_cache

from conductor.core.folded.step import MODEL_PARAMETER, Step
from conductor.core.model.plan import AgentPlan
from conductor.core.model.step_path import PATH_IDS, is_child_path

_FOR_CHILDREN = frozenset({PATH_IDS})
MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Demand:
    """The needs of a step: a host with one of the agents, with every feature and label. `model` is the flow's choice, if any."""

    agents: tuple[str, ...]
    features: frozenset[str] = frozenset()
    model: str = ""
    labels: tuple[tuple[str, str], ...] = ()


def demand_of(step: Step) -> Demand:
    """Returns the needs of a step that asks an agent."""
    plan = agent_of(step)
    model = dict(step.list_parameters(asks_model=True)).get(MODEL_PARAMETER, "")
    features = _FOR_CHILDREN if is_child_path(step.plan.id) else frozenset()
    return _keep(plan.agents, features, model, plan.labels)


@lru_cache(MOST_KEPT)
def _keep(agents: tuple[str, ...], features: frozenset[str], model: str, labels: tuple[tuple[str, str], ...]) -> Demand:
    """Returns one value for equal needs: a queue of a thousand steps is searched by identity, which costs no hash."""
    return Demand(agents, features, model, labels)


def agent_of(step: Step) -> AgentPlan:
    """Returns the plan of a step that asks an agent."""
    if step.plan.agent is None:
        raise ValueError(f"step {step.plan.id} is queued and asks no agent")
    return step.plan.agent
