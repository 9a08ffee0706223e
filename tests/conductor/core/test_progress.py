"""Each rule of `progress` and `settling` as a sentence: how a run goes on by itself."""

import pytest

from conductor.core.model.commands import CancelExecution, StartExecution
from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.events.run_events import (
    FindingChecked,
    RunStarted,
    StepBecameReady,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from conductor.core.model.inputs import WorkFinished
from conductor.core.model.states import AttemptState, Failure, RunState
from conductor.core.model.work import Checked, GuardDecided, PromptRendered, Work, WorkFailed, WorkKind, WorkResult
from tests.conductor.core.bench import CONTINUE, RUN, Bench, asks, folds


def test_a_run_goes_from_its_request_to_its_report() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("look"), folds("sum", "look"))

    bench.complete("look")
    bench.answer(WorkKind.FOLD, "sum")
    bench.answer(WorkKind.REPORT)

    assert bench.run.state is RunState.SUCCEEDED
    assert bench.states() == {"look": "succeeded", "sum": "succeeded"}
    assert [type(event).__name__ for _, event in bench.events] == [
        "RunCreated",
        "StepBecameReady",
        "StepQueued",
        "RunStarted",
        "AttemptCreated",
        "AttemptStarted",
        "AttemptEnded",
        "StepValidating",
        "StepSucceeded",
        "StepBecameReady",
        "StepStarted",
        "StepSucceeded",
        "RunReported",
        "RunSettled",
    ]
    assert bench.state.ongoing == {}


def test_a_step_starts_when_its_own_needs_are_met_whatever_its_siblings_do() -> None:
    """Keeps C1."""
    bench = Bench()
    bench.host()
    bench.launch(asks("short"), asks("long"), asks("child", "short"))
    bench.queue("long")

    bench.complete("short")
    bench.queue("child")

    assert bench.states() == {"short": "succeeded", "long": "running", "child": "running"}
    assert bench.sent(StartExecution) == ["child"]


def test_a_slow_fold_delays_no_agent() -> None:
    """Keeps C2: the fold is asked of a worker, and the agent's prompt in the same decision."""
    bench = Bench()
    bench.host()
    bench.launch(asks("first"), folds("slow", "first"), asks("second", "first"))

    bench.complete("first")

    assert bench.asked(WorkKind.FOLD) == ["slow"]
    assert bench.asked(WorkKind.PROMPT) == ["second"]
    bench.queue("second")
    assert bench.sent(StartExecution) == ["second"]
    assert bench.states()["slow"] == "running"


def test_a_skip_guard_is_asked_before_the_prompt_and_satisfies_dependants() -> None:
    """Keeps A6."""
    bench = Bench()
    bench.host()
    bench.launch(
        asks("left", has_skip_guard=True), asks("out", excluded_because="not in this band"), asks("join", "left", "out")
    )
    assert bench.asked(WorkKind.SKIP_GUARD) == ["left"]
    assert bench.asked(WorkKind.PROMPT) == []

    bench.answer(WorkKind.SKIP_GUARD, "left", GuardDecided(skip=True, reason="nothing changed"))

    assert bench.stored(StepSkipped) == [StepSkipped("left", "nothing changed")]
    assert bench.step("left").reason == "nothing changed"
    assert bench.step("out").reason == "not in this band"
    assert bench.asked(WorkKind.PROMPT) == ["join"]


def test_a_guard_that_lets_pass_leads_to_the_prompt() -> None:
    bench = Bench()
    bench.launch(asks("step", has_skip_guard=True))

    bench.answer(WorkKind.SKIP_GUARD, "step", GuardDecided(skip=False))

    assert bench.asked(WorkKind.PROMPT) == ["step"]


def test_the_prompt_is_kept_and_every_attempt_is_asked_the_same() -> None:
    """Keeps F1."""
    bench = Bench()
    bench.host()
    bench.launch(asks("step"))
    bench.queue("step")
    first = bench.attempt("step").start

    bench.finish("step", "failed", "SHIM_LOST")
    bench.wake()
    second = bench.attempt("step").start

    assert second.prompt == first.prompt == "prompt of step"
    assert second.execution != first.execution


def test_a_prompt_that_cannot_be_built_fails_its_step_with_the_reason() -> None:
    """Keeps F1."""
    bench = Bench()
    bench.launch(asks("step"))

    bench.answer(WorkKind.PROMPT, "step", WorkFailed(Failure("PROMPT_BUILD_FAILED", "no such input")))

    assert bench.states() == {"step": "failed"}
    assert bench.step("step").failure == Failure("PROMPT_BUILD_FAILED", "no such input")


def test_a_step_that_may_fail_lets_its_dependants_go_on_without_it() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("shaky", on_failure=CONTINUE), asks("after", "shaky"))
    bench.queue("shaky")

    bench.finish("shaky", "timed_out", "IDLE_TIMEOUT")

    assert bench.asked(WorkKind.PROMPT) == ["after"]
    bench.complete("after")
    bench.answer(WorkKind.REPORT)
    assert bench.run.state is RunState.SUCCEEDED
    assert bench.states() == {"shaky": "failed", "after": "succeeded"}


def test_a_run_starts_with_its_first_step() -> None:
    bench = Bench()
    bench.launch(asks("one"))
    assert bench.run.state is RunState.QUEUED
    bench.queue("one")
    assert bench.stored(RunStarted) == []

    bench.host()

    assert bench.stored(RunStarted) == [RunStarted()]
    assert bench.run.start_time == bench.now


