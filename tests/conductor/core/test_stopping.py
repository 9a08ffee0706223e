"""Runs end by themselves, by a failure or by request: once, and with a report."""

from conductor.core.model.commands import CancelExecution
from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.run_events import RunReported, RunSettled
from conductor.core.model.inputs import AgentFinished
from conductor.core.model.states import AttemptState, Failure, FailureClass, RunState
from conductor.core.model.work import WorkFailed, WorkKind
from tests.conductor.core.bench import Bench, asks, folds


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
    assert bench.run.failure == Failure("CANCELLED", "enough", FailureClass.HUMAN_REQUIRED)
    assert [one.text for one in bench.said] == ["words"]


def test_a_cancelled_run_ends_as_cancelled_however_its_agent_left() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"))
    bench.queue("one")

    bench.cancel()
    bench.finish("one", "failed", "EMPTY_OUTPUT")
    bench.answer(WorkKind.REPORT)

    assert bench.states() == {"one": "cancelled"}
    assert bench.run.state is RunState.CANCELLED


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
                bench.report(bench.attempt("only").id, 1, AgentFinished(AttemptState.SUCCEEDED))
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


def test_an_agent_is_told_to_end_once() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), asks("two"), asks("child", parent="one"))
    bench.queue("one", "two")

    bench.cancel()
    bench.finish("two", "cancelled", "CANCELLED")

    assert bench.sent(CancelExecution, bench.commands) == ["one", "two"]
