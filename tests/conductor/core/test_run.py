"""Folding: what events make of a run, and which cannot follow."""

import pytest

from conductor.core.folded.attempt import attempt_id, attempt_owner
from conductor.core.folded.run import Run, apply, fold, key_of
from conductor.core.folded.step import Wait
from conductor.core.model.events.attempt_events import AttemptCreated, AttemptEnded, AttemptStarted
from conductor.core.model.events.event_parts import Confinement, FindingCounts, StartSpec
from conductor.core.model.events.run_events import (
    Event,
    ReportRefused,
    RunCancelRequested,
    RunCreated,
    RunSettled,
    RunStarted,
    StepBecameReady,
    StepFailed,
    StepQueued,
    StepRequeued,
    StepsAdded,
    StepStarted,
    StepSucceeded,
    StepValidating,
    StepWaits,
)
from conductor.core.model.events.run_events import Failure as Why
from conductor.core.model.plan import StepPlan
from conductor.core.model.states import AttemptState, IllegalTransitionError, RunState
from conductor.core.model.work import Checked, Folded, WorkKind
from tests.conductor.core.bench import RUN, Bench, asks, folds, plan


def spec(number: int) -> StartSpec:
    return StartSpec(attempt_id(RUN, "one", number), "survey", "prompt", "c" * 40, (), 1.0, 1.0)


def created(number: int = 1) -> AttemptCreated:
    return AttemptCreated("one", attempt_id(RUN, "one", number), number, "h1", "there", spec(number))


def run_after(*events: Event) -> Run:
    start: tuple[Event, ...] = (RunCreated(plan(asks("one"), folds("two", "one"))), StepBecameReady("one"))
    return fold((event, 1000.0 + place) for place, event in enumerate((*start, *events)))


def test_every_change_leaves_its_time() -> None:
    attempt = attempt_id(RUN, "one", 1)
    run = run_after(
        StepQueued("one", "p"),
        StepWaits("one", "slot", "taken"),
        RunStarted(),
        created(),
        AttemptStarted("one", attempt, Confinement("b")),
        AttemptEnded("one", attempt, AttemptState.SUCCEEDED, result="r"),
        StepValidating("one"),
        StepSucceeded("one", findings="f", counts=FindingCounts(1, 2, 3)),
    )

    step = run.steps["one"]
    assert (run.create_time, run.start_time, run.end_time) == (1000, 1004, None)
    assert (step.ready_time, step.start_time, step.end_time) == (1001, 1005, 1009)
    last = step.attempts[0]
    assert (last.create_time, last.start_time, last.end_time) == (1005, 1006, 1007)
    assert (last.agent, last.result, last.is_live) == ("survey", "r", False)
    assert step.wait is None
    assert run.counts == FindingCounts(1, 2, 3)
    assert run.unsettled == 1


def test_a_waiting_step_shows_what_it_waits_for() -> None:
    assert run_after(StepQueued("one", "p"), StepWaits("one", "host", "none")).steps["one"].wait == Wait("host", "none")


ENDED = AttemptEnded("one", attempt_id(RUN, "one", 1), AttemptState.LOST, Why("HOST_LOST", "gone", "RECOVERABLE"))


@pytest.mark.parametrize(
    "events",
    [
        (RunCreated(plan(asks("one"))),),
        (StepBecameReady("one"),),
        (StepBecameReady("unknown"),),
        (StepWaits("one", "slot", "taken"),),
        (created(),),
        (StepQueued("one", "p"), created(2)),
        (StepQueued("one", "p"), created(), created(2)),
        (StepQueued("one", "p"), created(), StepRequeued("one", Why("x", "y"), 1.0)),
        (StepQueued("one", "p"), created(), StepFailed("one", Why("x", "y"))),
        (StepQueued("one", "p"), created(), ReportRefused("one", attempt_id(RUN, "one", 1), "x")),
        (StepQueued("one", "p"), created(), ENDED, ENDED),
        (StepQueued("one", "p"), created(), AttemptEnded("one", "another", AttemptState.LOST)),
        (RunCancelRequested("a"), RunCancelRequested("b")),
        (RunSettled(RunState.CANCELLED),),
        (RunSettled(RunState.FAILED), RunStarted()),
        (RunSettled(RunState.FAILED), RunSettled(RunState.FAILED)),
        (StepsAdded((folds("one"),)),),
        (StepsAdded((folds("three", parent="unknown"),)),),
        (StepStarted("two"),),
    ],
)
def test_an_event_that_cannot_follow_is_an_error(events: tuple[Event, ...]) -> None:
    """Keeps B4."""
    before, last = events[:-1], events[-1]
    run = run_after(*before)

    with pytest.raises(IllegalTransitionError):
        apply(run, last, 2000.0)


