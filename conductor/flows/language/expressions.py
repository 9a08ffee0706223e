"""CEL: the language of guards. Checked against what a step may see, evaluated over JSON values.

Checking uses message types that are made for the flow. So `steps.risk.text` for a step called `risks`, or a text compared with a
number, is found before a run. Evaluating uses plain maps, because inputs may be any JSON. Only worker processes and the CLI's
`validate` call this, because an expression may be costly (rule 5).
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, struct_pb2, wrappers_pb2

from conductor.flows.language.presence import with_safe_presence
from conductor.flows.language.schemas import is_open
from conductor.flows.language.value_types import (
    ERROR_FIELDS,
    RESULT_FIELDS,
    RUN_FIELDS,
    SIGNALS,
    SNAPSHOT_FIELDS,
    ValueTypes,
)
from servicekit.errors import there_are

if TYPE_CHECKING:
    from conductor.flows.kinds.kind import Wanted
    from conductor.flows.language.value_types import Holders

MAX_EXPRESSION_CHARACTERS = 4000
_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
# The checker adds these to an error that it has reported already.
_ECHO = "expression of type '*error*'"
_AT_LAUNCH = {
    "undeclared reference to 'steps": "no step has a result at launch: only skip_when can look at steps",
    "undeclared reference to 'run'": "a run has no name at launch: only skip_when and templates can look at it",
    "undeclared reference to 'snapshot": "the snapshot is pinned after launch: only skip_when and templates can look at it",
}
_OF_OTHER_LANGUAGES = {
    "Syntax error: token recognition error at: '= '": "a single or a third '=' is no operator of CEL: compare with ==",
    "Syntax error: mismatched input 'and'": "'and' is no operator of CEL: write &&",
    "Syntax error: mismatched input 'or'": "'or' is no operator of CEL: write ||",
    "undeclared reference to 'not'": "'not' is no operator of CEL: write !",
    "undeclared reference to 'len'": "'len' is no function of CEL: write size()",
    "Syntax error: mismatched input '}'": "an expression is CEL, and stands without {{ }}",
}
_UNKNOWN = re.compile(r"undefined field '([^']*)' not found in struct 'flow\.(\w+)'")


class ExpressionError(Exception):
    """The expression cannot be decided."""


class ExpressionTypes:
    """The names for expressions of one flow: inputs with their types, the given steps, and names of an item or a round.

    `outputs` has what is known of the steps' outputs, as schemas.
    """

    def __init__(
        self,
        input_schema: Mapping[str, Any],
        steps: Iterable[str] | None,
        names: Mapping[str, str] | None = None,
        outputs: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        pool = descriptor_pool.DescriptorPool()
        for descriptor in (struct_pb2.DESCRIPTOR, wrappers_pb2.DESCRIPTOR):
            known = descriptor_pb2.FileDescriptorProto()
            descriptor.CopyToProto(known)
            pool.Add(known)
        types = ValueTypes(input_schema, steps or (), outputs or {})
        pool.Add(types.file)
        self._holders = types.holders
        anything = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
        variables = {"inputs": anything if is_open(input_schema) else cel.Type("flow.Inputs"), "band": cel.Type.STRING}
        if steps is not None:
            variables |= {
                "steps": cel.Type("flow.Steps"),
                "snapshot": cel.Type("flow.Snapshot"),
                "run": cel.Type("flow.Run"),
            }
        for name, kind in (names or {}).items():
            variables[name] = {"int": cel.Type.INT, "signals": cel.Type("flow.Signals")}.get(kind, cel.Type.DYN)
        self._environment = cel.NewEnv(descriptor_pool=pool, variables=variables)

    def problems(self, expression: str, wanted: "Wanted" = "guard") -> list[tuple[int, str]]:
        """Returns the problems of a guard, or of an expression for a list or for any value, with lines inside the expression."""
        if len(expression) > MAX_EXPRESSION_CHARACTERS:
            return [(1, f"is longer than {MAX_EXPRESSION_CHARACTERS} characters")]
        try:
            kind = self._environment.compile(expression).return_type()
        except RuntimeError as error:
            return _errors_in(str(error), self._holders)
        name = kind.name().lower()
        if wanted == "any" or kind == cel.Type.DYN or name == "google.protobuf.value":
            return []
        if wanted == "list":
            return [] if name.startswith("list") else [(1, f"must be a list, but is {name}")]
        return [] if kind == cel.Type.BOOL else [(1, f"must be true or false, but is {name}")]


def decide(expression: str, values: Mapping[str, Any]) -> bool:
    """Returns the value of a guard over `inputs`, `band` and, where given, `steps` and the names of an item or a round.

    What a step's output lacks is null, and so is the output of a step without a result. Where a guard cannot be decided with that,
    such an output has no members. Raises ExpressionError.
    """
    value = evaluate(expression, values)
    if not isinstance(value, bool):
        raise ExpressionError(f"'{expression.strip()}': it is {_named(value)}, not true or false")
    return value


def list_items(expression: str, values: Mapping[str, Any]) -> list[Any]:
    """Returns the list that an expression over the same values is, as JSON values. Raises ExpressionError."""
    value = evaluate(expression, values)
    if not isinstance(value, list):
        raise ExpressionError(f"'{expression.strip()}': it is {_named(value)}, not a list")
    return value


def evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    """Returns the JSON value of an expression over the same values. Raises ExpressionError."""
    meant = with_safe_presence(expression)
    try:
        return _evaluated(expression, meant, values)
    except ExpressionError:
        silent = [step for step, result in values.get("steps", {}).items() if result["output"] is None]
        if not silent:
            raise
        steps = {**values["steps"], **{step: {**values["steps"][step], "output": {}} for step in silent}}
        bare = with_safe_presence(_without_null_tests(expression, silent))
        return _evaluated(expression, bare, {**values, "steps": steps})


def _evaluated(expression: str, meant: str, values: Mapping[str, Any]) -> Any:
    variables = {name: _type_of(name) for name in values}
    try:
        value = cel.NewEnv(variables=variables).compile(meant).eval(data=dict(values))
    except RuntimeError as error:
        raise ExpressionError("; ".join(text for _, text in _errors_in(str(error)))) from error
    if value.type() == cel.Type.ERROR:  # an error is a value in CEL; its text says what is missing
        raise ExpressionError(f"'{expression.strip()}': {value.value()}")
    plain = value.plain_value()
    if foreign := next(_foreign_to_json(plain), ""):
        raise ExpressionError(
            f"'{expression.strip()}': it holds {foreign}, which JSON does not have. string() makes it a text"
        )
    return plain


def _foreign_to_json(value: Any) -> Iterator[str]:
    """Yields the names of the values inside one that no JSON can hold, such as bytes and times."""
    match value:
        case None | bool() | int() | str():
            return
        case float():
            if not math.isfinite(value):
                yield "an infinite number, or none at all"
        case dict():
            for member in value.values():
                yield from _foreign_to_json(member)
        case list():
            for member in value:
                yield from _foreign_to_json(member)
        case _:
            yield _named(value)


def _type_of(name: str) -> cel.Type:
    match name:
        case "band":
            return cel.Type.STRING
        case "inputs" | "steps":
            return cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
        case "index" | "round":
            return cel.Type.INT
        case _:
            return cel.Type.DYN


def _named(value: Any) -> str:
    names = {
        bool: "true or false",
        str: "a text",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
        bytearray: "bytes",
        timedelta: "a duration",
        datetime: "a time",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _without_null_tests(expression: str, silent: Iterable[str]) -> str:
    """Returns the expression with the truth in place of comparing the output of a step without a result with null."""
    names = "|".join(map(re.escape, silent))
    output = rf"(?<![\w.])steps\s*\.\s*(?:{names})\s*\.\s*output"
    compared = re.compile(rf"{output}\s*(?P<is>[=!]=)\s*null\b|\bnull\s*(?P<was>[=!]=)\s*{output}\b(?!\s*[.\[(])")
    return compared.sub(lambda match: "true" if (match["is"] or match["was"]) == "==" else "false", expression)


def _errors_in(message: str, holders: "Holders | None" = None) -> list[tuple[int, str]]:
    """Returns the checker's errors with their lines, without its drawings and repetitions."""
    placed = _PLACE.findall(message)
    if placed and (hint := _hint(placed[0][2])):  # what the checker says after that is about the same place
        placed = [(*placed[0][:2], hint)]
    found = [(int(line), f"{_reword(text, holders or {})} (column {column})") for line, column, text in placed]
    return (
        [(line, text) for line, text in found if not text.startswith(_ECHO)] or found or [(1, message.splitlines()[0])]
    )


