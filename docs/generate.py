"""Writes what docs/ has from the protos: the JSON schema of flow files, and the page of their fields."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from conductor.flows.editing.comments import comment_of
from conductor.flows.editing.json_schema import flow_schema
from conductor.flows.language.spellings import short_names
from conductor.flows.library.revision import OUTPUT_ONLY
from conductor.v1 import flow_service_pb2

DOCS = Path(__file__).resolve().parent
HEAD = """# Fields of a flow

Every field that a flow file may have, from the comments of `protos/conductor/v1/flow_service.proto`. [flows.md](flows.md) explains
them. A duration is written `90s`, `2m` or `1h30m`; of an enumeration the short words are shown. This page is generated:
`./dev generate`.
"""
_WORDS = {
    FieldDescriptor.CPPTYPE_STRING: "text",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_INT32: "number",
    FieldDescriptor.CPPTYPE_INT64: "number",
}
_WELL_KNOWN = {
    "google.protobuf.Duration": "duration",
    "google.protobuf.Struct": "object",
    "google.protobuf.Value": "any value",
}


def generated() -> dict[Path, str]:
    """Returns the files with what they should hold."""
    schema = json.dumps(flow_schema(), indent=2, ensure_ascii=False) + "\n"
    return {DOCS / "flow.schema.json": schema, DOCS / "flow-fields.md": _fields_page()}


def _fields_page() -> str:
    sections = [_section(message) for message in _messages(flow_service_pb2.Flow.DESCRIPTOR, {})]
    return "\n".join([HEAD, *sections])


def _messages(message: Descriptor, seen: dict[Descriptor, None]) -> Iterator[Descriptor]:
    """Yields a message and those of its fields, each once, in the order of their fields."""
    if message in seen:
        return
    seen[message] = None
    yield message
    for field in _fields(message):
        if _is_ours(field):
            yield from _messages(field.message_type, seen)


def _fields(message: Descriptor) -> list[FieldDescriptor]:
    return [field for field in message.fields if field.name not in OUTPUT_ONLY]


def _is_ours(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.file.package == "conductor.v1" and not kind.GetOptions().map_entry


def _section(message: Descriptor) -> str:
    rows = [f"| `{field.name}` | {_type(field)} | {_cell(field)} |" for field in _fields(message)]
    head = comment_of(message)
    return "\n".join([f"## {message.name}", "", head, "", "| field | type | meaning |", "|---|---|---|", *rows, ""])


def _type(field: FieldDescriptor) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return f"{_type(field.message_type.fields_by_name['value'])} by name"
    one = _single(field)
    return f"list of {one}" if field.is_repeated else one


def _single(field: FieldDescriptor) -> str:
    if field.enum_type is not None:
        return " \\| ".join(f"`{short}`" for _, short in short_names(field.enum_type))
    if field.message_type is None:
        return _WORDS.get(field.cpp_type, "number")
    known: Any = _WELL_KNOWN.get(field.message_type.full_name)
    return known or f"[{field.message_type.name}](#{field.message_type.name.lower()})"


def _cell(field: FieldDescriptor) -> str:
    text = comment_of(field).replace("\n\n", " ").replace("|", "\\|")
    if field.enum_type is None:
        return text
    shorts = dict(short_names(field.enum_type))
    values = [
        f"`{shorts[value.name]}`: {comment_of(value)}" for value in field.enum_type.values if value.name in shorts
    ]
    return " ".join([text, *values]).replace("|", "\\|")


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text)
