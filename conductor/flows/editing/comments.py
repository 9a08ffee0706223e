"""Reads the comments of `protos/` from the shipped descriptors. Editors show them, and docs/ has them in tables."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import EnumValueDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorSet

_FILE = "conductor/v1/flow_service.proto"
# Numbers of the lists in a file's and a message's descriptor, by which a comment's place is written.
_MESSAGES, _ENUMS, _FIELDS, _NESTED, _NESTED_ENUMS, _VALUES = 4, 5, 2, 3, 4, 2


@cache
def comments() -> Mapping[str, str]:
    """Returns the comment of every message, field, enumeration and value of a flow, by its full name."""
    package = import_module("conductor.v1").__file__ or ""
    data = Path(package).with_name("descriptors.binpb").read_bytes()
    file = next(each for each in FileDescriptorSet.FromString(data).file if each.name == _FILE)
    written = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
    named: list[tuple[str, tuple[int, ...]]] = []
    for index, message in enumerate(file.message_type):
        named += _in_message(message, f"{file.package}.{message.name}", (_MESSAGES, index))
    for index, kind in enumerate(file.enum_type):
        named += _in_enum(kind, f"{file.package}.{kind.name}", (_ENUMS, index))
    return {name: _joined(written.get(path, "")) for name, path in named}


def _in_message(message: DescriptorProto, name: str, path: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield name, path
    for index, field in enumerate(message.field):
        yield f"{name}.{field.name}", (*path, _FIELDS, index)
    for index, inner in enumerate(message.nested_type):
        yield from _in_message(inner, f"{name}.{inner.name}", (*path, _NESTED, index))
    for index, kind in enumerate(message.enum_type):
        yield from _in_enum(kind, f"{name}.{kind.name}", (*path, _NESTED_ENUMS, index))


def _in_enum(kind: EnumDescriptorProto, name: str, path: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield name, path
    for index, value in enumerate(kind.value):
        yield f"{name}.{value.name}", (*path, _VALUES, index)


def comment_of(descriptor: Any) -> str:
    """Returns the comment of a message, a field or an enumeration; of a value of one."""
    if isinstance(descriptor, EnumValueDescriptor):
        return comments().get(f"{descriptor.type.full_name}.{descriptor.name}", "")
    return comments().get(descriptor.full_name, "")


def _joined(comment: str) -> str:
    """Returns a comment with a line for each paragraph."""
    paragraphs = comment.strip().split("\n\n")
    return "\n\n".join(" ".join(line.strip() for line in each.splitlines()) for each in paragraphs)
