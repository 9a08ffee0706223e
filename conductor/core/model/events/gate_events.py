"""Events of gates and of pauses: a person is asked and decides, a run waits and goes on. See `run_events` for what holds for all.

A gate is named after its step and the attempt that it is about, so it opens once. It is decided once.
"""

from dataclasses import dataclass

from conductor.core.model.states import Failure, FailureClass, GateCause, GateDecision, PauseCause, RunState


@dataclass(frozen=True, slots=True)
class GateOpened:
    """A step asks a person. `shown` is the digest of what the person reads: decisions name it.

    `expire_time` is 0 for a gate that waits as long as it takes. `failure` is what the step fails with if it is rejected, of a
    gate that opened for it.
    """

    step: str
    number: int
    cause: GateCause
    kind: FailureClass
    title: str
    hint: str
    shown: str
    decisions: tuple[GateDecision, ...]
    expire_time: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class StepWaitsAtGate:
    """A step waits at the gate that it opened."""

    step: str


@dataclass(frozen=True, slots=True)
class GateResolved:
    """A gate was decided, or expired, which rejects.

    `shown` is the digest that the decision named, `text` that of the text which an edit brought. `by` is the caller's identity,
    `peer` the address of its call. `resolver` is a name as the caller gave it, or its identity where that is proven.
    """

    step: str
    number: int
    decision: GateDecision
    shown: str = ""
    resolver: str = ""
    peer: str = ""
    comment: str = ""
    text: str = ""
    has_expired: bool = False
    request_id: str = ""
    request_digest: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class RunPaused:
    """All unfinished work of a run waits at gates, or an operator holds the run: `by` is the caller who asked for it."""

    cause: PauseCause
    reason: str = ""
    request_id: str = ""
    request_digest: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A cause of a run's pause is over. `state` is the run's state from now on: another cause may hold it."""

    cause: PauseCause
    state: RunState
    request_id: str = ""
    request_digest: str = ""
    by: str = ""
