"""What a run does next by itself: each rule of `progress` as a sentence."""

from conductor.core.commands import CancelExecution, StartExecution
from conductor.core.events import (
    AttemptEnded,
    Failure,
    RunReported,
    RunSettled,
    RunStarted,
    StepBecameReady,
    StepSkipped,
    StepStarted,
)
from conductor.core.inputs import AgentFinished, WorkFinished
from conductor.core.states import AttemptState, RunState
from conductor.core.work import GuardDecided, PromptRendered, Work, WorkFailed, WorkKind, WorkResult
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


def test_a_failing_run_stops_its_other_workers_and_settles_pending_steps() -> None:
    """Keeps B8."""
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), asks("two"), asks("three"), asks("after", "three"), asks("queued", agents=("none",)))
    bench.queue("one", "two", "three", "queued")

    bench.finish("one", "failed", "AGENT_EXIT_NONZERO")

    assert sorted(bench.sent(CancelExecution)) == ["three", "two"]
    assert bench.states() == {
        "one": "failed",
        "two": "running",
        "three": "running",
        "after": "cancelled",
        "queued": "cancelled",
    }
    bench.finish("two", "cancelled", "CANCELLED")
    assert bench.asked(WorkKind.REPORT) == []
    bench.finish("three", "failed", "AGENT_KILLED")
    assert bench.asked(WorkKind.REPORT) == [""]
    bench.answer(WorkKind.REPORT)
    assert bench.run.state is RunState.FAILED
    assert bench.run.failure is not None
    assert (bench.run.failure.reason, bench.run.failure.step) == ("AGENT_EXIT_NONZERO", "one")
    assert bench.states()["two"] == "cancelled"
    assert bench.states()["three"] == "failed"


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


def test_a_cancelled_run_is_cancelling_until_its_agents_have_ended() -> None:
    """Keeps B7."""
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), asks("two", "one"))
    bench.queue("one")

    bench.cancel()

    assert bench.run.state is RunState.CANCELLING
    assert bench.sent(CancelExecution) == ["one"]
    assert bench.states() == {"one": "running", "two": "cancelled"}
    bench.finish("one", "cancelled", "CANCELLED")
    bench.answer(WorkKind.REPORT)
    assert bench.run.state is RunState.CANCELLED
    assert bench.run.failure == Failure("CANCELLED", "enough", "HUMAN_REQUIRED")
    assert [one.text for one in bench.said] == ["words"]


def test_a_completion_that_comes_before_the_cancel_arrives_wins() -> None:
    """Keeps B7."""
    bench = Bench()
    bench.host()
    bench.launch(asks("only"))
    bench.queue("only")

    bench.cancel()
    bench.finish("only", "succeeded")
    bench.answer(WorkKind.CHECK, "only")
    bench.answer(WorkKind.REPORT)

    assert bench.run.state is RunState.SUCCEEDED
    assert bench.run.cancel_time is not None


def test_a_run_that_failed_before_it_was_cancelled_has_failed() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), asks("two"))
    bench.queue("one", "two")
    bench.finish("one", "failed", "AGENT_EXIT_NONZERO")

    bench.cancel()
    bench.finish("two", "cancelled", "CANCELLED")
    bench.answer(WorkKind.REPORT)

    assert bench.run.state is RunState.FAILED


def test_no_retry_is_made_in_a_run_that_stops() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"))
    bench.queue("one")
    bench.cancel()

    bench.finish("one", "failed", "SHIM_LOST")

    assert bench.states() == {"one": "cancelled"}


def test_a_hundred_racing_cancels_and_completions_end_a_run_once() -> None:
    """Keeps B4."""
    for cancels_first in (True, False):
        bench = Bench()
        bench.host()
        bench.launch(asks("only"))
        bench.queue("only")
        for number in range(100):
            if (number % 2 == 0) is cancels_first:
                bench.cancel(request=f"cancel {number}")
            elif bench.state.ongoing:
                bench.report(bench.attempt("only").id, 1, AgentFinished("succeeded"))
            for kind, step in ((WorkKind.CHECK, "only"), (WorkKind.REPORT, "")):
                bench.answer(kind, step)

        ends = [event for _, event in bench.events if isinstance(event, RunSettled)]
        assert len(ends) == 1
        assert len([event for _, event in bench.events if isinstance(event, AttemptEnded)]) == 1


def test_a_report_is_rendered_for_every_end_and_before_it() -> None:
    for end in ("succeeded", "failed", "cancelled"):
        bench = Bench()
        bench.host()
        bench.launch(asks("one"), asks("two"))
        bench.queue("one", "two")
        if end == "cancelled":
            bench.cancel()
        for step in ("one", "two"):
            bench.finish(step, end, "AGENT_EXIT_NONZERO" if end == "failed" else "")
            if end == "succeeded":
                bench.answer(WorkKind.CHECK, step)
        assert bench.asked(WorkKind.REPORT) == [""]
        bench.answer(WorkKind.REPORT)
        assert [type(event) for _, event in bench.events[-2:]] == [RunReported, RunSettled]
        assert str(bench.run.state) == end


def test_a_run_without_a_report_has_not_succeeded() -> None:
    bench = Bench()
    bench.launch(folds("one"))
    bench.answer(WorkKind.FOLD, "one")

    bench.answer(WorkKind.REPORT, "", WorkFailed(Failure("REPORT_FAILED", "a hole in the template")))

    assert bench.run.state is RunState.FAILED
    assert bench.run.failure == Failure("REPORT_FAILED", "a hole in the template")


def test_a_report_that_fails_does_not_hide_why_the_run_failed() -> None:
    bench = Bench()
    bench.launch(folds("one"))
    bench.answer(WorkKind.FOLD, "one", WorkFailed(Failure("FOLD_FAILED", "no")))

    bench.answer(WorkKind.REPORT, "", WorkFailed(Failure("REPORT_FAILED", "no")))

    assert bench.run.failure == Failure("FOLD_FAILED", "no", step="one")


def test_a_run_whose_every_step_is_excluded_ends_with_a_report() -> None:
    bench = Bench()
    bench.launch(asks("one", excluded_because="small"))

    assert bench.asked(WorkKind.REPORT) == [""]
    bench.answer(WorkKind.REPORT)
    assert bench.run.state is RunState.SUCCEEDED
    assert bench.run.start_time is None


def test_steps_that_need_each_other_end_the_run_and_do_not_hang_it() -> None:
    """Keeps C3."""
    bench = Bench()
    bench.launch(folds("one", "two"), folds("two", "one"), folds("free"))
    bench.answer(WorkKind.FOLD, "free")
    bench.answer(WorkKind.REPORT)

    assert bench.run.state is RunState.FAILED
    assert bench.run.failure is not None
    assert bench.run.failure.reason == "STEPS_STUCK"
    assert bench.states() == {"one": "cancelled", "two": "cancelled", "free": "succeeded"}


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


def test_an_answer_that_nobody_waits_for_has_no_effect() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"))
    bench.queue("one")

    for kind in (WorkKind.PROMPT, WorkKind.SKIP_GUARD, WorkKind.FOLD, WorkKind.CHECK):
        decision = bench.answer(kind, "one")
        assert decision.to_store == ()
    assert bench.attempt("one").state is AttemptState.STARTING


def test_an_agent_is_told_to_end_once() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), asks("two"), asks("child", parent="one"))
    bench.queue("one", "two")

    bench.cancel()
    bench.finish("two", "cancelled", "CANCELLED")

    assert bench.sent(CancelExecution, bench.commands) == ["one", "two"]


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
