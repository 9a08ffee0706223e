"""Rules for the form that a step declares for its result, of every kind of step that has one. Adds problems."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format

from conductor.core.model.plan import OnInvalid
from conductor.core.numbers import as_written
from conductor.flows.commands import command_output
from conductor.flows.facts import facts_output
from conductor.flows.language.output_schemas import list_path, output_problems
from conductor.flows.language.problems import Problems
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
OutputSpec = flow_service_pb2.OutputSpec

MAX_MIN_ITEMS = 500
MAX_SCHEMAS_BYTES = 256 * 1024  # of all steps of a flow together: judging them takes time
FINDINGS: dict[str, Any] = {
    "type": "object",
    "properties": {"findings": {"type": "array"}, "left_out": {}, "notes": {}},
}

_ON_INVALID = {OutputSpec.ON_INVALID_CONTINUE: OnInvalid.CONTINUE, OutputSpec.ON_INVALID_GATE: OnInvalid.GATE}


def output_spec(step: Flow.Step) -> OutputSpec | None:
    """Returns the form that a step declares for its result; None where it declares none."""
    match step.WhichOneof("work"):
        case "agent" if step.agent.HasField("output"):
            return step.agent.output
        case "facts":
            return facts_output(step.facts)
        case "command":
            return command_output()
        case "fold" if step.fold.HasField("output"):
            return step.fold.output
        case _:
            return None


def output_schema(step: Flow.Step) -> dict[str, Any]:
    """Returns what is known of a step's `output`, as a JSON schema; an empty one where anything may stand there."""
    spec = output_spec(step)
    if spec is None:
        return {}
    if spec.findings:
        return FINDINGS
    try:
        schema: dict[str, Any] = as_written(json_format.MessageToDict(spec.schema))
    except ValueError:
        return {}
    return schema


def on_invalid(step: Flow.Step) -> OnInvalid:
    """Returns what happens to the run when the result does not have its form."""
    spec = output_spec(step)
    return _ON_INVALID.get(spec.on_invalid, OnInvalid.FAIL) if spec else OnInvalid.FAIL


def schemas_size(steps: Iterable[Flow.Step]) -> int:
    """Returns the size of the schemas of steps' outputs, in bytes."""
    specs = (output_spec(step) for step in steps)
    return sum(spec.schema.ByteSize() for spec in specs if spec is not None)


def has_schema(step: Flow.Step) -> bool:
    """Returns whether the result of a step has a schema."""
    spec = output_spec(step)
    return spec is not None and spec.HasField("schema")


def judge_output(spec: OutputSpec, where: str, problems: Problems) -> None:
    """Adds the problems of an `output`, whose field is `where`."""
    if spec.on_invalid not in OutputSpec.OnInvalid.values():
        problems.add(f"{where}.on_invalid", "must be ON_INVALID_FAIL, ON_INVALID_CONTINUE or ON_INVALID_GATE")
    if not 0 <= spec.min_items <= MAX_MIN_ITEMS:
        problems.add(f"{where}.min_items", f"must be 1 to {MAX_MIN_ITEMS}, not {spec.min_items}")
    match spec.WhichOneof("form"):
        case "findings":
            if not spec.findings:
                problems.add(f"{where}.findings", "must be true, or not be there")
        case "schema":
            _judge_schema(spec, where, problems)
        case _:
            problems.add(where, "an output has a form: give it 'schema' or 'findings: true'")


def _judge_schema(spec: OutputSpec, where: str, problems: Problems) -> None:
    try:
        schema = json_format.MessageToDict(spec.schema)
    except ValueError:
        problems.add(f"{where}.schema", "holds a number that JSON does not have: NaN or infinite")
        return
    found = output_problems(schema)
    for text in found:
        problems.add(f"{where}.schema", text)
    if not found and spec.min_items and list_path(schema) is None:
        problems.add(f"{where}.min_items", "counts a list, and this schema describes none, or more than one")
