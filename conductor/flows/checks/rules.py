"""Rules for flows of the right shape: ids, needs, limits, names, guards, templates, schema. Each rule adds problems.

No rule stops at the first problem or depends on another rule. Rules compile an author's expressions, so they run in a worker
process or in the CLI, never in the service's own process.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

from google.protobuf import json_format

from conductor.core.model.step_path import is_step_name
from conductor.flows.checks.clock_rules import judge_run_clock
from conductor.flows.checks.graph import ancestors, find_cycle
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.problems import Problems
from conductor.flows.defaults import with_defaults
from conductor.flows.kinds.agent import judge_defaults
from conductor.flows.kinds.table import KINDS
from conductor.flows.language.expressions import ExpressionTypes, input_types
from conductor.flows.language.schemas import is_open, schema_problems
from conductor.flows.language.templates import template_problems
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow

MAX_TITLE_CHARACTERS = 200
MAX_DESCRIPTION_CHARACTERS = 4000
MAX_PRIORITY = 100
FLOW_NAME = re.compile(r"flows/[a-z][a-z0-9_-]{0,63}\Z")
# A number in a message may be outside of its enumeration.
_BANDS = frozenset(flow_service_pb2.Band.values()) - {flow_service_pb2.BAND_UNSPECIFIED}


def judge(flow: Flow, library: Library, problems: Problems) -> None:
    """Adds every problem of a flow whose shape is right and whose lists are short enough (see `counts`)."""
    _judge_head(flow, problems)
    judge_defaults(flow, library, problems)
    flow = with_defaults(flow)
    _judge_graph(flow, problems)
    schema = _read_schema(flow, problems)
    seen = ancestors(flow)
    inputs = None if is_open(schema) else input_types(schema)
    guards = ExpressionTypes(schema, None)
    for index, step in enumerate(flow.steps):
        where = f"steps[{index}]"
        for line, text in guards.problems(step.exclude_when) if step.exclude_when else ():
            problems.add(f"{where}.exclude_when", text, line_in_text=line)
        if step.skip_when:
            for line, text in ExpressionTypes(schema, sorted(seen[step.id])).problems(step.skip_when):
                problems.add(f"{where}.skip_when", text, line_in_text=line)
        _judge_work(step, where, library, problems)
        for name, template in _templates(step, where):
            for line, text in template_problems(template, inputs=inputs, steps=seen[step.id]):
                problems.add(name, text, line_in_text=line)
    if flow.report_template:
        every = {step.id for step in flow.steps}
        for line, text in template_problems(flow.report_template, inputs=inputs, steps=every, names=("report",)):
            problems.add("report_template", text, line_in_text=line)


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
            "name", "must be flows/NAME, where NAME is a-z, 0-9, _ and -, begins with a letter, at most 64 characters"
        )
    problems.add_if_longer("title", flow.title, MAX_TITLE_CHARACTERS)
    if "\n" in flow.title.strip():
        problems.add("title", "must be one line")
    problems.add_if_longer("description", flow.description, MAX_DESCRIPTION_CHARACTERS)
    judge_run_clock(flow, problems)
    for index, band in enumerate(flow.bands):
        if band not in _BANDS or band in flow.bands[:index]:
            problems.add(f"bands[{index}]", "must be BAND_SMALL, BAND_MEDIUM or BAND_LARGE, each once")


def _judge_graph(flow: Flow, problems: Problems) -> None:
    if not flow.steps:
        problems.add("steps", "a flow has at least one step")
    first: dict[str, int] = {}
    for index, step in enumerate(flow.steps):
        if not is_step_name(step.id):
            problems.add(
                f"steps[{index}].id",
                f"'{step.id}' must be a-z, 0-9 and _, begin with a letter, and have at most 40 characters",
            )
        elif first.setdefault(step.id, index) != index:
            problems.add(f"steps[{index}].id", f"'{step.id}' is the id of steps[{first[step.id]}] already")
    _judge_needs(flow, first, problems)
    if cycle := find_cycle(flow):
        index = first.get(cycle[0], 0)
        problems.add(f"steps[{index}].needs", f"steps need one another in a circle: {' -> '.join((*cycle, cycle[0]))}")


def _judge_needs(flow: Flow, known: Collection[str], problems: Problems) -> None:
    for index, step in enumerate(flow.steps):
        for position, need in enumerate(step.needs):
            where = f"steps[{index}].needs[{position}]"
            if need not in known:
                problems.add(where, f"there is no step '{need}'; there are {', '.join(known)}")
            elif need in step.needs[:position]:
                problems.add(where, f"'{need}' stands here twice")


def _judge_work(step: Flow.Step, where: str, library: Library, problems: Problems) -> None:
    problems.add_if_longer(f"{where}.label", step.label, MAX_TITLE_CHARACTERS)
    if not -MAX_PRIORITY <= step.priority <= MAX_PRIORITY:
        problems.add(f"{where}.priority", f"must be -{MAX_PRIORITY} to {MAX_PRIORITY}, not {step.priority}")
    if step.on_failure not in Flow.OnFailure.values():
        problems.add(f"{where}.on_failure", "must be ON_FAILURE_FAIL or ON_FAILURE_CONTINUE")
    kind = step.WhichOneof("work")
    if kind is None:
        problems.add(where, f"a step does something: give it {' or '.join(map(repr, KINDS))}")
    else:
        KINDS[kind].judge(step, f"{where}.{kind}", library, problems)


def _templates(step: Flow.Step, where: str) -> Iterator[tuple[str, str]]:
    kind = step.WhichOneof("work")
    for field, template in KINDS[kind].templates(step) if kind else ():
        yield f"{where}.{kind}.{field}", template