def test_a_run_begins_with_its_creation() -> None:
    with pytest.raises(IllegalTransitionError):
        apply(None, RunStarted(), 0.0)
    with pytest.raises(IllegalTransitionError):
        fold(())


def test_the_tree_of_steps_grows_while_the_run_goes_on() -> None:
    grown = StepsAdded((folds("one.0.look", parent="one"), asks("one.0.ask", "one.0.look", parent="one")))
    run = run_after(StepQueued("one", "p"), created(), grown)

    assert list(run.steps) == ["one", "two", "one.0.look", "one.0.ask"]
    assert run.children == {"one": ("one.0.look", "one.0.ask")}
    assert run.dependants == {"one": ("two",), "one.0.look": ("one.0.ask",)}
    assert run.unsettled == 4
    assert key_of(grown) == "StepsAdded/one.0"

    more = StepsAdded(
        (folds("one.1.look", parent="one", index=1), asks("one.1.ask", "one.1.look", parent="one", index=1))
    )
    run = run_after(StepQueued("one", "p"), created(), grown, more)

    assert run.children == {"one": ("one.0.look", "one.0.ask", "one.1.look", "one.1.ask")}
    assert run.dependants == {"one": ("two",), "one.0.look": ("one.0.ask",), "one.1.look": ("one.1.ask",)}
    assert run.unsettled == 6


@pytest.mark.parametrize(
    "steps",
    [
        (folds("child", parent="one"),),
        (folds("two.0.child", parent="one"),),
        (folds("one.0.child", parent="two"),),
        (folds("one.child", parent="one"),),
        (folds("one.0.Child", parent="one"),),
        (folds("one.0.a", parent="one"), folds("one.1.b", parent="one")),
        (folds("one.0.a", parent="one"), folds("one.0.a", parent="one")),
    ],
)
def test_a_child_is_named_after_an_item_of_its_parent(steps: tuple[StepPlan, ...]) -> None:
    run = run_after(StepQueued("one", "p"), created())

    with pytest.raises(IllegalTransitionError):
        apply(run, StepsAdded(steps), 2000.0)


def test_nothing_grows_below_a_step_that_has_ended() -> None:
    run = run_after(StepFailed("one", Why("PROMPT_BUILD_FAILED", "no")))

    with pytest.raises(IllegalTransitionError):
        apply(run, StepsAdded((folds("one.0.child", parent="one"),)), 2000.0)


def test_the_first_failure_that_stops_the_run_is_its_failure() -> None:
    run = fold(
        (event, 0.0)
        for event in (
            RunCreated(plan(asks("one"), asks("two"))),
            StepBecameReady("one"),
            StepBecameReady("two"),
            StepFailed("two", Why("B", "b")),
            StepFailed("one", Why("A", "a")),
        )
    )

    assert run.failure == Why("B", "b", step="two")


def test_only_findings_that_count_are_counted() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), asks("two"), folds("merge", "one", "two"))
    for step in ("one", "two"):
        bench.queue(step)
        bench.finish(step)
        bench.answer(WorkKind.CHECK, step, Checked("f" + step, FindingCounts(2, 0, 1)))
    assert bench.run.counts == FindingCounts(4, 0, 2)

    bench.answer(WorkKind.FOLD, "merge", Folded("text", "merged", FindingCounts(3, 0, 1)))

    assert bench.run.counts == FindingCounts(3, 0, 1)


@pytest.mark.parametrize("attempt", ["", "x", "run-1", "run-step", "run-step-x"])
def test_an_invalid_id_belongs_to_no_run(attempt: str) -> None:
    assert attempt_owner(attempt) == ("", "")


def test_an_attempts_id_tells_its_run_and_step() -> None:
    assert attempt_owner(attempt_id(RUN, "survey_risks", 12)) == (RUN, "survey_risks")
