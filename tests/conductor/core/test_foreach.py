"""Steps that run others once for each item: features A5, C4, C8."""

import pytest

from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.run_events import StepsAdded
from conductor.core.model.plan import ForeachPlan, OnFailure
from conductor.core.model.states import Failure, GateDecision, RunState
from conductor.core.model.step_path import PATH_IDS
from conductor.core.model.work import ItemsFound, WorkFailed, WorkKind
from conductor.core.placing.unknown_agents import seat_panels
from tests.conductor.core.bench import Bench, asks, each, folds

FAILED = WorkFailed(Failure("FOLD_FAILED", "it cannot be rendered"))


def launch(items: int, *more: object, **plan: object) -> Bench:
    bench = Bench()
    bench.host(features=frozenset({PATH_IDS}))
    bench.launch(each("all", **plan), *more)  # type: ignore[arg-type]
    bench.answer(WorkKind.ITEMS, "all", ItemsFound("items", items))
    return bench


def test_items_begin_a_few_at_a_time_and_the_next_one_when_one_has_ended() -> None:
    bench = launch(3, folds("after", "all"), max_parallel=2)
    assert bench.asked(WorkKind.FOLD) == ["all.0.look", "all.1.look"]

    bench.answer(WorkKind.FOLD, "all.1.look")
    assert bench.asked(WorkKind.FOLD) == ["all.2.look"]
    bench.answer(WorkKind.FOLD, "all.2.look")
    bench.answer(WorkKind.FOLD, "all.0.look")
    assert (bench.asked(WorkKind.GATHER), bench.states()["after"]) == (["all"], "pending")
    bench.answer(WorkKind.GATHER, "all")

    assert (bench.states()["all"], bench.asked(WorkKind.FOLD)) == ("succeeded", ["after"])


def test_an_item_does_not_wait_for_the_stages_of_another_one() -> None:
    """Keeps C8."""
    bench = launch(2, inner=(folds("look"), folds("told", "look")))

    bench.answer(WorkKind.FOLD, "all.1.look")
    bench.answer(WorkKind.FOLD, "all.1.told")

    assert bench.states()["all.1.told"] == "succeeded"
    assert (bench.states()["all.0.look"], bench.states()["all.0.told"]) == ("running", "pending")
    child = bench.step("all.1.told").plan
    assert (child.needs, child.parent, child.item, child.index) == (("all.1.look",), "all", "items", 1)


def test_a_failed_step_ends_its_item_and_neither_the_others_nor_the_run() -> None:
    """Keeps C4."""
    bench = launch(2, inner=(folds("look"), folds("other"), folds("told", "look")), min_success=1)

    bench.answer(WorkKind.FOLD, "all.0.look", FAILED)

    assert {name: bench.states()[f"all.0.{name}"] for name in ("look", "other", "told")} == {
        "look": "failed",
        "other": "cancelled",
        "told": "cancelled",
    }
    for name in ("look", "other", "told"):
        bench.answer(WorkKind.FOLD, f"all.1.{name}")
    bench.answer(WorkKind.GATHER, "all")
    bench.answer(WorkKind.REPORT)
    assert (bench.states()["all"], bench.run.state) == ("succeeded", RunState.SUCCEEDED)


def test_a_step_that_may_fail_lets_its_item_go_on() -> None:
    bench = launch(1, inner=(folds("look", on_failure=OnFailure.CONTINUE), folds("told", "look")))

    bench.answer(WorkKind.FOLD, "all.0.look", FAILED)
    bench.answer(WorkKind.FOLD, "all.0.told")
    bench.answer(WorkKind.GATHER, "all")

    assert bench.states()["all"] == "succeeded"


@pytest.mark.parametrize(("least", "failures"), [(None, 1), (3, 2), (1, 4)])
def test_the_others_are_cancelled_when_too_few_items_can_succeed(least: int | None, failures: int) -> None:
    """Keeps C4."""
    bench = launch(4, folds("after", "all"), min_success=least, on_failure=OnFailure.CONTINUE)

    for index in range(failures):
        assert bench.states()["all"] == "running"
        bench.answer(WorkKind.FOLD, f"all.{index}.look", FAILED)

    failure = bench.step("all").failure
    assert failure is not None
    assert failure.reason == "TOO_FEW_SUCCEEDED"
    assert "FOLD_FAILED: it cannot be rendered" in failure.message
    assert [bench.states()[f"all.{index}.look"] for index in range(4)] == ["failed"] * failures + ["cancelled"] * (
        4 - failures
    )
    assert bench.asked(WorkKind.FOLD) == ["after"]


def test_agents_of_other_items_are_stopped_when_too_few_can_succeed() -> None:
    bench = launch(2, inner=(asks("look"),))
    bench.queue("all.0.look", "all.1.look")

    bench.finish("all.0.look", "failed", "AGENT_EXIT_NONZERO")
    assert bench.states()["all"] == "running"
    bench.finish("all.1.look", "cancelled")

    assert bench.states()["all"] == "failed"
    assert bench.states()["all.1.look"] == "cancelled"


