"""The result of judging a flow, and the names that it may use. Only values, so that the service need not load the judging code."""

from dataclasses import dataclass

from conductor.errors import FlowProblem
from conductor.v1 import flow_service_pb2


@dataclass(frozen=True, slots=True)
class Library:
    """The names of the personas and contracts that a flow may use. `unusable` are names of files, and why they cannot serve."""

    personas: frozenset[str] = frozenset()
    contracts: frozenset[str] = frozenset()
    unusable: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A good flow, with its name and revision, or None with its problems."""

    flow: flow_service_pb2.Flow | None
    problems: tuple[FlowProblem, ...]
