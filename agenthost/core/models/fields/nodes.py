"""Judges a value of a request by a list of its fields. A list node knows no other fields than its own, by their exact spelling.

A list of values is judged value by value, and a plain value (text, number, true, null) passes wherever no address is expected.
Pure: what is found is collected, by name, and `gateway_rules` decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

URL_SOURCES = "url_sources"  # pictures and documents that the provider is to fetch
_NOTHING: tuple[Any, ...] = (None, False, [], {})


@dataclass(slots=True)
class Found:
    """What a request holds beyond its list: tools of the provider, and fields by their paths, without those that are open."""

    open_fields: frozenset[str] = frozenset()
    tools: set[str] = field(default_factory=set)
    fields: list[str] = field(default_factory=list)

    def add_field(self, path: str) -> None:
        """Notes a field that is not listed, unless the operator opened it."""
        if path not in self.open_fields:
            self.fields.append(path)


class Node(Protocol):
    """A place in a request, which judges the value that stands there."""

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds what this place does not allow."""


class Anything:
    """A place for data that the endpoint only hands on: a schema, what a tool was called with."""

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Allows everything."""


class Plain:
    """A place for a plain value or a list of them."""

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds the fields of an object."""
        if isinstance(value, Mapping):
            for name in value:
                found.add_field(f"{path}.{name}")
        elif isinstance(value, list):
            for each in value:
                self.judge(each, path, found)


class Data(Plain):
    """A place where the data stands itself, and no address from which the provider would fetch it."""

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds an address as a source."""
        if isinstance(value, str) and value[:5].lower() != "data:":
            found.tools.add(URL_SOURCES)
        super().judge(value, path, found)


class Inline(Plain):
    """A place for data in letters, where some endpoints take an address as well."""

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds an address as a source: data in letters holds no colon, and endpoints overlook spaces before and in an address."""
        if isinstance(value, str) and ":" in value and value[:5].lower() != "data:":
            found.tools.add(URL_SOURCES)
        super().judge(value, path, found)


@dataclass(frozen=True, slots=True)
class Provided:
    """A place that asks the provider for more than thinking, by the name of a tool."""

    tool: str

    def judge(self, value: Any, path: str, found: Found) -> None:  # noqa: ARG002 - as the others
        """Adds the tool, unless the place is empty."""
        if value not in _NOTHING:
            found.tools.add(self.tool)


@dataclass(frozen=True, slots=True)
class Called:
    """A place whose value names tools of the provider in a way of its own. `inner` judges the value as well."""

    names: Callable[[Any], frozenset[str]]
    inner: Node | None = None

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds the tools, and what the inner place does not allow."""
        found.tools.update(self.names(value))
        if self.inner:
            self.inner.judge(value, path, found)


@dataclass(frozen=True, slots=True)
class Each:
    """A place for an object with any names, and values of one kind."""

    node: Node

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Judges each value."""
        for each in value.values() if isinstance(value, Mapping) else [value]:
            self.node.judge(each, path, found)


class Fields:
    """A place for objects with these fields. `scalar` judges what is no object there."""

    def __init__(self, known: Mapping[str, Node], scalar: Node | None = None) -> None:
        self.known, self._scalar = dict(known), scalar

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds fields that are not listed, and judges the others."""
        if isinstance(value, Mapping):
            for name, inner in value.items():
                place = f"{path}.{name}" if path else name
                if node := self.known.get(name):
                    node.judge(inner, place, found)
                else:
                    found.add_field(place)
        elif isinstance(value, list):
            for each in value:
                self.judge(each, path, found)
        elif self._scalar:
            self._scalar.judge(value, path, found)


class Kinds:
    """A place for objects that say in `type` what they are. One without a type is of the kind `usual`; `scalar` judges the rest."""

    def __init__(self, known: Mapping[str, Node], usual: str, scalar: Node | None = None) -> None:
        self.known, self._usual, self._scalar = dict(known), usual, scalar

    def judge(self, value: Any, path: str, found: Found) -> None:
        """Adds kinds that are not listed, and judges the others by their own lists."""
        if isinstance(value, list):
            for each in value:
                self.judge(each, path, found)
        elif isinstance(value, Mapping):
            kind = value.get("type", self._usual)
            if node := self.known.get(kind) if isinstance(kind, str) else None:
                node.judge(value, path, found)
            else:
                found.add_field(f"{path}.type={kind}")
        elif self._scalar:
            self._scalar.judge(value, path, found)


PLAIN, ANY, DATA, INLINE = Plain(), Anything(), Data(), Inline()


def plain(names: str) -> dict[str, Node]:
    """Returns a list of fields with plain values."""
    return dict.fromkeys(names.split(), PLAIN)


def anything(names: str) -> dict[str, Node]:
    """Returns a list of fields that hold data."""
    return dict.fromkeys(names.split(), ANY)
