"""Narrows the agents of flows to those that a caller asks for. Pure.

A caller chooses among the agents that an author names, and never beyond them: a step that names none of them stays as it is.
"""

from collections.abc import Iterator, Sequence

from conductor.flows.language.nesting import walk
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
Asking = flow_service_pb2.AgentWork | flow_service_pb2.PanelWork


def narrow_agents(flow: Flow, agents: Sequence[str]) -> Flow:
    """Returns a copy whose steps ask only these agents, in this order, where they name one of them."""
    narrowed = Flow()
    narrowed.CopyFrom(flow)
    for asking in _asking(narrowed):
        kept = [agent for agent in agents if agent in asking.agents]
        if kept:
            asking.agents[:] = kept
    return narrowed


def list_agents(flow: Flow) -> set[str]:
    """Returns every agent that a step of a flow names."""
    return {agent for asking in _asking(flow) for agent in asking.agents}


def _asking(flow: Flow) -> Iterator[Asking]:
    for _, step in walk(flow.steps):
        match step.WhichOneof("work"):
            case "agent":
                yield step.agent
            case "panel":
                yield step.panel
            case _:
                pass
