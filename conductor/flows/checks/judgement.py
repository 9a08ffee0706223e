"""What becomes of a flow that is judged, and what it may name. Values only, so that the service need not load what judges."""

from dataclasses import dataclass

from conductor.errors import FlowProblem
from conductor.v1 import flow_service_pb2


@dataclass(frozen=True, slots=True)
class Library:
    """The personas and contracts that a flow may name."""

    personas: frozenset[str] = frozenset()
    contracts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a flow: the flow itself, named and with its revision, or None, and its problems."""

    flow: flow_service_pb2.Flow | None
    problems: tuple[FlowProblem, ...]