def test_a_parent_at_work_lets_its_children_begin_and_ends_after_them() -> None:
    bench = Bench()
    bench.host()
    bench.launch(folds("outer"), asks("inner", parent="outer"), asks("next", "inner", parent="outer"))
    assert bench.states() == {"outer": "running", "inner": "ready", "next": "pending"}
    assert bench.asked(WorkKind.FOLD) == []

    bench.complete("inner")
    bench.complete("next")

    assert bench.asked(WorkKind.FOLD) == ["outer"]
    bench.answer(WorkKind.FOLD, "outer")
    assert bench.states() == {"outer": "succeeded", "inner": "succeeded", "next": "succeeded"}


def test_children_of_an_attempt_that_ended_badly_are_stopped_before_it_is_tried_again() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("outer"), asks("inner", parent="outer"), asks("later", "inner", parent="outer"))
    bench.queue("outer")
    bench.queue("inner")

    bench.finish("outer", "failed", "SHIM_LOST")

    assert bench.sent(CancelExecution) == ["inner"]
    assert bench.states() == {"outer": "running", "inner": "running", "later": "cancelled"}
    bench.finish("inner", "cancelled", "CANCELLED")
    assert bench.states() == {"outer": "queued", "inner": "cancelled", "later": "cancelled"}


def test_a_fold_is_started_and_asked_in_one_decision() -> None:
    bench = Bench()
    bench.launch(folds("one"))

    assert bench.stored(StepBecameReady) == [StepBecameReady("one")]
    assert bench.stored(StepStarted) == [StepStarted("one")]
    assert bench.asked(WorkKind.FOLD) == ["one"]


def test_an_answer_to_a_question_that_is_not_open_has_no_effect() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"))
    bench.queue("one")

    for kind in (WorkKind.PROMPT, WorkKind.SKIP_GUARD, WorkKind.FOLD, WorkKind.CHECK):
        decision = bench.answer(kind, "one")
        assert decision.to_store == ()
    assert bench.attempt("one").state is AttemptState.STARTING


def test_children_of_a_step_that_never_began_are_cancelled_at_once() -> None:
    bench = Bench()
    bench.launch(asks("outer", has_skip_guard=True), asks("inner", parent="outer"), folds("busy"))

    bench.answer(WorkKind.SKIP_GUARD, "outer", GuardDecided(skip=True, reason="no need"))

    assert bench.states() == {"outer": "skipped", "inner": "cancelled", "busy": "running"}
    bench.answer(WorkKind.FOLD, "busy")
    bench.answer(WorkKind.REPORT)
    assert bench.run.state is RunState.SUCCEEDED


def test_an_answer_that_comes_twice_asks_nothing_that_is_answered_already() -> None:
    bench = Bench()
    bench.launch(asks("one", has_skip_guard=True))
    guard = WorkFinished(WorkResult(Work(RUN, WorkKind.SKIP_GUARD, "one"), GuardDecided(skip=False)))
    prompt = WorkFinished(WorkResult(Work(RUN, WorkKind.PROMPT, "one"), PromptRendered("p")))

    bench.take(guard, prompt, guard)

    assert bench.last.to_send == ()
    assert bench.states() == {"one": "queued"}


def test_a_step_that_ends_within_the_decision_is_not_asked_about() -> None:
    bench = Bench()
    bench.launch(asks("guard", has_skip_guard=True), asks("wrong"))
    guard = WorkFinished(WorkResult(Work(RUN, WorkKind.SKIP_GUARD, "guard"), GuardDecided(skip=False)))
    wrong = WorkFinished(
        WorkResult(Work(RUN, WorkKind.PROMPT, "wrong"), WorkFailed(Failure("PROMPT_BUILD_FAILED", "no")))
    )

    bench.take(guard, wrong)

    assert bench.asked(WorkKind.PROMPT) == []
    assert bench.asked(WorkKind.REPORT) == [""]


def test_every_finding_is_told_at_a_place_of_its_own_before_its_step_ends() -> None:
    """Keeps F4 and G1."""
    bench = Bench()
    bench.host()
    bench.launch(asks("look"))

    bench.queue("look")
    bench.finish("look")
    bench.answer(WorkKind.CHECK, "look", Checked("document", FindingCounts(1, 0, 2)))

    told = [event for _, event in bench.events if isinstance(event, FindingChecked)]
    assert told == [FindingChecked("look", "document", number) for number in range(3)]
    assert isinstance(bench.events[-1][1], StepSucceeded)


@pytest.mark.parametrize("reason", ["AUTH_FAILED", "SNAPSHOT_INVALID", "AGENT_EXIT_NONZERO", "EMPTY_OUTPUT"])
def test_a_run_in_which_no_agent_answered_has_failed_although_it_may_go_on_without_each(reason: str) -> None:
    """Keeps C4: five lenses that were refused, whatever for, are no survey without findings."""
    bench = Bench()
    bench.host()
    bench.launch(
        *(asks(name, on_failure=CONTINUE, agent={"max_attempts": 1}) for name in ("one", "two")),
        folds("sum", "one", "two"),
    )
    for name in ("one", "two"):
        bench.queue(name)
        bench.finish(name, "failed", reason)
    bench.answer(WorkKind.FOLD, "sum")
    bench.answer(WorkKind.REPORT)

    assert bench.states() == {"one": "failed", "two": "failed", "sum": "succeeded"}
    assert bench.run.state is RunState.FAILED
    assert bench.run.failure is not None
    assert (bench.run.failure.reason, bench.run.failure.step) == (reason, "one")
    assert bench.run.failure.message.startswith("No agent of this run gave an answer.")


def test_a_run_goes_on_without_one_agent_of_two() -> None:
    """Keeps C4."""
    bench = Bench()
    bench.host()
    bench.launch(asks("one", on_failure=CONTINUE), asks("two"))
    bench.queue("one")
    bench.finish("one", "failed", "AUTH_FAILED")
    bench.complete("two")
    bench.answer(WorkKind.REPORT)

    assert bench.run.state is RunState.SUCCEEDED
