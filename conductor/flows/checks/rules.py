"""Rules for flows of the right shape: head, schema, report; those for steps are in `steps`. Each rule adds problems.

No rule stops at the first problem or depends on another rule. Rules compile an author's expressions, so they run in a worker
process or in the CLI, never in the service's own process.
"""

import re
from typing import Any

from google.protobuf import json_format

from conductor.flows.checks.band_choice import judge_bands
from conductor.flows.checks.clock_rules import judge_run_clock
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.output_rules import MAX_SCHEMAS_BYTES, output_schema, schemas_size
from conductor.flows.checks.steps import Scope, judge_steps
from conductor.flows.defaults import with_defaults
from conductor.flows.kinds.agent import judge_defaults
from conductor.flows.kinds.flow import FLOW_NAME
from conductor.flows.language.counts import MAX_STEPS
from conductor.flows.language.nesting import walk
from conductor.flows.language.problems import Problems
from conductor.flows.language.schemas import is_open, schema_problems
from conductor.flows.language.templates import template_problems
from conductor.flows.language.value_types import input_types
from conductor.v1 import flow_service_pb2
from servicekit.errors import shown

Flow = flow_service_pb2.Flow

MAX_PARALLEL = 1000
MAX_TITLE_CHARACTERS = 200
MAX_DESCRIPTION_CHARACTERS = 4000
_OUTPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


def judge(flow: Flow, library: Library, problems: Problems) -> None:
    """Adds every problem of a flow whose shape is right and whose lists are short enough (see `counts`)."""
    _judge_head(flow, problems)
    judge_defaults(flow, library, problems)
    flow = with_defaults(flow)
    schema = _read_schema(flow, problems)
    judge_bands(flow, schema, problems)
    inputs = None if is_open(schema) else input_types(schema)
    if not flow.steps:
        problems.add("steps", "a flow has at least one step")
    if (number := sum(1 for _ in walk(flow.steps))) > MAX_STEPS:
        problems.add("steps", f"has at most {MAX_STEPS} steps, those inside others included, this has {number}")
        return
    if (size := schemas_size(step for _, step in walk(flow.steps))) > MAX_SCHEMAS_BYTES:
        problems.add("steps", f"the schemas of their outputs have {size} bytes; the limit is {MAX_SCHEMAS_BYTES}")
        return
    scope = Scope(schema, library, problems)
    judge_steps(flow.steps, scope)
    _judge_outputs(flow, scope)
    if flow.report_template:
        every = {step.id for step in flow.steps}
        outputs = {step.id: output_schema(step) for step in flow.steps}
        for line, text in template_problems(
            flow.report_template, inputs=inputs, steps=every, outputs=outputs, names=("report",), budget=scope.budget
        ):
            problems.add("report_template", text, line_in_text=line)


def _judge_outputs(flow: Flow, scope: Scope) -> None:
    types = scope.beside(flow.steps).types({step.id for step in flow.steps}) if flow.outputs else None
    for name, expression in flow.outputs.items() if types else ():
        where = f"outputs.{name}"
        if not _OUTPUT_NAME.match(name):
            scope.problems.add(
                where, "must be a-z, A-Z, 0-9 and _, not begin with a digit, and have at most 64 characters"
            )
        for line, text in types.problems(expression, "any") if types else ():
            scope.problems.add(where, text, line_in_text=line)


def _read_schema(flow: Flow, problems: Problems) -> dict[str, Any]:
    try:
        schema: dict[str, Any] = json_format.MessageToDict(flow.input_schema)
    except ValueError:
        problems.add("input_schema", "holds a number that JSON does not have: NaN or infinite")
        return {}
    for text in schema_problems(schema):
        problems.add("input_schema", text)
    return schema


def _judge_head(flow: Flow, problems: Problems) -> None:
    if flow.name and not FLOW_NAME.match(flow.name):
        problems.add(
            "name",
            "must be flows/NAME, where NAME is a-z, 0-9, _ and -, begins with a letter, at most 64 characters, "
            f"not {shown(flow.name)}: rename the file, or give the flow a name",
        )
    problems.add_if_longer("title", flow.title, MAX_TITLE_CHARACTERS)
    if "\n" in flow.title.strip():
        problems.add("title", "must be one line")
    problems.add_if_longer("description", flow.description, MAX_DESCRIPTION_CHARACTERS)
    judge_run_clock(flow, problems)
    if not 0 <= flow.max_parallel <= MAX_PARALLEL:
        problems.add("max_parallel", f"must be 1 to {MAX_PARALLEL}, not {flow.max_parallel}")
