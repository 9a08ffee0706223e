"""Converts each input to the type that the flow's schema declares.

A client may not know the schema: a command line has text only, and a Struct only doubles. So text becomes the declared number,
word, list or object, where it is written as JSON writes it, and a plain value becomes the declared text. A whole number that a
double may have changed is refused. What fits no declared type stays as it is, and the schema judges it.
"""

import json
import math
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from conductor.core.numbers import MAX_EXACT, wrong_numbers

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,19})\Z")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?\Z")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
_NAMES: Mapping[type, str] = {str: "string", bool: "boolean", type(None): "null", list: "array", dict: "object"}
MAX_REFERENCES = 20
MAX_WRONG = 50


def typed_inputs(
    schema: Mapping[str, Any], extras: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Returns the inputs with their declared types, and the numbers among them that are out of bounds or may be changed."""
    types = _Types(schema)
    texts = {name: types.as_text(value, _member(schema, name)) for name, value in extras.items()}
    typed: dict[str, Any] = types.typed(texts, schema, "inputs")
    outside = [text.split(" ", 1) for text in islice(wrong_numbers(typed, "inputs"), MAX_WRONG)]
    return typed, (*types.inexact[:MAX_WRONG], *((where, text) for where, text in outside))


class _Types:
    """Reads types in one schema, through references to its own parts."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self.inexact: list[tuple[str, str]] = []
        self._chosen: dict[int, frozenset[str]] = {}

    def as_text(self, value: Any, schema: Any) -> Any:
        """Returns an input as the text that the schema wants, where it is a plain value of no other type that is admitted."""
        kinds = self._kinds(self._followed(schema))
        if "string" not in kinds or _kinds_of(value) & kinds or isinstance(value, (list, dict)):
            return value
        whole = isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT
        return json.dumps(int(value) if whole else value)

    def typed(self, value: Any, schema: Any, where: str) -> Any:
        """Returns the value as this part of the schema declares it."""
        part = self._followed(schema)
        kinds = self._kinds(part)
        if kinds and not _kinds_of(value) & kinds:
            value = _read(value, kinds) if isinstance(value, str) else value
        match value:
            case float() if value.is_integer() and ("integer" in kinds or "number" not in kinds):
                return self._whole(value, where)
            case int() if "number" in kinds and "integer" not in kinds and abs(value) <= MAX_EXACT:
                return value if isinstance(value, bool) else float(value)
            case dict():
                return {
                    name: self.typed(member, _member(part, name), f"{where}.{name}") for name, member in value.items()
                }
            case list():
                return [self.typed(member, _item(part, at), f"{where}[{at}]") for at, member in enumerate(value)]
            case _:
                return value

    def _whole(self, value: float, where: str) -> int | float:
        if abs(value) <= MAX_EXACT:
            return int(value)
        text = f"is {value!r}, a whole number that a double may have changed; above {MAX_EXACT} send it as a string"
        self.inexact.append((where, text))
        return value

    def _kinds(self, part: Mapping[str, Any]) -> frozenset[str]:
        """Returns the types that a part admits; empty where it does not say."""
        declared = part.get("type")
        if isinstance(declared, str):
            return frozenset({declared})
        if isinstance(declared, list):
            return frozenset(kind for kind in declared if isinstance(kind, str))
        if "const" in part:
            return frozenset(_kinds_of(part["const"]))
        if isinstance(values := part.get("enum"), list):
            return frozenset(kind for value in values for kind in _kinds_of(value))
        for word in ("anyOf", "oneOf"):
            if isinstance(choices := part.get(word), list):
                return self._kinds_among(part, choices)
        return frozenset()

    def _kinds_among(self, part: Mapping[str, Any], choices: list[Any]) -> frozenset[str]:
        """Returns the types of all choices, each part read once: parts may refer to each other many times, and in circles."""
        if id(part) not in self._chosen:
            self._chosen[id(part)] = frozenset()
            each = [self._kinds(self._followed(choice)) for choice in choices]
            self._chosen[id(part)] = frozenset().union(*each) if all(each) else frozenset()
        return self._chosen[id(part)]

    def _followed(self, schema: Any) -> Mapping[str, Any]:
        for _ in range(MAX_REFERENCES):
            if not isinstance(schema, Mapping):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str) or "type" in schema:
                return schema
            schema = self._target(reference)
        return {}

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            return self._root if reference == "#" else {}
        target: Any = self._root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        return target


def _member(part: Mapping[str, Any], name: str) -> Any:
    properties = part.get("properties")
    declared = properties.get(name) if isinstance(properties, Mapping) else None
    return part.get("additionalProperties") if declared is None else declared


def _item(part: Mapping[str, Any], index: int) -> Any:
    items = part.get("items")
    first = items if isinstance(items, list) else part.get("prefixItems")  # a list of items until draft 2019-09
    if isinstance(first, list) and index < len(first):
        return first[index]
    return part.get("additionalItems") if isinstance(items, list) else items


def _kinds_of(value: Any) -> set[str]:
    """Returns the words by which a schema may name the value's type."""
    match value:
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"integer", "number"} if value.is_integer() else {"number"}
        case _:
            return {_NAMES.get(type(value), "")}


def _read(text: str, kinds: frozenset[str]) -> Any:
    if _WHOLE.match(text) and kinds & {"integer", "number"}:
        return int(text)
    if "number" in kinds and _NUMBER.match(text) and math.isfinite(number := float(text)):
        return number
    if text in _WORDS and ("null" if text == "null" else "boolean") in kinds:
        return _WORDS[text]
    if kinds & {"array", "object"} and text.lstrip()[:1] in {"[", "{"}:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return value if _kinds_of(value) & kinds else text
    return text
