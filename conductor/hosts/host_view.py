"""A host as its link sees it, and the core's input that follows from it."""

from dataclasses import dataclass
from enum import StrEnum

from agenthost.v1 import host_service_pb2 as host_pb
from conductor.core.model.inputs import HostAgent, HostReported, UnusableAgent


class HostState(StrEnum):
    """Whether a host can be used, as its link sees it."""

    CONNECTING = "connecting"
    READY = "ready"
    DRAINING = "draining"
    DISCONNECTED = "disconnected"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class HostView:
    """A host as its link sees it. `told` is what it said last, None before that."""

    name: str
    address: str
    state: HostState = HostState.CONNECTING
    problem: str = ""
    last_seen: float | None = None
    disconnected_since: float | None = None
    told: host_pb.Host | None = None


def reported(name: str, told: host_pb.Host) -> HostReported:
    """Makes the core's input of what a host tells."""
    return HostReported(
        host=name,
        connected=True,
        draining=told.state == host_pb.Host.STATE_DRAINING,
        slots=told.slots,
        agents=tuple(HostAgent(agent.name, agent.version) for agent in told.agents if agent.available),
        unusable=tuple(
            UnusableAgent(agent.name, agent.unavailable_reason) for agent in told.agents if not agent.available
        ),
        instance=told.instance,
        features=frozenset(told.features),
    )
