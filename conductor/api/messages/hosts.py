"""Hosts as the API shows them."""

from typing import TypeVar

from google.protobuf.message import Message

from agenthost.v1 import host_service_pb2 as host_pb
from conductor.api.messages.names import host_name
from conductor.core.model.registry import Drain, HostEntry
from conductor.core.placing.standing import PoolUse
from conductor.hosts.host_view import HostState, HostView
from conductor.v1 import pool_service_pb2 as pb
from servicekit.times import timestamp

_Message = TypeVar("_Message", bound=Message)


def host_message(
    view: HostView, running: int, lost_before: float, of_earlier: int = 0, entry: HostEntry | None = None
) -> pb.Host:
    """Makes the pool's answer; `running` counts this conductor's attempts there, `of_earlier` those of an earlier instance.

    A host that is disconnected since before `lost_before` is lost: derived here, and known nowhere else. `entry` says where the
    conductor knows it from.
    """
    host = view.host or host_pb.Host()
    is_lost = view.disconnected_since is not None and view.disconnected_since <= lost_before
    state = HostState.LOST if is_lost else view.state
    return pb.Host(
        name=host_name(view.name),
        address=view.address,
        state=pb.Host.State.Value(f"STATE_{state.name}"),
        problem=view.problem or _own_problem(host),
        version=host.version,
        slots=host.slots,
        running=running,
        agents=[_agent(agent) for agent in host.agents],
        sandbox_mechanism=host.sandbox.mechanism,
        last_seen_time=timestamp(view.last_seen),
        disconnected_time=timestamp(view.disconnected_since),
        attempts_of_earlier_instance=of_earlier,
        labels=host.labels,
        models=[_same(model, pb.HostModel) for model in host.models],
        source=_source(entry),
        snapshots=host.snapshots.count,
        certificate_end_time=host.certificate_end_time if host.HasField("certificate_end_time") else None,
        drain=_drain(entry.drain if entry is not None else None),
    )


def _source(entry: HostEntry | None) -> pb.Host.Source.ValueType:
    if entry is None:
        return pb.Host.SOURCE_UNSPECIFIED
    return pb.Host.SOURCE_CONFIGURATION if entry.is_configured else pb.Host.SOURCE_STORED


def _drain(drain: Drain | None) -> pb.HostDrain | None:
    return None if drain is None else pb.HostDrain(by=drain.by, since_time=timestamp(drain.since))


def pool_message(use: PoolUse) -> pb.ModelPool:
    """Makes the message of a pool."""
    return pb.ModelPool(
        name=use.name,
        slots=use.slots,
        in_use=len(use.holders),
        waiting=use.waiting,
        parked_until_time=timestamp(use.parked_until or None),
        loaded_model=use.loaded,
    )


def _agent(agent: host_pb.Agent) -> pb.HostAgent:
    return pb.HostAgent(
        name=agent.name,
        version=agent.version,
        available=agent.available,
        unavailable_reason=agent.unavailable_reason,
        description=agent.description,
        features=agent.features,
        spec_refused=agent.spec_refused,
        model=agent.model,
        last_trial=_same(agent.last_trial, pb.Trial) if agent.HasField("last_trial") else None,
    )


def _same(message: Message, kind: type[_Message]) -> _Message:
    """Returns our message with the values of a host's: what they share has the same numbers in both."""
    made = kind.FromString(message.SerializeToString())
    made.DiscardUnknownFields()
    return made


def _own_problem(host: host_pb.Host) -> str:
    if host.HasField("sandbox") and not host.sandbox.available:
        return f"agents cannot be confined there (ask there:  agenthost doctor): {host.sandbox.unavailable_reason}"
    return ""
