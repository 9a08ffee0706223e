"""The interface of every kind of step in a flow. A module of this folder implements it (see `table`).

The shape of a kind's part is its message in `protos/`, which is read in the same way for every kind (see `language.shape`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from conductor.config import Clocks
from conductor.core.model.plan import StepPlan, WorkPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.language.problems import Problems
from conductor.v1 import flow_service_pb2

Step = flow_service_pb2.Flow.Step
# What the value of an expression must be; a guard's is true or false.
Wanted = Literal["guard", "list", "any"]


@dataclass(frozen=True, slots=True)
class Planning:
    """What a plan depends on beside its step. `inner` plans the steps inside it; their ids and needs stay names."""

    clocks: Clocks
    band: str
    inner: Callable[[], tuple[StepPlan, ...]] = tuple


class Kind(Protocol):
    """One kind of step."""

    def judge(self, step: Step, where: str, library: Library, problems: Problems) -> None:
        """Adds the problems of the kind's part of a step, whose field is `where`."""

    def templates(self, step: Step) -> Iterator[tuple[str, str]]:
        """Yields the templates of that part, each after the name of its field."""

    def expressions(self, step: Step) -> Iterator["Expression"]:
        """Yields the expressions of that part."""

    def plan(self, step: Step, planning: Planning) -> WorkPlan:
        """Returns the core's plan of a good step."""


class Expression(NamedTuple):
    """An expression of a step: its field, its text, and what it must be. Some may name the steps inside."""

    field: str
    text: str
    wanted: Wanted = "guard"
    sees_inner: bool = False


class Holder(Kind, Protocol):
    """A kind whose steps hold other steps."""

    def names(self, step: Step) -> Mapping[str, str]:
        """Returns the names that the steps inside may use beside the common ones, with their types: `int` or `any`."""
