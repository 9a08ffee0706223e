"""The shipped descriptors of a service, by file and by symbol, with their comments.

Only a question of reflection, or of health by a service's name, needs them, so an idle service has not loaded them (2 MB).
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

ALPHA = "grpc.reflection.v1alpha"
STABLE = "grpc.reflection.v1"


class DescriptorLibrary:
    """Files by name and by the symbols that they define."""

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        self._files = {file.name: file for file in files}
        self._symbols = {symbol: file.name for file in self._files.values() for symbol in _symbols(file)}
        self._extensions = {
            (field.extendee.lstrip("."), field.number): file.name
            for file in self._files.values()
            for field in file.extension
        }

    @classmethod
    def load(cls, service: str) -> "DescriptorLibrary":
        """Reads the descriptors that protos/generate.py wrote for `service`, and adds health and reflection themselves."""
        package = import_module(f"{service}.v1").__file__ or ""
        path = Path(package).with_name("descriptors.binpb")
        shipped = FileDescriptorSet.FromString(path.read_bytes())
        health, alpha = FileDescriptorProto(), FileDescriptorProto()
        health_pb2.DESCRIPTOR.CopyToProto(health)
        reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
        return cls([*shipped.file, health, alpha, _renamed(alpha, ALPHA, STABLE)])

    @property
    def files(self) -> tuple[FileDescriptorProto, ...]:
        """Returns all files."""
        return tuple(self._files.values())

    @property
    def services(self) -> tuple[str, ...]:
        """Returns the full names of all services."""
        names = (f"{file.package}.{service.name}" for file in self._files.values() for service in file.service)
        return tuple(sorted(names))

    def file_named(self, name: str) -> tuple[bytes, ...] | None:
        """Returns a file, serialized, and after it all that it imports."""
        if name not in self._files:
            return None
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current in self._files and current not in found:
                found[current] = None
                waiting.extend(self._files[current].dependency)
        return tuple(self._files[each].SerializeToString() for each in found)

    def file_defining(self, symbol: str) -> tuple[bytes, ...] | None:
        """Returns the file that defines a service, method, message, field, enum or value."""
        return self.file_named(self._symbols.get(symbol.lstrip("."), ""))

    def file_extending(self, extendee: str, number: int) -> tuple[bytes, ...] | None:
        """Returns the file with an extension."""
        return self.file_named(self._extensions.get((extendee, number), ""))

    def extension_numbers(self, extendee: str) -> list[int] | None:
        """Returns the numbers of a message's extensions; None where there is no such message."""
        if extendee not in self._symbols:
            return None
        return sorted(number for name, number in self._extensions if name == extendee)


def _symbols(file: FileDescriptorProto) -> Iterable[str]:
    for message in file.message_type:
        yield from _message_symbols(message, file.package)
    for enum in file.enum_type:
        yield f"{file.package}.{enum.name}"
        yield from (f"{file.package}.{value.name}" for value in enum.value)
    for service in file.service:
        yield f"{file.package}.{service.name}"
        yield from (f"{file.package}.{service.name}.{method.name}" for method in service.method)
    yield from (f"{file.package}.{field.name}" for field in file.extension)


def _message_symbols(message: DescriptorProto, scope: str) -> Iterable[str]:
    name = f"{scope}.{message.name}"
    yield name
    yield from (f"{name}.{field.name}" for field in message.field)
    yield from (f"{name}.{oneof.name}" for oneof in message.oneof_decl)
    for enum in message.enum_type:
        yield f"{name}.{enum.name}"
        yield from (f"{name}.{value.name}" for value in enum.value)
    for inner in message.nested_type:
        yield from _message_symbols(inner, name)


def _renamed(file: FileDescriptorProto, before: str, after: str) -> FileDescriptorProto:
    renamed = FileDescriptorProto()
    renamed.CopyFrom(file)
    renamed.package = after
    renamed.ClearField("options")  # names of the old version for other languages, and "deprecated"
    renamed.name = file.name.replace("v1alpha", "v1")
    for message in renamed.message_type:
        for field in message.field:
            field.type_name = field.type_name.replace(before, after)
    for service in renamed.service:
        for method in service.method:
            method.input_type = method.input_type.replace(before, after)
            method.output_type = method.output_type.replace(before, after)
    return renamed
