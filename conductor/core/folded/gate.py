"""A gate of a step, folded from its events: a question to a person, and the decision."""

from dataclasses import dataclass, replace

from conductor.core.model.events.gate_events import GateOpened, GateResolved
from conductor.core.model.states import (
    Failure,
    FailureClass,
    GateCause,
    GateDecision,
    GateState,
    IllegalTransitionError,
)


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate, with everything that readers see. `shown` and `text` are digests of blobs."""

    step: str
    number: int
    cause: GateCause
    kind: FailureClass
    title: str
    hint: str
    shown: str
    decisions: tuple[GateDecision, ...]
    open_time: float
    expire_time: float | None = None
    failure: Failure | None = None
    state: GateState = GateState.PENDING
    decision: GateDecision | None = None
    resolver: str = ""
    peer: str = ""
    comment: str = ""
    text: str = ""
    resolve_time: float | None = None
    by: str = ""

    @property
    def id(self) -> str:
        """Returns the gate's name in its run."""
        return f"{self.step}-{self.number}"

    @property
    def is_pending(self) -> bool:
        """Returns whether it waits for a decision."""
        return self.state is GateState.PENDING


def open_gate(event: GateOpened, time: float) -> Gate:
    """Returns the gate that an event opens."""
    return Gate(
        event.step,
        event.number,
        event.cause,
        event.kind,
        event.title,
        event.hint,
        event.shown,
        event.decisions,
        open_time=time,
        expire_time=event.expire_time or None,
        failure=event.failure,
    )


def resolve_gate(gate: Gate, event: GateResolved, time: float) -> Gate:
    """Returns the gate after its decision. Raises IllegalTransitionError where it waits for none, or not for this one."""
    if not gate.is_pending or gate.number != event.number:
        raise IllegalTransitionError(f"gate {gate.id} is {gate.state}, and cannot be decided as {event.number}")
    is_rejected = event.decision is GateDecision.REJECT
    state = GateState.REJECTED if is_rejected else GateState.APPROVED
    return replace(
        gate,
        state=GateState.EXPIRED if event.has_expired else state,
        decision=None if event.has_expired else event.decision,
        resolver=event.resolver,
        peer=event.peer,
        comment=event.comment,
        text=event.text,
        resolve_time=time,
        by=event.by,
    )


def supersede_gate(gate: Gate, time: float) -> Gate:
    """Returns a gate whose step ends without its decision."""
    return replace(gate, state=GateState.SUPERSEDED, resolve_time=time) if gate.is_pending else gate
