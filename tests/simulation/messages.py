"""What travels between simulated conductors and hosts: the frames of the two APIs, as values."""

from dataclasses import dataclass

from agenthost.core.output.frame import Finished, Frame, Started
from agenthost.core.output.report import Notice
from agenthost.core.output.report import Output as HostOutput
from conductor.core.model.events import Confinement, StartSpec
from conductor.core.model.inputs import AgentFinished, AgentStarted, Report
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState


@dataclass(frozen=True, slots=True)
class Start:
    spec: StartSpec


@dataclass(frozen=True, slots=True)
class Resume:
    execution: str
    after: int


@dataclass(frozen=True, slots=True)
class Cancel:
    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    sequence: int


@dataclass(frozen=True, slots=True)
class WatchHost:
    pass


@dataclass(frozen=True, slots=True)
class ListExecutions:
    pass


@dataclass(frozen=True, slots=True)
class Request:
    """A message of a conductor: who it is, and what it wants."""

    conductor: str
    epoch: int
    frame: Start | Resume | Cancel | Ack | WatchHost | ListExecutions


@dataclass(frozen=True, slots=True)
class HostState:
    """A heartbeat."""

    slots: int
    agents: tuple[str, ...]
    draining: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """An execution in a list."""

    execution: str
    has_ended: bool
    last_sequence: int


def report_of(attempt: str, frame: Frame) -> Report:
    """A frame as the conductor's core is told of it (as in `agenthost.api.messages` and `conductor.hosts.frames`)."""
    match frame.content:
        case Started():
            return AgentStarted(Confinement("simulated", uid=65534))
        case Notice(text=text):
            return Output(attempt, Channel.ACTIVITY, text)
        case HostOutput(channel=channel, text=text):
            return Output(attempt, Channel(channel), text)
        case Finished(verdict=verdict, ending=ending):
            return AgentFinished(
                AttemptState(verdict.outcome),
                verdict.reason,
                verdict.message,
                exit_code=ending.exit_code,
                signal=ending.signal,
            )
        case other:
            raise TypeError(other)
