"""Decides at launch which steps of a flow are excluded: of a run that a caller asks for, and of a sub-run."""

from conductor.flows.checks.inputs import Inputs
from conductor.flows.language.expressions import ExpressionError, decide
from conductor.flows.language.nesting import walk
from conductor.v1 import flow_service_pb2


def exclude_steps(flow: flow_service_pb2.Flow, inputs: Inputs) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Returns why steps are excluded, by their paths of names, and the violations of the inputs, with those that this finds."""
    excluded: dict[str, str] = {}
    violations = list(inputs.violations)
    for path, step in walk(flow.steps) if not violations else ():
        if step.exclude_when:
            try:
                if decide(step.exclude_when, {"inputs": inputs.values, "band": inputs.band}):
                    excluded[path] = f"exclude_when is true: {step.exclude_when.strip()}"
            except ExpressionError as error:
                violations.append(("inputs", f"exclude_when of step {path} cannot be decided: {error}"))
    return excluded, violations
