"""Inputs: everything that reaches the conductor. `advance` decides what they mean.

`reply` names the caller that waits for a reply (see `Decision.replies`); 0 is none. `by` is the identity of the caller, as
`servicekit.calls.callers` tells it; empty where the conductor itself asks.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from conductor.core.model.activity import Activity, Usage
from conductor.core.model.events.event_parts import Confinement, KeptResult, ModelUse
from conductor.core.model.output import Output
from conductor.core.model.plan import RunPlan
from conductor.core.model.registry import HostRequest
from conductor.core.model.states import AttemptState, Cause, Failure, FailureClass, GateDecision, RunState
from conductor.core.model.trace import Trace
from conductor.core.model.work import WorkResult


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes to be stored in the same transaction as the events that name them. `digest`: SHA-256 in hex."""

    digest: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RequestRun:
    """A caller asks for a run. Everything in the plan is validated and pinned already.

    `kept` are the results that a retry takes from the run that it retries. `trace` is where its caller is traced.
    """

    plan: RunPlan
    blobs: tuple[Blob, ...]
    request_id: str = ""
    request_digest: str = ""
    reply: int = 0
    kept: tuple[KeptResult, ...] = ()
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class RequestCancel:
    """A caller asks a run to stop."""

    run: str
    reason: str
    request_id: str = ""
    request_digest: str = ""
    reply: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True)
class RequestPause:
    """An operator asks that no further attempt of a run begins."""

    run: str
    reason: str = ""
    request_id: str = ""
    request_digest: str = ""
    reply: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True)
class RequestResume:
    """An operator takes back a pause."""

    run: str
    request_id: str = ""
    request_digest: str = ""
    reply: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True)
class RequestResolve:
    """A person decides a gate. `shown` is the digest of what the person read, `text` that of the blob of an edit."""

    run: str
    step: str
    number: int
    decision: GateDecision
    shown: str
    resolver: str = ""
    peer: str = ""
    comment: str = ""
    text: str = ""
    blobs: tuple[Blob, ...] = ()
    request_id: str = ""
    request_digest: str = ""
    reply: int = 0
    by: str = ""


RunRequest = RequestRun | RequestCancel | RequestPause | RequestResume | RequestResolve
Request = RunRequest | HostRequest

# The feature of an agent, and of a host, that takes further inputs after an answer (see `TurnEnded`).
TURNS = "turns"
# The feature of an agent that is a deterministic tool: its findings may name a place and quote nothing.
PLACES = "places"


class Reach(IntEnum):
    """The network of an agent, from the strictest on: none, a model's server near by, or one elsewhere."""

    NOTHING = 0
    NEAR = 1
    ANYWHERE = 2


@dataclass(frozen=True, slots=True)
class HostAgent:
    """An agent that a host can run now. `pool` holds its model's slots, `model` is the usual one; empty where it has none.

    `names_places`: its findings may name places without a quote, which no agent with a model may.
    """

    name: str
    version: str = ""
    takes_turns: bool = False
    pool: str = ""
    model: str = ""
    reach: Reach = Reach.NOTHING
    names_places: bool = False


@dataclass(frozen=True, slots=True)
class UnusableAgent:
    """An agent that a host knows and cannot run now, and why."""

    name: str
    reason: str
    reach: Reach = Reach.NOTHING


@dataclass(frozen=True, slots=True)
class HostPool:
    """A pool of model slots, as a host knows it. `is_local`: its server is on a machine near by, and loads a model when asked."""

    name: str
    slots: int
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class HostReported:
    """A host described itself, or disconnected or could not be reached (both: `connected` False).

    `agents` holds the usable agents, `unusable` the others. `instance` is the id of its data folder: with another one it knows
    nothing of earlier attempts. `features` are what its version takes beyond the first protocol (see `step_path`). `pools`
    are those of its models. `labels` are the operator's. `address` is where its link reaches it: a report of a link that was closed
    meanwhile counts for nothing; empty where there are no links. `quiet` names pools whose endpoints want no request, and for how
    many seconds.
    """

    host: str
    connected: bool
    draining: bool = False
    slots: int = 0
    agents: tuple[HostAgent, ...] = ()
    unusable: tuple[UnusableAgent, ...] = ()
    instance: str = ""
    features: frozenset[str] = frozenset()
    pools: tuple[HostPool, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    address: str = ""
    quiet: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """The `started` frame."""

    confinement: Confinement


@dataclass(frozen=True, slots=True)
class AgentTurnEnded:
    """The `turn` frame. Its answer is these bytes of all that was answered; usage is the total. `reason` says why it failed."""

    number: int
    answer_start: int
    answer_end: int
    result: Blob | None = None
    usage: Usage = field(default_factory=Usage)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AgentRefusedInput:
    """The `input_refused` frame."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class AgentFinished:
    """The `finished` frame. `outcome` is the state that the attempt ends in; a host of f9ac01c names neither `kind` nor `cause`."""

    outcome: AttemptState
    reason: str = ""
    message: str = ""
    kind: FailureClass | None = None
    cause: Cause | None = None
    exit_code: int | None = None
    signal: int | None = None
    usage: Usage = field(default_factory=Usage)
    denial_count: int = 0
    answer_truncated: bool = False
    answer_note: str = ""  # why the answer is not whole
    answer_start: int = 0  # bytes of the answer before it are void
    result: Blob | None = None
    confinement: Confinement | None = None
    # How long its model's endpoint asked to wait, if it refused the last request as one too many.
    retry_after_seconds: float = 0.0
    model_use: ModelUse | None = None
    model_requests: Blob | None = None


Report = Output | Activity | AgentStarted | AgentTurnEnded | AgentRefusedInput | AgentFinished


@dataclass(frozen=True, slots=True)
class ExecutionReported:
    """Frames `first_sequence` to `last_sequence` of an attempt, merged: texts of one channel in a row are one `Output`.

    After a reconnection a stored frame may come again; the core drops frames up to the last stored sequence. It takes or drops
    merged frames as a whole: links never merge across the number that they resumed from.
    """

    attempt: str
    first_sequence: int
    last_sequence: int
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class ExecutionRefused:
    """The host refused a Start. `retryable`: it may be taken later, or by another host."""

    attempt: str
    reason: str
    message: str
    retryable: bool
    retry_after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ExecutionLost:
    """The host does not know the attempt, so nothing of it runs there."""

    attempt: str
    message: str


@dataclass(frozen=True, slots=True)
class WorkFinished:
    """A worker process answered, failed, or was killed at its limit."""

    result: WorkResult
    blobs: tuple[Blob, ...] = ()


@dataclass(frozen=True, slots=True)
class SubRunReported:
    """A sub-run ended: `run` and `step` are those that it belongs to. The core reports it to itself, and recovery again."""

    run: str
    step: str
    sub_run: str
    state: RunState
    steps: int
    failure: Failure | None = None


Input = Request | HostReported | ExecutionReported | ExecutionRefused | ExecutionLost | WorkFinished | SubRunReported
