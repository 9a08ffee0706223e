"""A step that runs another flow.

An input is an expression or stands for itself: a text is CEL, so that lists and objects go from step to step as they are, and YAML
writes all other values itself. What the called flow is, and asks for, is judged where all flows are known (see `checks.calls`).
"""

import re
from collections.abc import Iterator

from google.protobuf import json_format

from conductor.core.model.plan import SubFlowPlan
from conductor.flows.checks.inputs import BANDS, known_bands
from conductor.flows.checks.judgement import Library
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.problems import Problems
from conductor.v1 import flow_service_pb2

FLOW_NAME = re.compile(r"flows/(?:parts/)?[a-z][a-z0-9_-]{0,63}\Z")


def judge(step: Step, where: str, _library: Library, problems: Problems) -> None:
    """Adds the problems of a call."""
    call = step.flow
    if not FLOW_NAME.match(flow_name(call.flow)):
        problems.add(f"{where}.flow", f"'{call.flow}' must be the name of a flow, as code-review or parts/spine")
    if not 0 <= call.band <= len(BANDS):
        problems.add(f"{where}.band", "must be BAND_SMALL, BAND_MEDIUM or BAND_LARGE")
    if "band" in call.inputs:
        problems.add(f"{where}.inputs.band", "stands beside the inputs: write band below flow")
    try:
        json_format.MessageToDict(call.inputs)
    except ValueError:
        problems.add(f"{where}.inputs", "holds a number that JSON does not have: NaN or infinite")


def templates(_step: Step) -> Iterator[tuple[str, str]]:
    """Yields nothing: inputs are expressions."""
    yield from ()


def expressions(step: Step) -> Iterator[Expression]:
    """Yields the inputs that are expressions."""
    for name, value in step.flow.inputs.fields.items():
        if value.WhichOneof("kind") == "string_value":
            yield Expression(f"inputs.{name}", value.string_value, "any")


def plan(step: Step, _planning: Planning) -> SubFlowPlan:
    """Returns the plan of a call."""
    return SubFlowPlan(flow_name(step.flow.flow))


def band_of(step: Step, called: flow_service_pb2.Flow, band: str) -> str:
    """Returns the band of a sub-run: what the step says, or the caller's, or the nearest below it that the flow knows."""
    if step.flow.band:
        return BANDS[step.flow.band - 1]
    known = known_bands(called)
    below = [one for one in known if BANDS.index(one) <= BANDS.index(band)]
    return (below or known[:1])[-1]


def flow_name(name: str) -> str:
    """Returns the full name of a flow, as `flows/parts/spine`."""
    return name if name.startswith("flows/") else f"flows/{name}"