@pytest.mark.parametrize(
    ("decision", "text", "step", "end"),
    [
        (GateDecision.SKIP, "", "skipped", RunState.SUCCEEDED),
        (GateDecision.EDIT, "mine", "succeeded", RunState.SUCCEEDED),
        (GateDecision.APPROVE, "", "failed", RunState.FAILED),
    ],
)
def test_a_person_who_leaves_out_a_step_or_gives_its_text_answers_for_the_agents_inside(
    decision: GateDecision, text: str, step: str, end: RunState
) -> None:
    """Keeps C4. To go on as `continue` does leaves a run without any answer."""
    bench = launch(1, inner=(asks("look", attempts=1),), on_failure=OnFailure.GATE)
    bench.queue("all.0.look")
    bench.finish("all.0.look", "failed", "AGENT_EXIT_NONZERO")

    bench.decide("all", decision, text=text)
    bench.answer(WorkKind.REPORT)

    assert (bench.states(), bench.run.state) == ({"all": step, "all.0.look": "failed"}, end)


@pytest.mark.parametrize(("fails", "state"), [(False, "skipped"), (True, "failed")])
def test_a_step_without_items_is_skipped_or_fails(*, fails: bool, state: str) -> None:
    bench = launch(0, folds("after", "all"), fails_when_empty=fails)

    assert bench.states()["all"] == state
    assert bench.states()["after"] == ("cancelled" if fails else "running")


def test_too_many_items_fail_before_the_first_begins() -> None:
    bench = Bench(Limits(steps_per_run=10))
    bench.launch(each("one"), each("two", inner=(folds("look"), folds("told"))))

    bench.answer(WorkKind.ITEMS, "two", ItemsFound("items", 3))
    bench.answer(WorkKind.ITEMS, "one", ItemsFound("items", 3))

    assert not [name for name in bench.states() if name.startswith("one.")]
    failure = bench.step("one").failure
    assert failure is not None
    assert (failure.reason, "has room for 2 of its 10" in failure.message) == ("TOO_MANY_STEPS", True)


def test_room_is_kept_for_items_that_have_not_begun() -> None:
    bench = Bench(Limits(steps_per_run=10))
    bench.launch(each("one", max_parallel=1), each("two"))

    bench.answer(WorkKind.ITEMS, "one", ItemsFound("items", 7))
    bench.answer(WorkKind.ITEMS, "two", ItemsFound("items", 2))

    assert bench.states() == {"one": "cancelled", "two": "failed", "one.0.look": "cancelled"}


def test_items_go_on_after_a_restart_and_none_begins_twice() -> None:
    """Keeps I3."""
    bench = launch(3, max_parallel=1)

    for index in range(3):
        bench.crash()
        bench.take()
        bench.answer(WorkKind.FOLD, f"all.{index}.look")
    bench.crash()
    bench.answer(WorkKind.GATHER, "all")

    added = [event.steps[0].id for _, event in bench.events if isinstance(event, StepsAdded)]
    assert added == ["all.0.look", "all.1.look", "all.2.look"]
    assert bench.states()["all"] == "succeeded"


def test_a_cancelled_run_begins_no_further_item() -> None:
    bench = launch(9, max_parallel=1, inner=(asks("look"),))

    bench.cancel()

    assert bench.states() == {"all": "cancelled", "all.0.look": "cancelled"}


def test_items_may_have_items_and_all_of_them_stop_with_the_outer_one() -> None:
    bench = launch(2, inner=(each("deep", inner=(asks("look"),)), folds("bad")))
    bench.answer(WorkKind.ITEMS, "all.0.deep", ItemsFound("inner", 2))
    bench.queue("all.0.deep.0.look", "all.0.deep.1.look")

    bench.answer(WorkKind.FOLD, "all.0.bad", FAILED)
    bench.finish("all.0.deep.0.look", "cancelled")
    bench.finish("all.0.deep.1.look", "cancelled")

    states = bench.states()
    assert {states[f"all.0.deep{more}"] for more in ("", ".0.look", ".1.look")} == {"cancelled"}
    assert states["all"] == "failed"


def test_a_panel_asks_each_of_its_agents_without_a_list_to_wait_for() -> None:
    """Keeps A5."""
    bench = Bench()
    bench.host("h1", 8, "survey", "scripted", features=frozenset({PATH_IDS}))

    bench.launch(each("all", inner=(asks("ask", label="Look"),), agents=("survey", "scripted"), shown_as="panel"))
    bench.queue("all.0.ask", "all.1.ask")

    assert [bench.attempt(f"all.{index}.ask").agent for index in range(2)] == ["survey", "scripted"]
    assert [bench.step(f"all.{index}.ask").plan.label for index in range(2)] == ["Look survey", "Look scripted"]
    assert bench.step("all").plan.shown_kind == "panel"


def test_an_agent_that_no_host_knows_has_no_seat_in_a_panel_with_others() -> None:
    """Keeps A5."""
    panel = each("all", inner=(asks("ask"),), agents=("survey", "nobody"), max_parallel=2)

    (seated,) = seat_panels([panel], ["survey"])
    (empty,) = seat_panels([panel], ["other"])

    assert isinstance(seated.work, ForeachPlan)
    assert (seated.work.agents, seated.work.absent) == (("survey",), ("nobody",))
    assert empty == panel
