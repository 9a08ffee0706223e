"""A host as its link sees it, and the core's input that follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from agenthost.v1 import host_service_pb2 as host_pb
from conductor.core.model.inputs import PLACES, TURNS, HostAgent, HostPool, HostReported, Reach, UnusableAgent
from servicekit.times import length


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


def reported(name: str, host: host_pb.Host, address: str = "") -> HostReported:
    """Makes the core's input of a host's message, which came from an address."""
    models = {model.name: model for model in host.models if model.pool}
    return HostReported(
        host=name,
        address=address,
        connected=True,
        draining=host.state == host_pb.Host.STATE_DRAINING,
        slots=host.slots,
        agents=tuple(_agent(host, agent, models) for agent in host.agents if agent.available),
        unusable=tuple(
            UnusableAgent(agent.name, agent.unavailable_reason, _reach(agent, models))
            for agent in host.agents
            if not agent.available
        ),
        instance=host.instance,
        features=frozenset(host.features),
        labels=tuple(sorted(host.labels.items())),
        quiet=tuple((one.pool, length(one.quiet_time)) for one in models.values() if one.HasField("quiet_time")),
        pools=tuple(HostPool(one.pool, one.pool_slots, is_local=one.pool_is_local) for one in models.values()),
    )


def _agent(host: host_pb.Host, agent: host_pb.Agent, models: Mapping[str, host_pb.Model]) -> HostAgent:
    """Returns an agent with its pool and the model that is asked there: the configured, the usual, or the first that is listed."""
    takes_turns, model = TURNS in host.features and TURNS in agent.features, models.get(agent.model)
    if model is None:
        names_places = PLACES in agent.features and not agent.model
        return HostAgent(agent.name, agent.version, takes_turns, reach=_reach(agent, models), names_places=names_places)
    # A host of f9ac01c tells no usual model.
    asked = model.model or model.usual_model or next((each.name for each in model.listed), "") or f"models.{model.name}"
    return HostAgent(agent.name, agent.version, takes_turns, model.pool, asked, _reach(agent, models))


def _reach(agent: host_pb.Agent, models: Mapping[str, host_pb.Model]) -> Reach:
    """Returns what an agent may reach from its sandbox; of a model that is not known, the worst."""
    if not agent.model:
        return Reach.NOTHING
    is_near = agent.model in models and models[agent.model].pool_is_local
    return Reach.NEAR if is_near else Reach.ANYWHERE
