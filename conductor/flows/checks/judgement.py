"""The result of judging a flow, and the names that it may use. Only values, so that the service need not load the judging code."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from conductor.errors import FlowProblem
from conductor.v1 import flow_service_pb2


@dataclass(frozen=True, slots=True)
class Library:
    """The names of the personas and contracts that a flow may use. `unusable` are names of files, and why they cannot serve.

    `tables` are its tables of rules: the name, where it was found, and the text, which is judged with a flow that names it.
    """

    personas: frozenset[str] = frozenset()
    contracts: frozenset[str] = frozenset()
    unusable: frozenset[tuple[str, str]] = frozenset()
    tables: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A good flow, with its name and revision, or None with its problems.

    `draft` is the flow as far as it could be read, with the lines of its calls' fields: those are judged later (see `calls`).
    """

    flow: flow_service_pb2.Flow | None
    problems: tuple[FlowProblem, ...]
    draft: flow_service_pb2.Flow | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    def line_of(self, name: str) -> int:
        """Returns the line of a call's field; of its parent, where the field is missing."""
        while name and name not in self.lines:
            name = name[: max(name.rfind("."), 0)]
        return self.lines.get(name, 0)
