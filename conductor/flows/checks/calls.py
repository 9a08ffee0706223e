"""Judges the calls between flows: each name, the inputs that are asked for, circles and depth. Pure, and compiles nothing.

Which flows there are is known to the catalogue, and to the CLI's `validate`; so they ask this, after each flow was judged alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from google.protobuf import json_format

from conductor.flows.kinds.flow import flow_name
from conductor.flows.language.nesting import inner_steps
from conductor.flows.language.schemas import is_open
from conductor.v1 import flow_service_pb2
from servicekit.errors import there_are

Flow = flow_service_pb2.Flow

MAX_LEVELS = 4
PARTS = "flows/parts/"


@dataclass(slots=True)
class Calls:
    """Every flow that a flow calls, itself or through others, and the problems of its calls: pairs of field and text."""

    flows: dict[str, Flow] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    seen: set[tuple[str, int]] = field(default_factory=set)  # flows without trouble, at the levels where they were met


def judge_calls(flow: Flow, known: Mapping[str, Flow | None]) -> Calls:
    """Returns the calls of a good flow. `known` holds all flows by name; None for one that has problems of its own."""
    calls = Calls()
    for where, step in _calling(flow):
        name = flow_name(step.flow.flow)
        called = known.get(name)
        if called is None:
            calls.problems.append((f"{where}.flow", _missing(name, known)))
            continue
        calls.problems.extend((f"{where}.{part}", text) for part, text in _judge_inputs(step, called))
        if why := _find_trouble(name, (flow.name,), known, calls):
            calls.problems.append((f"{where}.flow", why))
    return calls


def list_calls(flow: Flow) -> tuple[str, ...]:
    """Returns the fields of a flow's calls."""
    return tuple(where for where, _ in _calling(flow))


def _calling(flow: Flow) -> Iterator[tuple[str, Flow.Step]]:
    yield from _calling_in(flow.steps, "steps")


def _calling_in(steps: Iterable[Flow.Step], where: str) -> Iterator[tuple[str, Flow.Step]]:
    for index, step in enumerate(steps):
        kind = step.WhichOneof("work")
        if kind == "flow":
            yield f"{where}[{index}].flow", step
        yield from _calling_in(inner_steps(step), f"{where}[{index}].{kind}.steps")


def _find_trouble(name: str, trail: tuple[str, ...], known: Mapping[str, Flow | None], calls: Calls) -> str:
    """Returns why a flow cannot be called after those of `trail`; empty where it can. Notes it, and what it calls."""
    if (name, len(trail)) in calls.seen:
        return ""
    path = " -> ".join((*trail, name))
    flow, why = known.get(name), ""
    if name in trail:
        why = f"flows call one another in a circle: {path}"
    elif len(trail) >= MAX_LEVELS:
        why = f"flows call one another more than {MAX_LEVELS} levels deep: {path}"
    elif flow is None:
        why = f"{path}: {_missing(name, known)}"
    if why or flow is None:
        return why
    calls.seen.add((name, len(trail)))
    calls.flows[name] = flow
    return next((why for _, step in _calling(flow) if (why := _find_below(step, (*trail, name), known, calls))), "")


def _find_below(step: Flow.Step, trail: tuple[str, ...], known: Mapping[str, Flow | None], calls: Calls) -> str:
    """Returns what is wrong with a call of a called flow; empty where nothing is."""
    name = flow_name(step.flow.flow)
    if why := _find_trouble(name, trail, known, calls):
        return why
    return next(
        (f"{' -> '.join(trail)}, step {step.id}: {text}" for _, text in _judge_inputs(step, calls.flows[name])), ""
    )


def _missing(name: str, known: Mapping[str, Flow | None]) -> str:
    short = name.removeprefix("flows/")
    if name in known:
        return f"the flow '{short}' has problems of its own: see  conductor flows validate"
    return f"there is no flow '{short}'{there_are(short, sorted(one.removeprefix('flows/') for one in known))}"


def _judge_inputs(step: Flow.Step, called: Flow) -> Iterator[tuple[str, str]]:
    call, schema = step.flow, json_format.MessageToDict(called.input_schema)
    given = set(call.inputs.fields) - {"question"}
    properties = schema.get("properties") or {}
    if not is_open(schema):
        for name in sorted(given - properties.keys()):
            there = ", ".join(sorted(properties)) or "none but question"
            yield f"inputs.{name}", f"{called.name} has no input '{name}'; it has {there}"
    for name in schema.get("required") or ():
        if name not in given and "default" not in (properties.get(name) or {}):
            yield "inputs", f"{called.name} asks for the input '{name}'"
    if call.band and called.bands and call.band not in called.bands:
        bands = ", ".join(flow_service_pb2.Band.Name(band) for band in called.bands)
        yield "band", f"{called.name} knows {bands} only"
