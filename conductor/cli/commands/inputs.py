"""Turns `--input NAME=VALUE` into values of JSON. The flow's schema decides which type a text has; nothing is guessed beside it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from conductor.cli.text.failure import CommandError

# Inputs travel as doubles: a value with a whole number beyond this travels as text, which the conductor reads by the schema.
LARGEST_EXACT = 2**53 - 1
_SCALARS = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object", type(None): "null"}
_EVERY = frozenset({*_SCALARS.values(), "number"})


class _InexactError(ValueError):
    """A number that no double holds."""


class _LongWholeError(ValueError):
    """A whole number that a double would change."""


def typed_inputs(given: Iterable[tuple[str, str]], schema: Mapping[str, Any]) -> dict[str, object]:
    """Returns each input as the schema types it; raises a CommandError for a number that no double holds."""
    found = dict[str, object]()
    for name, text in given:
        try:
            found[name] = typed(text, _types_of_input(name, schema))
        except _InexactError as error:
            lines = ("a string keeps every digit: declare it so in the flow's input_schema",)
            raise CommandError(f"--input {name}: {error}", lines=lines) from None
    return found


def typed(text: str, types: frozenset[str] = _EVERY) -> object:
    """Returns the value that a text means where these types of JSON schema are allowed.

    Where a string is allowed as well, only a number that prints back identically is a number: `1.10` is a version, `1e5` may be
    a digest.
    """
    if types == {"string"}:
        return text
    takes_text = "string" in types
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_int=_whole, parse_float=_real)
    except _InexactError:
        if takes_text:
            return text
        raise
    except (ValueError, RecursionError):  # a long whole number, too
        return text
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not _kinds(value) & types or (takes_text and is_number and json.dumps(value) != text):
        return text
    return value


def _kinds(value: object) -> frozenset[str]:
    if isinstance(value, float):
        return frozenset({"number", "integer"} if value.is_integer() else {"number"})
    kind = _SCALARS[type(value)]
    return frozenset({kind, "number"} if kind == "integer" else {kind})


def _whole(digits: str) -> int:
    # Thousands of digits are not even read: Python refuses that, too.
    if len(digits.lstrip("-")) > len(str(LARGEST_EXACT)) or abs(int(digits)) > LARGEST_EXACT:
        raise _LongWholeError
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if abs(value) == float("inf"):
        raise _InexactError(f"{digits[:40]} is beyond what a number can hold")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(name)  # JSON knows no NaN and no Infinity


def _types_of_input(name: str, schema: Mapping[str, Any]) -> frozenset[str]:
    if name in {"question", "band"}:
        return frozenset({"string"})
    declared = schema.get("properties")
    if isinstance(declared, Mapping) and name in declared:
        return _types(declared[name], schema)
    patterns = schema.get("patternProperties")
    others = [*(patterns.values() if isinstance(patterns, Mapping) else ()), schema.get("additionalProperties")]
    taken = [_types(each, schema) for each in others if isinstance(each, Mapping)]
    return frozenset().union(*taken) if taken else _EVERY


def _types(schema: Any, root: Mapping[str, Any], known: dict[int, frozenset[str]] | None = None) -> frozenset[str]:
    """Returns the types that a schema allows, as far as it names them; all where it names none.

    Each part is read once: parts may refer to each other many times, and in circles.
    """
    known = {} if known is None else known
    if not isinstance(schema, Mapping):
        return _EVERY
    if id(schema) not in known:
        known[id(schema)] = _EVERY
        known[id(schema)] = _named_types(schema, root, known)
    return known[id(schema)]


def _named_types(
    schema: Mapping[str, Any], root: Mapping[str, Any], known: dict[int, frozenset[str]]
) -> frozenset[str]:
    named = schema.get("type", _EVERY)
    found = frozenset({named} if isinstance(named, str) else named)
    found |= {"integer"} & frozenset({"integer"} if "number" in found else ())
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        found &= frozenset().union(*map(_kinds, values))
    if isinstance(schema.get("$ref"), str):
        found &= _types(_part(root, schema["$ref"]), root, known)
    for each in schema.get("allOf") or ():
        found &= _types(each, root, known)
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            found &= frozenset().union(*(_types(each, root, known) for each in schema[choice]))
    return found or _EVERY


def _part(root: Any, reference: str) -> Any:
    """Returns the part of a schema that a reference such as `#/$defs/sha` leads to; None where it is of another form."""
    if not reference.startswith("#/"):
        return root if reference == "#" else None
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        root = root.get(name) if isinstance(root, Mapping) else None
    return root
