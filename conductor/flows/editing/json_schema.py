"""Makes the JSON schema of flow files, for editors, from the descriptors of `conductor.v1.Flow` and the comments beside them.

It says what `language.shape` says, field by field, so that a typo is underlined while it is written. What needs more than a look at
one place, such as a step that is not there, only `conductor validate` finds.
"""

from typing import Any

from google.protobuf import descriptor as protobuf

from conductor.core.model.step_path import NAME
from conductor.flows.editing.comments import comment_of
from conductor.flows.language.counts import most_entries
from conductor.flows.language.spellings import DURATION, DURATION_PATTERN, short_names
from conductor.flows.library.revision import OUTPUT_ONLY
from conductor.v1 import flow_service_pb2

Field = protobuf.FieldDescriptor
# Editors know this draft best.
DRAFT = "http://json-schema.org/draft-07/schema#"
_FLOW, _STEP = flow_service_pb2.Flow.DESCRIPTOR, flow_service_pb2.Flow.Step.DESCRIPTOR
_PER_BAND = flow_service_pb2.PerBand.DESCRIPTOR
_REQUIRED = {_FLOW: ["steps"], _STEP: ["id"]}
_PATTERNS = {_STEP.fields_by_name["id"]: f"^{NAME}$"}
_TYPES = {
    Field.CPPTYPE_STRING: "string",
    Field.CPPTYPE_BOOL: "boolean",
    Field.CPPTYPE_INT32: "integer",
    Field.CPPTYPE_INT64: "integer",
    Field.CPPTYPE_DOUBLE: "number",
}
_DURATION = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["90s", "2m", "1h30m"]}
_WELL_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Duration": {"allOf": [{"$ref": "#/definitions/Duration"}]},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
}


def flow_schema() -> dict[str, Any]:
    """Returns the schema."""
    definitions: dict[str, Any] = {"Duration": _DURATION}
    _define(_FLOW, definitions)
    head = {"$schema": DRAFT, "title": "A flow of Conductor", "$ref": f"#/definitions/{_name(_FLOW)}"}
    return {**head, "definitions": dict(sorted(definitions.items()))}


def _define(message: protobuf.Descriptor, definitions: dict[str, Any]) -> None:
    if _name(message) in definitions:
        return
    properties: dict[str, Any] = {}
    definitions[_name(message)] = made = {
        "description": comment_of(message),
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    for field in message.fields:
        if message is _FLOW and field.name in OUTPUT_ONLY:
            continue
        properties[field.name] = {"description": _described(field), **_value(field, definitions)}
        if field.json_name != field.name:
            properties[field.json_name] = {"$ref": f"#/definitions/{_name(message)}/properties/{field.name}"}
    if message in _REQUIRED:
        made["required"] = _REQUIRED[message]
    choices = [group for group in message.oneofs if not _is_synthetic(group)]
    if choices:
        made["allOf"] = [{"oneOf": [_given(field) for field in group.fields]} for group in choices]


def _given(field: Field) -> dict[str, Any]:
    """Returns the schema of an object that has a field, in one of its spellings."""
    names = dict.fromkeys((field.name, field.json_name))
    return {"anyOf": [{"required": [name]} for name in names]} if len(names) > 1 else {"required": [field.name]}


def _value(field: Field, definitions: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        return {"type": "object", "additionalProperties": _single(value, definitions), **_most(field, "Properties")}
    if field.is_repeated:
        return {"type": "array", "items": _single(field, definitions), **_most(field, "Items")}
    return _single(field, definitions)


def _most(field: Field, what: str) -> dict[str, int]:
    most = most_entries(field)
    return {f"max{what}": most} if most else {}


def _single(field: Field, definitions: dict[str, Any]) -> dict[str, Any]:
    if field.enum_type is not None:
        names = list(short_names(field.enum_type))
        return {"enum": [short for _, short in names] + [full for full, _ in names]}
    if field.message_type is None:
        pattern = _PATTERNS.get(field)
        return {"type": _TYPES[field.cpp_type], **({"pattern": pattern} if pattern else {})}
    if (known := _WELL_KNOWN.get(field.message_type.full_name)) is not None:
        return known
    _define(field.message_type, definitions)
    reference = {"$ref": f"#/definitions/{_name(field.message_type)}"}
    if field.message_type is _PER_BAND:  # a bare number fills all bands
        return {"anyOf": [{"type": "integer"}, reference]}
    # Keywords beside a `$ref` are ignored in this draft.
    return {"allOf": [reference]}


def _described(field: Field) -> str:
    """Returns the comment of a field; of an enumeration, with those of its values."""
    text = comment_of(field)
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.Duration":
        return f"{text} Written as {DURATION}."
    if field.enum_type is None:
        return text
    full_names = dict(short_names(field.enum_type))
    values = [value for value in field.enum_type.values if value.name in full_names]
    return "\n".join([text, *(f"- {full_names[value.name]}: {comment_of(value)}" for value in values)])


def _is_synthetic(group: protobuf.OneofDescriptor) -> bool:
    return len(group.fields) == 1 and group.name == f"_{group.fields[0].name}"


def _name(message: protobuf.Descriptor) -> str:
    return message.full_name.removeprefix("conductor.v1.")
