"""The clocks that the core watches: queue, run, and the silence of hosts. Keeps C6, I4 and rule 7, by a clock that tests move."""

import pytest

from conductor.api.messages.runs import disconnections
from conductor.core.decide.endings.loss import count_of_earlier_instances, list_absences
from conductor.core.folded.attempt import Attempt
from conductor.core.model.commands import AckExecution, CancelExecution, StartExecution
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.run_events import ReportRefused
from conductor.core.model.inputs import AgentFinished
from conductor.core.model.output import Channel, Output
from conductor.core.model.plan import OnFailure, OnLost, StepPlan
from conductor.core.model.states import AttemptState, RunState
from conductor.core.model.work import WorkKind
from tests.conductor.core.bench import RUN, Bench, asks, folds


def patient(step: str, *needs: str, **agent: object) -> StepPlan:
    """A step that waits 60 s for a place."""
    return asks(step, *needs, agent={"queue_timeout_seconds": 60.0, **agent})


def reason_of(attempt: Attempt) -> str:
    assert attempt.end.failure is not None
    return attempt.end.failure.reason


def test_a_step_that_waits_too_long_for_a_place_fails_and_says_what_it_waited_for() -> None:
    bench = Bench()
    bench.launch(patient("one"), asks("after", "one"))
    bench.queue("one")
    assert bench.step("one").wait is not None
    assert bench.step("one").wait.until == bench.state.wake_at == bench.now + 60  # type: ignore[union-attr]

    bench.wake()

    failure = bench.step("one").failure
    assert failure is not None
    assert (failure.reason, failure.kind) == ("QUEUE_TIMEOUT", "HUMAN_REQUIRED")
    assert failure.message.startswith("It waited 60 s for a place: No host is connected. ")
    assert bench.states() == {"one": "failed", "after": "cancelled"}
    bench.answer(WorkKind.REPORT)
    assert (bench.run.state, bench.run.failure and bench.run.failure.reason) == (RunState.FAILED, "QUEUE_TIMEOUT")


def test_a_run_goes_on_without_a_step_that_found_no_place_where_its_flow_says_so() -> None:
    bench = Bench()
    bench.launch(asks("one", agent={"queue_timeout_seconds": 60.0}, on_failure=OnFailure.CONTINUE), folds("end", "one"))
    bench.queue("one")

    bench.wake()

    assert bench.states() == {"one": "failed", "end": "running"}


def test_a_place_that_comes_with_the_last_moment_is_taken() -> None:
    bench = Bench()
    bench.launch(patient("one"))
    bench.queue("one")
    bench.now += 60 - 0.02

    bench.host()

    assert bench.states() == {"one": "running"}


def test_nothing_is_begun_in_a_run_whose_time_is_up() -> None:
    """Found by simulation: a place and the end of the run's time may come together."""
    bench = Bench()
    bench.launch(asks("one"), asks("two", agent={"queue_timeout_seconds": 60.0}), timeout=100.0)
    bench.queue("one")
    bench.now = bench.state.wake_at or 0.0

    bench.host(name="h1")

    assert bench.sent(StartExecution) == []
    assert bench.states() == {"one": "cancelled", "two": "cancelled"}


def test_the_queue_clock_begins_anew_after_a_pause() -> None:
    bench = Bench()
    bench.host("h1", 1)
    bench.launch(patient("one"), asks("other"))
    bench.queue("one")
    bench.now += 1000
    bench.finish("one", "failed", "SHIM_LOST")
    bench.queue("other")  # takes the only place

    assert bench.step("one").queue_deadline == bench.step("one").not_before + 60


def test_a_run_that_takes_too_long_is_ended_with_everything_in_it() -> None:
    bench = Bench()
    bench.host("h1", 1)
    bench.launch(asks("runs"), asks("queues"), asks("waits", "runs"), timeout=100.0)
    bench.queue("runs", "queues")
    assert bench.state.wake_at == 1000.01 + 0.01 + 100

    bench.wake()

    assert bench.sent(CancelExecution) == ["runs"]
    assert bench.states() == {"runs": "running", "queues": "cancelled", "waits": "cancelled"}
    assert bench.run.state is RunState.RUNNING
    bench.finish("runs", "cancelled", "CANCELLED")
    bench.answer(WorkKind.REPORT)
    assert bench.run.state is RunState.FAILED
    assert bench.run.failure is not None
    assert (bench.run.failure.reason, bench.run.failure.step) == ("RUN_TIMEOUT", "")
    assert bench.step("queues").reason == "the run's time was up"


def test_a_run_whose_steps_have_ended_is_not_ended_by_its_clock() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), timeout=100.0)
    bench.complete("one")

    bench.take(later=200)
    bench.answer(WorkKind.REPORT)

    assert bench.run.state is RunState.SUCCEEDED


def test_a_run_that_is_cancelled_ends_cancelled_though_its_time_is_up_meanwhile() -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("one"), timeout=100.0)
    bench.queue("one")
    bench.cancel()

    bench.take(later=200)
    bench.finish("one", "cancelled", "CANCELLED")
    bench.answer(WorkKind.REPORT)

    assert bench.run.state is RunState.CANCELLED


def test_a_late_tick_spares_runs_and_steps_until_they_were_heard() -> None:
    """Keeps rule 7: what ended while this process slept is heard before a clock ends it."""
    bench = Bench()
    bench.host("h1", 1)
    bench.launch(asks("runs"), patient("queues"), timeout=100.0)
    bench.queue("runs", "queues")

    bench.take(later=3600)
    assert bench.states() == {"runs": "running", "queues": "queued"}
    assert bench.state.wake_at == bench.now + 10
    bench.finish("runs")
    assert bench.states() == {"runs": "validating", "queues": "running"}


