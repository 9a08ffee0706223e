"""Work goes on after a restart, at each point where the conductor may die."""

from conductor.core.decide.advance import advance
from conductor.core.decide.recover import recover, restore
from conductor.core.folded.run import fold
from conductor.core.model.commands import AckExecution, CancelExecution, Evaluate, ResumeExecution, StartExecution
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import RunSettled, StepGuardPassed
from conductor.core.model.inputs import AgentFinished, AgentStarted, ExecutionLost
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState, Failure, RunState
from conductor.core.model.work import GuardDecided, Work, WorkKind
from tests.conductor.core.bench import OTHER, RUN, Bench, asks, folds


def started() -> tuple[Bench, str]:
    bench = Bench()
    bench.host()
    bench.launch(asks("step"))
    bench.queue("step")
    return bench, bench.attempt("step").id


def test_a_start_that_may_not_have_been_sent_is_sent_again_as_it_was() -> None:
    """Keeps I3."""
    bench, _ = started()
    sent = bench.last.to_send

    assert bench.crash() == sent == (StartExecution("h1", bench.attempt("step").start),)


def test_an_attempt_that_runs_is_resumed_after_what_is_stored() -> None:
    """Keeps I3."""
    bench, attempt = started()
    bench.report(
        attempt,
        1,
        AgentStarted(Confinement()),
        Output(attempt, Channel.ANSWER, "x"),
        Output(attempt, Channel.ANSWER, "y"),
    )

    assert bench.crash() == (ResumeExecution("h1", attempt, 3),)
    bench.take()
    bench.report(attempt, 4, Output(attempt, Channel.ANSWER, "z"))
    assert [one.text for one in bench.said] == ["x", "y", "z"]


def test_an_end_that_may_not_have_been_acknowledged_is_acknowledged_again() -> None:
    """Keeps I3."""
    bench, attempt = started()
    bench.report(attempt, 1, AgentStarted(Confinement()), AgentFinished(AttemptState.SUCCEEDED))

    commands = bench.crash()

    assert AckExecution("h1", attempt, 2, finished=True) in commands
    assert Evaluate(Work(RUN, WorkKind.CHECK, "step", attempt)) in commands


def test_an_attempt_that_was_given_up_has_nothing_to_acknowledge() -> None:
    bench, attempt = started()
    bench.report(attempt, 1, AgentStarted(Confinement()))
    bench.take(ExecutionLost(attempt, "unknown"))

    assert bench.crash() == ()


def test_an_agent_that_is_to_end_is_told_again_and_never_started() -> None:
    """Keeps I3, B7."""
    bench, attempt = started()
    bench.cancel()

    assert bench.crash() == (ResumeExecution("h1", attempt, 0), CancelExecution("h1", attempt, "enough"))


def test_work_that_was_asked_is_asked_again() -> None:
    """Keeps I3."""
    bench = Bench()
    bench.host()
    bench.launch(asks("guarded", has_skip_guard=True), asks("prompt"), folds("fold"), asks("after", "fold"))

    commands = bench.crash()

    assert commands == (
        Evaluate(Work(RUN, WorkKind.SKIP_GUARD, "guarded")),
        Evaluate(Work(RUN, WorkKind.PROMPT, "prompt")),
        Evaluate(Work(RUN, WorkKind.FOLD, "fold")),
    )


def test_a_report_that_was_asked_for_is_asked_for_again() -> None:
    bench = Bench()
    bench.launch(folds("one"))
    bench.answer(WorkKind.FOLD, "one")

    assert bench.crash() == (Evaluate(Work(RUN, WorkKind.REPORT)),)


def test_a_pause_before_a_retry_outlives_a_restart() -> None:
    bench, _ = started()
    bench.finish("step", "failed", "SHIM_LOST")
    due = bench.step("step").not_before

    bench.crash()
    bench.take()
    assert bench.state.wake_at == due
    bench.host()
    bench.wake()

    assert bench.sent(StartExecution) == ["step"]


def test_what_a_full_decision_left_for_the_next_one_is_found_again() -> None:
    bench = Bench(Limits(events_per_decision=5))
    bench.launch(*(asks(f"s{number}") for number in range(12)))
    assert list(bench.states().values()).count("ready") == 4

    bench.crash()
    while bench.state.wake_at is not None and bench.state.wake_at <= bench.now:
        bench.take(later=0)

    assert set(bench.states().values()) == {"ready"}


def test_the_first_call_after_a_restart_is_due_at_once_and_changes_nothing_where_nothing_is_left() -> None:
    bench, attempt = started()
    bench.report(attempt, 1, AgentStarted(Confinement()))
    bench.crash()

    assert bench.state.wake_at == bench.now
    assert bench.take().to_store == ()


def test_a_run_that_cannot_be_read_is_ended_and_stops_no_other() -> None:
    """Keeps I5."""
    bench = Bench()
    bench.host()
    bench.launch(asks("one"))
    bench.queue("one")
    unfinished = dict(bench.runs)
    state = restore(unfinished, bench.cursors, bench.now, damaged={OTHER: "event 3 is no JSON"})
    assert [type(command) for command in recover(state)] == [StartExecution]

    decision, bench.state = advance(state, (), bench.now)

    failure = Failure("STORAGE_DAMAGED", "Cannot read the stored events of this run: event 3 is no JSON")
    assert [(one.run, one.event) for one in decision.to_store] == [(OTHER, RunSettled(RunState.FAILED, failure))]
    assert bench.state.damaged == {}
    assert bench.attempt("one").is_live


def test_a_guard_that_let_its_step_pass_is_not_asked_again() -> None:
    """Keeps I3."""
    bench = Bench()
    bench.launch(asks("one", has_skip_guard=True))
    bench.answer(WorkKind.SKIP_GUARD, "one", GuardDecided(skip=False))

    assert bench.crash() == (Evaluate(Work(RUN, WorkKind.PROMPT, "one")),)


def test_a_guard_is_asked_again_where_an_earlier_version_did_not_store_that_it_let_its_step_pass() -> None:
    """Keeps K7."""
    bench = Bench()
    bench.launch(asks("one", has_skip_guard=True))
    bench.answer(WorkKind.SKIP_GUARD, "one", GuardDecided(skip=False))
    bench.runs[RUN] = fold((event, 0.0) for _, event in bench.events if not isinstance(event, StepGuardPassed))

    assert bench.crash() == (Evaluate(Work(RUN, WorkKind.SKIP_GUARD, "one")),)
    bench.take()
    bench.answer(WorkKind.SKIP_GUARD, "one", GuardDecided(skip=False))
    assert bench.asked(WorkKind.PROMPT) == ["one"]