def _hint(text: str) -> str:
    """Returns what to write in place of an operator or a function of another language; empty where nothing is known."""
    return next((hint for beginning, hint in _OF_OTHER_LANGUAGES.items() if text.startswith(beginning)), "")


def _reword(text: str, holders: "Holders") -> str:
    """Returns an error of the checker in the words of a flow, where it is about our own types."""
    for beginning, words in _AT_LAUNCH.items():
        if text.startswith(beginning):
            return words
    if "'_[_]' applied to '(flow." in text:
        return "members are read as inputs.NAME and steps.ID, without brackets"
    if not (match := _UNKNOWN.search(text)):
        return text.replace(" (in container '')", "")
    name, holder = match.groups()
    told = {
        "Steps": f"step '{name}' is not among what it needs",
        "Inputs": f"there is no input '{name}'",
        "Signals": f"there is no signal '{name}'; there are {', '.join(SIGNALS)}",
        "Run": f"a run has no '{name}'; it has {', '.join(RUN_FIELDS)}",
        "Snapshot": f"the snapshot has no '{name}'; it has {', '.join(SNAPSHOT_FIELDS)}",
        "Error": f"an error has no '{name}'; it has {', '.join(ERROR_FIELDS)}",
        **{each: f"{what} has no '{name}'{there_are(name, known)}" for each, (what, known) in holders.items()},
    }
    return told.get(holder, f"a step has no '{name}'; it has {', '.join(RESULT_FIELDS)}")
