"""A step that asks a person, and waits for the decision."""

from collections.abc import Iterator

from conductor.core.model.plan import GatePlan
from conductor.core.model.states import GateDecision
from conductor.flows.checks.clock_rules import MAX_RUN_SECONDS, judge_duration
from conductor.flows.checks.judgement import Library
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.problems import Problems
from conductor.v1.flow_service_pb2 import GateWork

MAX_TITLE_CHARACTERS = 200
DEFAULT_DECISIONS = (GateDecision.APPROVE, GateDecision.REJECT, GateDecision.EDIT)
_DECISIONS = {
    GateWork.DECISION_APPROVE: GateDecision.APPROVE,
    GateWork.DECISION_REJECT: GateDecision.REJECT,
    GateWork.DECISION_EDIT: GateDecision.EDIT,
    GateWork.DECISION_SKIP: GateDecision.SKIP,
}


def judge(step: Step, where: str, _library: Library, problems: Problems) -> None:
    """Adds the problems of a gate."""
    gate = step.gate
    problems.add_if_longer(f"{where}.title", gate.title, MAX_TITLE_CHARACTERS)
    if "\n" in gate.title.strip():
        problems.add(f"{where}.title", "must be one line")
    if not gate.show.strip():
        problems.add(f"{where}.show", "must not be empty: it is what the person reads before the decision")
    for index, decision in enumerate(gate.decisions):
        if decision not in _DECISIONS or decision in gate.decisions[:index]:
            text = "must be approve, reject, edit or skip, each once (retry belongs to on_failure: gate)"
            problems.add(f"{where}.decisions[{index}]", text)
    if gate.decisions and not {GateWork.DECISION_APPROVE, GateWork.DECISION_EDIT, GateWork.DECISION_SKIP} & {
        *gate.decisions
    }:
        problems.add(f"{where}.decisions", "let nothing through: add approve, edit or skip")
    judge_duration(gate, "expires", f"{where}.expires", MAX_RUN_SECONDS, problems)
    if gate.on_expiry not in GateWork.OnExpiry.values():
        problems.add(f"{where}.on_expiry", "must be ON_EXPIRY_REJECT: a gate never opens by itself")


def templates(step: Step) -> Iterator[tuple[str, str]]:
    """Yields what the gate shows."""
    if step.gate.show:
        yield "show", step.gate.show


def expressions(_step: Step) -> Iterator[Expression]:
    """Yields nothing."""
    yield from ()


def plan(step: Step, _planning: Planning) -> GatePlan:
    """Returns the plan of a gate."""
    gate = step.gate
    return GatePlan(
        title=gate.title.strip() or step.label or step.id,
        decisions=tuple(_DECISIONS[decision] for decision in gate.decisions) or DEFAULT_DECISIONS,
        expires_seconds=float(gate.expires.ToTimedelta().total_seconds()) if gate.HasField("expires") else 0.0,
    )
