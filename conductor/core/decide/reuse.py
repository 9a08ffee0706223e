"""Chooses which results of a settled run its retry keeps (see `StepReused`).

The rules, before the code:

- A step runs again if it failed or was cancelled, if a step that it needs runs again, or if the caller names it.
- A step that added others (an item or a round each) and did not end well runs again over the children that are kept: those of
  the same items. If it runs again for another reason, none of its children is kept, since they saw other results.
- Rounds follow each other: behind a round in which a step runs again, every round does.
- A caller who names a step keeps every other that let its run go on, also one that failed and was allowed to.
- A step that adds others and was not skipped is never kept itself: it goes through its items again, and finds each one settled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.events.event_parts import KeptResult
from conductor.core.model.plan import ForeachPlan, LoopPlan
from conductor.core.model.states import StepState
from conductor.core.model.step_path import is_child_path, item_of

_BADLY = frozenset({StepState.FAILED, StepState.CANCELLED})


class Again(StrEnum):
    """Says which steps of a run are to run again."""

    FAILED = "failed"
    STEP = "step"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Kept:
    """The steps whose results are kept, and those results that no step of the source took: its parents had not added it yet."""

    steps: tuple[Step, ...] = ()
    waiting: tuple[KeptResult, ...] = ()


def choose_kept(source: Run, again: Again, named: str = "") -> Kept:
    """Returns what the retry of a settled run keeps, in the flow's order. `named` is for STEP."""
    if again is Again.ALL:
        return Kept()
    roots = [step for step in source.steps.values() if step.plan.id == named or _is_root(source, step, again)]
    running, afresh = _list_running(source, roots, named)
    steps = tuple(
        step
        for name, step in source.steps.items()
        if name not in running and step.state is not StepState.EXCLUDED and not _adds_steps(step)
    )
    waiting = (kept for name, kept in source.kept.items() if name not in source.steps)
    return Kept(steps, tuple(kept for kept in waiting if afresh.isdisjoint(_list_parents(kept.step))))


def _is_root(source: Run, step: Step, again: Again) -> bool:
    """Returns whether a step runs again because of how it ended."""
    if not step.is_settled:  # of a run that a defect ended
        return True
    return step.state in _BADLY and (again is Again.FAILED or not _was_tolerated(source, step))


def _was_tolerated(source: Run, step: Step) -> bool:
    """Returns whether a run, or the parent, went on with a step that ended badly."""
    parent = source.steps.get(step.plan.parent)
    if parent is None:
        return step.state is StepState.FAILED and step.is_dispensable
    return parent.state not in _BADLY or _was_tolerated(source, parent)


def _adds_steps(step: Step) -> bool:
    # The guard of a skipped step is not asked again.
    return step.state is not StepState.SKIPPED and isinstance(step.plan.work, ForeachPlan | LoopPlan)


def _list_parents(child: str) -> Iterator[str]:
    """Yields the ids above a child that its parents would have."""
    while is_child_path(child):
        child = item_of(item_of(child))
        yield child


def _list_running(source: Run, roots: list[Step], named: str) -> tuple[set[str], set[str]]:
    """Returns every step that runs again (the roots, and what follows from them), and those of them that run afresh.

    A step that runs afresh takes its children along. Another one only goes through them once more.
    """
    running: set[str] = set()
    afresh: set[str] = set()
    waiting = [(step.plan.id, step.plan.id == named or not _adds_steps(step)) for step in roots]
    while waiting:
        name, is_afresh = waiting.pop()
        if name in (afresh if is_afresh else running):
            continue
        running.add(name)
        if is_afresh:
            afresh.add(name)
            waiting.extend((child, True) for child in source.children.get(name, ()))
        waiting.extend((after, True) for after in (*source.dependants.get(name, ()), *_list_later(source, name)))
        if parent := source.steps[name].plan.parent:
            waiting.append((parent, False))
    return running, afresh


def _list_later(source: Run, name: str) -> Iterator[str]:
    """Yields the steps of the rounds behind that of a step."""
    plan = source.steps[name].plan
    for sibling in source.children.get(plan.parent, ()) if plan.parent else ():
        if source.steps[sibling].plan.round > plan.round:
            yield sibling
