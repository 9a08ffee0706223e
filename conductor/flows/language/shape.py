"""Reads a flow file, field by field, as proto-JSON of `conductor.v1.Flow`.

json_format stops at the first problem and does not say where it is. So each field is tried alone: a wrong field becomes a problem
with its line and is left out, and the others make a message that `rules` can judge. This module knows names and types only.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor as protobuf
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message

from conductor.flows.language.counts import excess
from conductor.flows.language.document import Node
from conductor.flows.language.problems import Problems
from conductor.flows.language.spellings import DURATION, duration, enum_value, is_unclear, short_names, unclear_values
from conductor.v1 import flow_service_pb2
from servicekit.errors import there_are

Field = protobuf.FieldDescriptor
_WORDS = {
    Field.CPPTYPE_STRING: "a string",
    Field.CPPTYPE_BOOL: "true or false",
    Field.CPPTYPE_INT32: "a whole number",
    Field.CPPTYPE_INT64: "a whole number",
}
# What to write in place of a list, where one stands to reason.
_LIST_HINTS = {"conductor.v1.ForeachWork.items": """: write it as CEL in quotes, as '["a", "b"]'"""}
_DURATION, _STRUCT = "google.protobuf.Duration", "google.protobuf.Struct"
_PER_BAND = flow_service_pb2.PerBand.DESCRIPTOR.full_name
_WELL_KNOWN = {_DURATION: DURATION, _STRUCT: "an object"}
_WHOLE_NUMBERS = (Field.CPPTYPE_INT32, Field.CPPTYPE_INT64)


class Shape:
    """Reads one document into a message, collecting problems and the place of every field under its proto name."""

    def __init__(self, problems: Problems, nodes: dict[str, Node]) -> None:
        self._problems = problems
        self._nodes = nodes

    def read(self, node: Node, descriptor: protobuf.Descriptor) -> Message:
        """Returns the message, as far as the document is right."""
        message = message_factory.GetMessageClass(descriptor)()
        self._nodes[""] = node
        json_format.ParseDict(self._message(node, descriptor, ""), message)
        return message

    def _message(self, node: Node, descriptor: protobuf.Descriptor, path: str) -> dict[str, Any]:
        if not isinstance(node.value, dict):
            self._problems.add(path, f"must be an object, not {_named(node)}")
            return {}
        fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
        result: dict[str, Any] = {}
        taken: dict[str, str] = {}
        for key, member in node.value.items():
            inner = f"{path}.{key}" if path else key
            field = fields.get(key)
            if field is None:
                known = [field.name for field in descriptor.fields]
                self._problems.add_at(member.line, inner, f"is not a field{there_are(key, known)}")
                continue
            inner = f"{path}.{field.name}" if path else field.name
            self._nodes[inner] = member
            if member.value is None or self._is_taken(field, taken, member, inner):
                continue
            value = self._field(member, field, inner)
            if value is not None:
                result[field.name] = value
        return result

    def _is_taken(self, field: Field, taken: dict[str, str], node: Node, path: str) -> bool:
        """Returns whether the place is taken by the same field in its other spelling, or by another field of its oneof."""
        group = field.containing_oneof.full_name if field.containing_oneof else field.full_name
        if first := taken.get(group):
            self._problems.add_at(node.line, path, f"stands beside '{first}': remove one of the two")
            return True
        taken[group] = field.name
        return False

    def _field(self, node: Node, field: Field, path: str) -> Any:
        if _is_map(field):
            return self._map(node, field, path)
        if not field.is_repeated:
            return self._single(node, field, path)
        if not isinstance(node.value, list):
            self._problems.add(path, f"must be a list, not {_named(node)}")
            return None
        if text := excess(field, len(node.value)):
            self._problems.add_excess(path, text)
            return None
        return [value for value in self._items(node.value, field, path) if value is not None]

    def _items(self, nodes: list[Node], field: Field, path: str) -> Iterator[Any]:
        for index, node in enumerate(nodes):
            inner = f"{path}[{index}]"
            self._nodes[inner] = node
            yield self._single(node, field, inner)

    def _map(self, node: Node, field: Field, path: str) -> dict[str, Any] | None:
        if not isinstance(node.value, dict):
            self._problems.add(path, f"must be an object, not {_named(node)}")
            return None
        if text := excess(field, len(node.value)):
            self._problems.add_excess(path, text)
            return None
        value_field = field.message_type.fields_by_name["value"] if field.message_type else field
        result = {}
        for key, member in node.value.items():
            self._nodes[f"{path}.{key}"] = member
            value = self._single(member, value_field, f"{path}.{key}")
            if value is not None:
                result[key] = value
        return result

    def _single(self, node: Node, field: Field, path: str) -> Any:
        """Returns one value as json_format takes it; None where it is wrong, which is then added as a problem."""
        if field.message_type is not None and field.message_type.full_name == _PER_BAND and not _is_object(node):
            return self._per_band(node, path)
        if field.message_type is not None and field.message_type.full_name not in _WELL_KNOWN:
            return self._message(node, field.message_type, path)
        if field.message_type is not None and field.message_type.full_name == _STRUCT and self._is_unclear(node, path):
            return None
        value = _spelled(node, field)
        if value is not None and _fits(value, field):
            return value
        hint = _LIST_HINTS.get(field.full_name, "") if isinstance(node.value, list) else ""
        self._problems.add(path, f"must be {_wanted(field)}, not {_named(node)}{hint}")
        return None

    def _per_band(self, node: Node, path: str) -> dict[str, Any] | None:
        """Returns a bare number as the number of each band."""
        if isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) < 2**31:
            return dict.fromkeys(("small", "medium", "large"), node.value)
        self._problems.add(
            path, f"must be a whole number, or an object with small, medium and large, not {_named(node)}"
        )
        return None

    def _is_unclear(self, node: Node, path: str) -> bool:
        """Adds the values of an object that cannot mean one thing only; returns whether there are any."""
        found = list(unclear_values(node, path))
        for line, where, text in found:
            self._problems.add_at(line, where, text)
        return bool(found)


def _is_object(node: Node) -> bool:
    return isinstance(node.value, dict)


def _spelled(node: Node, field: Field) -> Any:
    """Returns the value as proto-JSON writes it; None for a text that is a whole number in some languages only."""
    value = node.plain()
    if field.enum_type is not None:
        return enum_value(value, field.enum_type)
    if field.message_type is not None:
        return duration(value) if field.message_type.full_name == _DURATION else value
    if field.cpp_type in _WHOLE_NUMBERS and isinstance(value, str) and is_unclear(value):
        return None
    return value


def _fits(value: Any, field: Field) -> bool:
    """Returns whether json_format takes the value in this field."""
    if field.enum_type is not None and isinstance(value, int):
        return not isinstance(value, bool) and value in field.enum_type.values_by_number
    assert field.containing_type is not None  # noqa: S101 - no extensions here; this is for the type checker
    owner = message_factory.GetMessageClass(field.containing_type)()
    try:
        json_format.ParseDict({field.name: [value] if field.is_repeated else value}, owner)
    except (json_format.ParseError, ValueError):
        return False
    return True


def _is_map(field: Field) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _wanted(field: Field) -> str:
    if field.enum_type is not None:
        full, short = zip(*short_names(field.enum_type), strict=True)
        return f"one of {', '.join(full)} (short: {', '.join(short)})"
    if field.message_type is not None:
        return _WELL_KNOWN[field.message_type.full_name]
    return _WORDS.get(field.cpp_type, "a number")


def _named(node: Node) -> str:
    match node.value:
        case None:
            return "nothing"
        case dict():
            return "an object"
        case list():
            return "a list"
        case bool():
            return "true" if node.value else "false"
        case str() as text:
            return f"'{text[:40]}'" if text else "an empty string"
        case number:
            return f"the number {(node.source or str(number))[:40]}"
