"""A kind of step for tests: it adds its inner steps once for each item, a few items at a time. The core has no such kind yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pytest

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import (
    add_steps,
    are_children_settled,
    settle_step,
    start_step,
    succeed,
    why_stopped,
)
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.kinds.kind import reject_answer
from conductor.core.kinds.table import KINDS
from conductor.core.model.event_parts import FindingCounts
from conductor.core.model.events import StepCancelled, StepFailed
from conductor.core.model.plan import AgentPlan, FoldPlan, StepPlan
from conductor.core.model.states import Failure
from conductor.core.model.step_path import child_path, item_of
from conductor.core.model.work import Answer, Work


@dataclass(frozen=True)
class BranchPlan:
    """The number of items, how many run at once, and the inner steps, each of which needs the one before it."""

    kind: ClassVar[str] = "branch"
    merges_findings: ClassVar[bool] = False

    items: int
    at_once: int
    inner: tuple["AgentPlan | FoldPlan | BranchPlan", ...]


class Branching:
    """The kind of these steps."""

    def begin(self, draft: RunDraft, step: Step) -> None:
        start_step(draft, step)
        self.go_on(draft, step)

    def go_on(self, draft: RunDraft, step: Step) -> None:
        failure = None if why_stopped(draft.run, step) else self._add(draft, step)
        if are_children_settled(draft.run, step):
            if failure is not None:
                settle_step(draft, StepFailed(step.plan.id, failure))
            elif why := why_stopped(draft.run, step):
                settle_step(draft, StepCancelled(step.plan.id, why))
            else:
                succeed(draft, step, "", "", FindingCounts())

    def pending_work(self, _run: Run, _step: Step) -> Work | None:
        return None

    def take_answer(self, _draft: RunDraft, step: Step, answer: Answer) -> None:
        raise reject_answer(step, answer)

    def _add(self, draft: RunDraft, step: Step) -> Failure | None:
        plan = step.plan.work
        assert isinstance(plan, BranchPlan)
        while len(items_of(draft.run, step)) < plan.items and len(live_items(draft.run, step)) < plan.at_once:
            failure = add_steps(draft, inner_steps(step.plan, plan, len(items_of(draft.run, step))))
            if failure is not None:
                return failure
        return None


def inner_steps(outer: StepPlan, plan: BranchPlan, index: int) -> tuple[StepPlan, ...]:
    ids = [child_path(outer.id, index, f"n{number}") for number in range(len(plan.inner))]
    return tuple(
        StepPlan(name, work, needs=tuple(ids[number - 1 : number]), parent=outer.id, item="digest", index=index)  # type: ignore[arg-type]
        for number, (name, work) in enumerate(zip(ids, plan.inner, strict=True))
    )


def items_of(run: Run, step: Step) -> list[str]:
    """Returns the items that a step was given, in order."""
    return list(dict.fromkeys(item_of(child) for child in run.children.get(step.plan.id, ())))


def live_items(run: Run, step: Step) -> set[str]:
    """Returns the items of a step that have not ended."""
    return {item_of(child) for child in run.children.get(step.plan.id, ()) if not run.steps[child].is_settled}


@contextmanager
def with_branches() -> Iterator[None]:
    """Registers the kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, BranchPlan.kind, Branching())  # type: ignore[arg-type]
        yield


def branch(
    step: str, *needs: str, items: int = 2, at_once: int = 9, inner: tuple[object, ...] = (FoldPlan(),)
) -> StepPlan:
    """A step that branches."""
    return StepPlan(step, BranchPlan(items, at_once, inner), needs=needs)  # type: ignore[arg-type]
