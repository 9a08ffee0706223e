"""A host as its link sees it, and the core's input that follows."""

from dataclasses import dataclass
from enum import StrEnum

from agenthost.v1 import host_service_pb2 as host_pb
from conductor.core.model.inputs import TURNS, HostAgent, HostReported, UnusableAgent


class HostState(StrEnum):
    """The state of a host, as its link sees it."""

    CONNECTING = "connecting"
    READY = "ready"
    DRAINING = "draining"
    DISCONNECTED = "disconnected"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class HostView:
    """Holds what its link knows of a host. `host` is the host's last message, None before the first."""

    name: str
    address: str
    state: HostState = HostState.CONNECTING
    problem: str = ""
    last_seen: float | None = None
    disconnected_since: float | None = None
    host: host_pb.Host | None = None


def reported(name: str, host: host_pb.Host) -> HostReported:
    """Makes the core's input of a host's message."""
    return HostReported(
        host=name,
        connected=True,
        draining=host.state == host_pb.Host.STATE_DRAINING,
        slots=host.slots,
        agents=tuple(_agent(host, agent) for agent in host.agents if agent.available),
        unusable=tuple(
            UnusableAgent(agent.name, agent.unavailable_reason) for agent in host.agents if not agent.available
        ),
        instance=host.instance,
        features=frozenset(host.features),
    )


def _agent(host: host_pb.Host, agent: host_pb.Agent) -> HostAgent:
    return HostAgent(agent.name, agent.version, takes_turns=TURNS in host.features and TURNS in agent.features)
