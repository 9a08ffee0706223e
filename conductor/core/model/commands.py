"""Commands to the outside, and the decision that carries them. A command is sent after its decision is stored."""

from dataclasses import dataclass

from conductor.core.model.events.event_parts import StartSpec
from conductor.core.model.events.run_events import Event
from conductor.core.model.inputs import Blob
from conductor.core.model.output import Output
from conductor.core.model.registry import HostChange
from conductor.core.model.work import Work


@dataclass(frozen=True, slots=True)
class StartExecution:
    """Ask a host to run an attempt, or to attach to it when it runs already.

    `repeated`: an earlier link of this process may have sent it, and what it sent may still arrive.
    """

    host: str
    start: StartSpec
    instance: str = ""
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class ResumeExecution:
    """Attach to a running attempt, and replay the frames after a number.

    If the attempt has a stream already, that stream has a gap: undelivered frames are dropped, and it restarts after this number.
    """

    host: str
    attempt: str
    after_sequence: int
    instance: str = ""


@dataclass(frozen=True, slots=True)
class CancelExecution:
    """Tell a host to end an attempt; repeating it is harmless. `host` is empty where only the stream's owner knows it."""

    host: str
    attempt: str
    reason: str


@dataclass(frozen=True, slots=True)
class AckExecution:
    """Tell a host what is stored. `finished` closes the stream after it. `host` as in CancelExecution."""

    host: str
    attempt: str
    sequence: int
    finished: bool = False


@dataclass(frozen=True, slots=True)
class SendInput:
    """Give an agent that waits a further input; repeating it is harmless. Input n follows turn n. `text`: digest of a blob."""

    host: str
    attempt: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class CloseExecution:
    """Tell an agent that waits that nothing more will come; repeating it is harmless."""

    host: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Ask a worker process."""

    work: Work


@dataclass(frozen=True, slots=True)
class OpenHost:
    """Begin to drive a host at an address."""

    host: str
    address: str


@dataclass(frozen=True, slots=True)
class CloseHost:
    """Let go of a host; its agents go on."""

    host: str


@dataclass(frozen=True, slots=True)
class KeepQuiet:
    """Tell a host that the endpoint of a pool wants no request for a time; it may be lost, and repeating it is harmless."""

    host: str
    pool: str
    seconds: float


TurnCommand = SendInput | CloseExecution
HostCommand = OpenHost | CloseHost | KeepQuiet
Command = StartExecution | ResumeExecution | CancelExecution | AckExecution | TurnCommand | Evaluate | HostCommand


@dataclass(frozen=True, slots=True)
class Record:
    """An event of a run, to be stored. A `key` that is not empty is unique in its run: a second such event is a defect."""

    run: str
    event: Event
    key: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The reply to a request: the run that it is about, empty for a host's. `repeated`: the request was known."""

    reply: int
    run: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The reply to a request that cannot be met. `reason` is one of the error table, such as RUN_NOT_RUNNING."""

    reply: int
    reason: str
    message: str


Reply = Accepted | Rejected


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything to store, then everything to send.

    `to_store` is in the order of journal and transcript: the store gives positions in that order. `cursors` holds the last stored
    sequence of each attempt. `durable` asks for a FULL commit, which events and acknowledgements need, and text alone does not.
    `wake_at` is when to call again without input, in seconds of the engine's clock; None for never.
    """

    to_store: tuple[Record | Output, ...] = ()
    hosts: tuple[HostChange, ...] = ()
    blobs: tuple[Blob, ...] = ()
    cursors: tuple[tuple[str, int], ...] = ()
    durable: bool = False
    to_send: tuple[Command, ...] = ()
    replies: tuple[Reply, ...] = ()
    wake_at: float | None = None
