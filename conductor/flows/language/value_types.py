"""Message types for what the expressions of one flow may name: its inputs, and the values of its steps.

CEL checks expressions against them, so a name that a schema does not know is found before a run. A member that may be absent reads
as null, so its type admits that.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import descriptor_pb2

from conductor.flows.language.output_schemas import closed_members

_Field = descriptor_pb2.FieldDescriptorProto
_VALUE = ".google.protobuf.Value"
RESULT_FIELDS = ("state", "text", "output", "findings", "items", "attempts", "error")
ERROR_FIELDS = ("reason", "message")
_RESULT_TYPES = ("string", "string", "", "list", "list", "integer", ".flow.Error")
# What is counted in a snapshot (see `snapshots.signals`).
SIGNALS = {
    "files": "integer",
    "bytes": "integer",
    "source_files": "integer",
    "languages": "list",
    "changed_files": "integer",
    "scope": "string",
}
SNAPSHOT_FIELDS = {
    **dict.fromkeys(("commit", "base", "scope"), "string"),
    **dict.fromkeys(("paths", "changes", "notes", "base_guidelines"), "list"),
    "left_out": "integer",
}
RUN_FIELDS = ("id", "flow")
# By the name of a message type: what it is for people, and its members.
Holders = dict[str, tuple[str, list[str]]]
_NULLABLE = {"string": "StringValue", "boolean": "BoolValue", "integer": "Int64Value"}
MAX_TYPE_DEPTH = 8
# Of one set of types: what is beyond is not checked, so that a guard costs no more than this.
MAX_MEMBERS = 2000


class ValueTypes:
    """Message types for the inputs of a flow and the values of its steps. `holders` names them for people."""

    def __init__(
        self, inputs: Mapping[str, Any], steps: Iterable[str], outputs: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.holders: Holders = {}
        self._members = 0
        self.file = descriptor_pb2.FileDescriptorProto(name="flow.proto", package="flow", syntax="proto3")
        self.file.dependency.extend(("google/protobuf/struct.proto", "google/protobuf/wrappers.proto"))
        named = self.file.message_type.add(name="Inputs")
        for name, kind in input_types(inputs).items():
            _add(named, name, kind)
        signals = self.file.message_type.add(name="Signals")
        for name, kind in SIGNALS.items():
            _add(signals, name, kind)
        run = self.file.message_type.add(name="Run")
        for name in RUN_FIELDS:
            _add(run, name, "string")
        snapshot = self.file.message_type.add(name="Snapshot")
        for name, kind in SNAPSHOT_FIELDS.items():
            _add(snapshot, name, kind)
        error = self.file.message_type.add(name="Error")
        for name in ERROR_FIELDS:
            _add(error, name, "string")
        results = self.file.message_type.add(name="Steps")
        for step in dict.fromkeys(steps):
            _add(results, step, f".flow.{self._add_result(step, outputs.get(step, {}))}")

    def _add_result(self, step: str, schema: Mapping[str, Any]) -> str:
        name = f"Result{len(self.file.message_type)}"
        result = self.file.message_type.add(name=name)
        for field, kind in zip(RESULT_FIELDS, _RESULT_TYPES, strict=True):
            if field == "output" and schema:
                self._add_member(result, field, schema, f"the output of step '{step}'", 0)
            else:
                _add(result, field, kind)
        return name

    def _add_member(
        self, owner: descriptor_pb2.DescriptorProto, name: str, schema: Mapping[str, Any], where: str, depth: int
    ) -> None:
        """Adds a member of an output, with the type that its schema tells; any type where it tells none."""
        if schema.get("type") == "array":
            items = schema.get("items")
            kind = self._message_type(items if isinstance(items, Mapping) else {}, f"an entry of {where}", depth + 1)
            _add(owner, name, "list", kind)
        else:
            _add(owner, name, self._message_type(schema, where, depth + 1))

    def _message_type(self, schema: Mapping[str, Any], where: str, depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, str) and kind in _NULLABLE:
            return f".google.protobuf.{_NULLABLE[kind]}"
        members = closed_members(schema)
        if members is None or depth > MAX_TYPE_DEPTH or self._members + len(members) > MAX_MEMBERS:
            return _VALUE
        self._members += len(members) + 1
        name = f"Output{len(self.file.message_type)}"
        message = self.file.message_type.add(name=name)
        self.holders[name] = where, list(members)
        for member, inner in members.items():
            self._add_member(message, member, inner, f"'{member}' of {where}", depth)
        return f".flow.{name}"


def input_types(schema: Mapping[str, Any]) -> dict[str, str]:
    """Returns the inputs that expressions and templates may name, with their JSON types; empty for any type."""
    properties = schema.get("properties")
    members = properties.items() if isinstance(properties, Mapping) else ()
    kinds = {str(name): member.get("type") if isinstance(member, Mapping) else "" for name, member in members}
    known = {name: kind if isinstance(kind, str) else "" for name, kind in kinds.items()}
    return {**known, "question": "string", "band": "string"}


def _add(message: descriptor_pb2.DescriptorProto, name: str, kind: str, entries: str = _VALUE) -> None:
    """Adds a field; `entries` is the type of a list's.

    Whole numbers stay dynamic: `number` admits 2 and 2.5, and CEL distinguishes int from double.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return  # reached as inputs["such a name"] by templates only
    simple = {"string": _Field.TYPE_STRING, "boolean": _Field.TYPE_BOOL, "integer": _Field.TYPE_INT64}
    message.field.add(
        name=name,
        number=len(message.field) + 1,
        label=_Field.LABEL_REPEATED if kind in ("list", "array") else _Field.LABEL_OPTIONAL,
        type=simple.get(kind, _Field.TYPE_MESSAGE),
        type_name=None if kind in simple else kind if kind.startswith(".") else entries,
    )
