"""Gates and pauses as the API shows them: pure functions of a folded run."""

from typing import Any

from conductor.api.messages.names import gate_name, step_name
from conductor.core.folded.gate import Gate
from conductor.core.folded.run import Run
from conductor.core.model.states import GateDecision, GateState, PauseCause, RunState
from conductor.v1 import gate_service_pb2 as pb
from conductor.v1 import run_service_pb2
from conductor.v1.flow_service_pb2 import GateWork
from servicekit.times import timestamp

DECISIONS = {decision: GateWork.Decision.Value(f"DECISION_{decision.name}") for decision in GateDecision}


def gate_message(run: str, gate: Gate) -> pb.Gate:
    """Shows a gate without its texts."""
    return pb.Gate(
        name=gate_name(run, gate.id),
        state=pb.Gate.State.Value(f"STATE_{gate.state.name}"),
        step=step_name(run, gate.step),
        cause=pb.Gate.Cause.Value(f"CAUSE_{gate.cause.name}"),
        kind=pb.Gate.Kind.Value(f"KIND_{gate.kind.name}"),
        title=gate.title,
        hint=gate.hint,
        digest=gate.shown,
        decisions=[DECISIONS[decision] for decision in gate.decisions],
        create_time=timestamp(gate.open_time),
        expire_time=timestamp(gate.expire_time),
        resolve_time=timestamp(gate.resolve_time),
        decision=DECISIONS[gate.decision] if gate.decision else GateWork.DECISION_UNSPECIFIED,
        resolver=gate.resolver,
        peer=gate.peer,
        comment=gate.comment,
        resolved_by=gate.by,
    )


def pause_message(run: Run) -> run_service_pb2.Pause | None:
    """Shows why a run is paused; None where it is not."""
    if run.state is not RunState.PAUSED:
        return None
    cause = PauseCause.OPERATOR if run.is_held else PauseCause.GATE
    return run_service_pb2.Pause(
        cause=run_service_pb2.Pause.Cause.Value(f"CAUSE_{cause.name}"),
        start_time=timestamp(run.pauses.get(cause)),
        reason=run.pause_reason if run.is_held else "",
        paused_by=run.paused_by if run.is_held else "",
        gates=[gate_name(run.id, gate.id) for gate in pending_gates(run)],
    )


def pending_gates(run: Run) -> list[Gate]:
    """Returns the gates at which a run waits, in the flow's order."""
    steps = run.steps.values() if run.waiting else ()
    return [gate for step in steps if (gate := step.pending_gate) is not None]


def read_decision(value: Any) -> GateDecision | None:
    """Reads a decision; None for a value that names none."""
    return next((decision for decision, known in DECISIONS.items() if known == value), None)


def read_gate_states(values: list[Any]) -> frozenset[GateState]:
    """Reads the states of a filter. A value that names no state is left out: no gate has it."""
    known = {pb.Gate.State.Value(f"STATE_{state.name}"): state for state in GateState}
    return frozenset(known[value] for value in values if value in known)
