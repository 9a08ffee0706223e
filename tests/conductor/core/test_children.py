"""Children that a step adds while it runs, by a kind of step that only tests have: growth.md 2."""

from collections.abc import Iterator

import pytest

from conductor.core.model.conductor_state import Limits
from conductor.core.model.events import StepsAdded
from conductor.core.model.plan import AgentPlan, FoldPlan
from conductor.core.model.states import RunState
from conductor.core.model.work import WorkKind
from tests.conductor.core.bench import Bench, folds
from tests.conductor.core.branching import branch, with_branches


@pytest.fixture(autouse=True)
def _branches() -> Iterator[None]:
    with with_branches():
        yield


def test_items_are_added_a_few_at_a_time_and_the_next_one_when_one_has_ended() -> None:
    bench = Bench()
    bench.launch(branch("all", items=3, at_once=2), folds("after", "all"))
    assert bench.asked(WorkKind.FOLD) == ["all.0.n0", "all.1.n0"]

    bench.answer(WorkKind.FOLD, "all.1.n0")
    assert bench.asked(WorkKind.FOLD) == ["all.2.n0"]
    bench.answer(WorkKind.FOLD, "all.2.n0")
    assert bench.states()["after"] == "pending"
    bench.answer(WorkKind.FOLD, "all.0.n0")

    assert bench.states()["all"] == "succeeded"
    assert bench.asked(WorkKind.FOLD) == ["after"]


def test_an_item_has_its_place_and_its_steps_need_each_other_only() -> None:
    bench = Bench()
    bench.launch(branch("all", items=2, at_once=2, inner=(FoldPlan(), FoldPlan())))

    bench.answer(WorkKind.FOLD, "all.1.n0")

    assert bench.asked(WorkKind.FOLD) == ["all.1.n1"]
    assert bench.states()["all.0.n1"] == "pending"
    assert (bench.step("all.1.n1").plan.index, bench.step("all.1.n1").plan.item) == (1, "digest")


def test_children_count_against_the_steps_of_a_run() -> None:
    bench = Bench(Limits(steps_per_run=3))
    bench.launch(branch("all", items=3))

    bench.answer(WorkKind.FOLD, "all.0.n0")
    bench.answer(WorkKind.FOLD, "all.1.n0")
    bench.answer(WorkKind.REPORT)

    assert len(bench.run.steps) == 3
    assert bench.run.state is RunState.FAILED
    assert bench.run.failure is not None
    assert (bench.run.failure.reason, bench.run.failure.step) == ("TOO_MANY_STEPS", "all")


def test_a_step_goes_on_adding_after_a_restart_and_adds_no_item_twice() -> None:
    """Keeps I3."""
    bench = Bench()
    bench.launch(branch("all", items=3, at_once=1))

    for index in range(3):
        bench.crash()
        bench.take()
        bench.answer(WorkKind.FOLD, f"all.{index}.n0")

    added = [event.steps[0].id for _, event in bench.events if isinstance(event, StepsAdded)]
    assert added == ["all.0.n0", "all.1.n0", "all.2.n0"]
    assert bench.states()["all"] == "succeeded"


def test_a_run_that_is_cancelled_adds_nothing_more() -> None:
    bench = Bench()
    bench.launch(branch("all", items=9, at_once=1, inner=(AgentPlan(("survey",)),)))

    bench.cancel()

    assert bench.states() == {"all": "cancelled", "all.0.n0": "cancelled"}
