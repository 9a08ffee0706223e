"""A step that runs steps round after round."""

from collections.abc import Iterator, Mapping

from conductor.core.model.plan import LoopPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.bands import for_band, judge_per_band
from conductor.flows.language.problems import Problems

MAX_ROUNDS = 20
DEFAULT_MAX_ROUNDS = 3


def judge(step: Step, where: str, _library: Library, problems: Problems) -> None:
    """Adds the problems of a loop."""
    if not step.loop.until.strip():
        problems.add(f"{where}.until", "must say when the loop is done, as steps.ID.output.done")
    judge_per_band(step.loop.max_rounds, f"{where}.max_rounds", MAX_ROUNDS, problems)


def templates(_step: Step) -> Iterator[tuple[str, str]]:
    """Yields nothing."""
    yield from ()


def expressions(step: Step) -> Iterator[Expression]:
    """Yields the end of the loop, which looks at the steps of a round."""
    if step.loop.until.strip():
        yield Expression("until", step.loop.until, sees_inner=True)


def names(_step: Step) -> Mapping[str, str]:
    """Returns the names of a round and of the one before it."""
    return {"round": "int", "previous": "any"}


def plan(step: Step, planning: Planning) -> LoopPlan:
    """Returns the plan of a loop."""
    return LoopPlan(planning.inner(), for_band(step.loop.max_rounds, planning.band) or DEFAULT_MAX_ROUNDS)