def test_a_start_spares_runs_and_steps_until_hosts_are_heard() -> None:
    bench = Bench()
    bench.launch(patient("one"), timeout=100.0)
    bench.queue("one")
    bench.now += 3600

    bench.crash()
    bench.take()

    assert bench.states() == {"one": "queued"}
    assert bench.state.wake_at == pytest.approx(bench.now + 10, abs=0.1)
    bench.wake()
    assert bench.run.failure is not None
    assert bench.run.failure.reason == "RUN_TIMEOUT"


def test_clocks_end_as_much_as_a_decision_holds_and_the_rest_at_once_after() -> None:
    """Keeps rule 15."""
    bench = Bench(Limits(events_per_decision=4))
    names = [f"s{number}" for number in range(9)]
    bench.launch(*(patient(name, max_attempts=1) for name in names))
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        bench.take(later=0)
    bench.queue(*names)

    while bench.state.wake_at is not None:
        bench.wake()
        assert len(bench.last.to_store) <= 8

    assert set(bench.states().values()) == {"failed", "cancelled"}


def test_each_attempt_is_lost_by_its_own_patience() -> None:
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1", 2)
    bench.launch(asks("soon", agent={"lost_after_seconds": 20.0}), asks("later"))
    bench.queue("soon", "later")
    bench.host("h1", connected=False)

    bench.wake()
    assert (bench.attempt("soon").state, bench.attempt("later").state) == (AttemptState.LOST, AttemptState.STARTING)
    assert bench.attempt("soon").end.failure is not None
    assert bench.attempt("soon").end.failure.message == "Host h1 was silent for 20 s."  # type: ignore[union-attr]
    bench.crash()
    assert {track.lost_after for track in bench.state.ongoing[bench.run.id].tracks.values()} == {100.0}


def test_another_host_in_the_place_of_one_is_silent_about_what_that_one_runs() -> None:
    """Keeps I4: addresses that were exchanged must not make two of an attempt, nor end one that goes on."""
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1", instance="first")
    bench.launch(asks("one"), asks("two"))
    bench.queue("one", "two")
    assert [command.instance for command in bench.crash() if isinstance(command, StartExecution)] == ["first", "first"]

    bench.host("h1", instance="second")
    assert bench.attempt("one").state is AttemptState.STARTING
    assert bench.state.wake_at == bench.now + 100.0
    bench.finish("two")
    bench.host("h1", instance="first")
    assert bench.state.wake_at is None or bench.state.wake_at > bench.now + 100.0
    bench.host("h1", instance="second")
    bench.wake()

    assert (bench.attempt("one").state, bench.attempt("two").state) == (AttemptState.LOST, AttemptState.SUCCEEDED)


@pytest.mark.parametrize(
    ("instance", "connected", "told", "of_earlier"),
    [
        ("first", True, [], 0),
        ("first", False, [False], 0),
        ("second", True, [True], 1),
        ("second", False, [False], 1),  # who is away is away; with which folder it was here last is known all the same
    ],
)
def test_an_absence_says_whether_another_instance_stands_in_the_place_of_the_host(
    *, instance: str, connected: bool, told: list[bool], of_earlier: int
) -> None:
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1", instance="first")
    bench.host("h2", instance="else")
    bench.launch(asks("one"))
    bench.queue("one")
    bench.host("h1", instance=instance)
    if not connected:
        bench.host("h1", connected=False)

    absences = list_absences(bench.state, RUN)

    assert [one.other_instance for one in absences] == told
    assert [count_of_earlier_instances(bench.state, name) for name in ("h1", "h2", "h3")] == [of_earlier, 0, 0]
    assert [one.other_instance for one in disconnections(RUN, absences)] == told


def test_a_step_that_must_not_run_twice_fails_when_its_host_is_lost() -> None:
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1")
    bench.launch(asks("one", agent={"on_lost": OnLost.FAIL}))
    bench.queue("one")
    bench.host("h2")
    bench.host("h1", connected=False)

    bench.wake()

    assert bench.states() == {"one": "failed"}
    assert reason_of(bench.attempt("one")) == "HOST_LOST"


def test_one_result_counts_when_a_lost_host_comes_back() -> None:
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1")
    bench.launch(asks("one"))
    bench.queue("one")
    lost = bench.attempt("one").id
    bench.host("h2")
    bench.host("h1", connected=False)
    bench.wake()
    bench.wake()
    assert bench.attempt("one").host == "h2"

    bench.host("h1")
    bench.report(lost, 1, Output(lost, Channel.ANSWER, "late"))
    assert [event.attempt for event in bench.stored(ReportRefused) if isinstance(event, ReportRefused)] == [lost]
    assert bench.sent(CancelExecution) == ["one"]
    bench.report(lost, 2, AgentFinished(AttemptState.SUCCEEDED))
    assert bench.sent(AckExecution) == ["one"]
    bench.finish("one")
    bench.answer(WorkKind.CHECK, "one")

    assert [attempt.state for attempt in bench.step("one").attempts] == [AttemptState.LOST, AttemptState.SUCCEEDED]
    assert "late" not in [one.text for one in bench.said]


def test_a_late_tick_begins_to_count_every_silence_anew() -> None:
    """Keeps rule 7: of a host that was not yet due as well."""
    bench = Bench(Limits(lost_after=100.0))
    bench.host("h1")
    bench.host("h2")
    bench.launch(asks("one"), asks("two"))
    bench.queue("one", "two")
    bench.host("h1", connected=False)
    bench.take(later=90)
    bench.host("h2", connected=False)

    bench.take(later=60)  # h1 was due 50 s ago

    assert bench.state.wake_at == bench.now + 100
    assert bench.attempt("one").is_live
    assert bench.sent(StartExecution) == []
