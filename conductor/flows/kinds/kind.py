"""What every kind of step answers about its part of a flow. A module of this folder is one answer to all of it (see `table`).

The shape of that part is the message in `protos/`: reading and writing it is the same for every kind (see `language.shape`).
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
        """Adds what is wrong with the kind's part of a step, which stands at `where`."""

    def templates(self, step: Step) -> Iterator[tuple[str, str]]:
        """Returns the templates of that part, each after the name of its field."""

    def plan(self, step: Step, clocks: Clocks) -> WorkPlan:
        """Returns that part as the core's plan. The step is good."""
