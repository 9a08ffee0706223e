"""The interface of every kind of step in a flow. A module of this folder implements it (see `table`).

The shape of a kind's part is its message in `protos/`, which is read in the same way for every kind (see `language.shape`).
"""

from collections.abc import Iterator
from typing import Protocol

from conductor.config import Clocks
from conductor.core.model.plan import WorkPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.problems import Problems
from conductor.v1 import flow_service_pb2

Step = flow_service_pb2.Flow.Step


class Kind(Protocol):
    """One kind of step."""

    def judge(self, step: Step, where: str, library: Library, problems: Problems) -> None:
        """Adds the problems of the kind's part of a step, whose field is `where`."""

    def templates(self, step: Step) -> Iterator[tuple[str, str]]:
        """Yields the templates of that part, each after the name of its field."""

    def plan(self, step: Step, clocks: Clocks) -> WorkPlan:
        """Returns the core's plan of a good step."""
