"""Narrows the agents and the hosts of flows to those that a caller asks for. Pure.

A caller chooses among the agents that an author names, and never beyond them: a step that names none of them stays as it is. A
caller's labels of hosts hold beside those that an author asks for.
"""

from collections.abc import Iterator, Mapping, Sequence

from conductor.flows.language.nesting import walk
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
Asking = flow_service_pb2.AgentWork | flow_service_pb2.PanelWork
Placed = Asking | flow_service_pb2.CommandWork


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


def narrow_hosts(flow: Flow, labels: Mapping[str, str]) -> Flow:
    """Returns a copy whose steps ask for hosts with these labels, too."""
    narrowed = Flow()
    narrowed.CopyFrom(flow)
    for _, placed in _placed(narrowed):
        placed.labels.update(labels)
    return narrowed


def find_other_label(flow: Flow, labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Returns a step that asks for another value of one of these labels, and the label; None where no step does."""
    others = (
        (step, name)
        for step, placed in _placed(flow)
        for name, value in labels.items()
        if placed.labels.get(name, value) != value
    )
    return next(others, None)


def _asking(flow: Flow) -> Iterator[Asking]:
    for _, step in walk(flow.steps):
        match step.WhichOneof("work"):
            case "agent":
                yield step.agent
            case "panel":
                yield step.panel
            case _:
                pass


def _placed(flow: Flow) -> Iterator[tuple[str, Placed]]:
    """Yields the steps that choose their hosts by labels: the id of each, and its work."""
    for _, step in walk(flow.steps):
        match step.WhichOneof("work"):
            case "agent":
                yield step.id, step.agent
            case "panel":
                yield step.id, step.panel
            case "command":
                yield step.id, step.command
            case _:
                pass
