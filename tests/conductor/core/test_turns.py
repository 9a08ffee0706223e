"""Turns and repairs: what follows from an answer while its agent waits. Keeps D13 and F3."""

import pytest

from conductor.core.model.commands import (
    CancelExecution,
    CloseExecution,
    Command,
    Evaluate,
    ResumeExecution,
    SendInput,
)
from conductor.core.model.events.attempt_events import InputRefused, RepairAsked, TurnChecked, TurnEnded
from conductor.core.model.events.event_parts import FindingCounts, UsableAnswer
from conductor.core.model.inputs import (
    AgentRefusedInput,
    ExecutionLost,
    HostAgent,
    HostReported,
)
from conductor.core.model.states import AttemptState, Cause, Failure, FailureClass, StepState
from conductor.core.model.work import Answer, Checked, OutputInvalid, Work, WorkFailed, WorkKind
from tests.conductor.core.bench import RUN, Bench, asks
from tests.conductor.core.talk import REPAIR, WRONG, Talk, repairing, waiting

STILL_WRONG = OutputInvalid(WRONG)
GOOD = Checked("findings", FindingCounts(verified=1))
ATTEMPT = f"{RUN}-step-1"


def test_an_agent_that_takes_turns_may_take_two() -> None:
    assert Talk().attempt.start.turns == 2
    assert Talk(takes_turns=False).attempt.start.turns == 0


def test_the_end_of_a_turn_is_stored_with_its_answer_and_checked_while_the_agent_waits() -> None:
    talk = Talk()
    talk.begin()
    talk.end_turn(result="digest")

    assert talk.bench.stored(TurnEnded) == [TurnEnded("step", ATTEMPT, 1, 0, 5, "digest")]
    assert [blob.digest for blob in talk.bench.last.blobs] == ["digest"]
    assert talk.has_asked()
    assert talk.sent() == []
    assert talk.step.state is StepState.RUNNING


def test_a_good_answer_closes_and_the_step_ends_when_its_agent_has_ended() -> None:
    talk = waiting()

    talk.check(GOOD)
    assert talk.sent() == [CloseExecution("h1", ATTEMPT)]
    assert talk.step.state is StepState.RUNNING
    talk.finish()

    assert talk.step.state is StepState.SUCCEEDED
    assert talk.step.findings == "findings"
    assert not talk.has_asked()


def test_an_idle_agent_keeps_its_slot() -> None:
    talk = waiting()
    talk.check(GOOD)

    assert list(talk.bench.state.ongoing[RUN].tracks) == [ATTEMPT]
    talk.finish()
    assert not talk.bench.state.ongoing[RUN].tracks


def test_a_bad_answer_is_asked_for_once_more_in_the_same_process() -> None:
    """Keeps F3: bad, then good."""
    talk = waiting()

    talk.check(REPAIR)
    stored = talk.bench.stored(RepairAsked)
    assert stored == [RepairAsked("step", ATTEMPT, 1, "prompt of the repair", "input of the repair", WRONG)]
    assert talk.sent() == [SendInput("h1", ATTEMPT, 1, "input of the repair")]
    talk.end_turn(2, end=12)
    talk.check(GOOD, turn=2)
    assert talk.sent() == [CloseExecution("h1", ATTEMPT)]
    talk.finish()

    assert talk.step.state is StepState.SUCCEEDED
    assert talk.attempt.answer_range == (7, 12)
    assert len(talk.step.attempts) == 1


def test_a_second_bad_answer_fails_the_step_and_says_that_a_repair_was_asked_for() -> None:
    """Keeps F3: bad, bad."""
    talk = repairing()
    talk.end_turn(2)
    talk.check(STILL_WRONG, turn=2)

    assert talk.sent() == [CloseExecution("h1", ATTEMPT)]
    talk.finish()
    assert talk.step.state is StepState.FAILED
    assert talk.failure.reason == "OUTPUT_INVALID_AFTER_REPAIR"
    assert WRONG.message in talk.failure.message


def test_no_second_repair_is_granted_whatever_the_check_offers() -> None:
    talk = repairing(schema=1)
    talk.end_turn(2)
    talk.check(REPAIR, turn=2)
    assert talk.sent() == [CloseExecution("h1", ATTEMPT)]
    talk.finish()

    assert talk.requeued() == [(Cause.SCHEMA, 1)]
    talk.bench.wake()
    assert talk.attempt.start.turns == 0
    talk.begin()
    talk.finish()
    talk.check(REPAIR, turn=0)
    assert talk.failure.reason == "OUTPUT_INVALID_AFTER_REPAIR"
    assert len(talk.step.attempts) == 2


def test_an_agent_that_answers_once_is_asked_in_a_new_attempt_that_counts_against_nothing() -> None:
    talk = Talk(takes_turns=False, attempts=2, schema=1)
    talk.begin()
    talk.finish()

    talk.check(REPAIR, turn=0)
    assert talk.requeued() == [("repair", 0)]
    assert talk.attempt.start.prompt == "prompt of the repair"
    talk.begin()
    talk.finish()
    talk.check(STILL_WRONG, turn=0)

    assert talk.requeued() == [(Cause.SCHEMA, 1)]
    talk.bench.wake()
    assert talk.attempt.start.prompt == "prompt of step"
    assert talk.attempt.number == 3
    talk.begin()
    talk.finish()
    talk.check(STILL_WRONG, turn=0)
    assert talk.failure.reason == "OUTPUT_INVALID_AFTER_REPAIR"


def test_a_retry_for_infrastructure_reuses_the_prompt_of_the_repair_and_adds_none() -> None:
    talk = repairing()
    talk.finish(AttemptState.FAILED, "SHIM_LOST")

    assert talk.requeued() == [(Cause.INFRASTRUCTURE, 1)]
    talk.bench.wake()
    assert talk.attempt.start.prompt == "prompt of the repair"
    assert talk.attempt.start.turns == 0
    talk.begin()
    talk.finish()
    talk.check(REPAIR, turn=0)
    assert talk.failure.reason == "OUTPUT_INVALID_AFTER_REPAIR"


def test_an_agent_that_leaves_instead_of_repairing_is_followed_by_one_that_repairs() -> None:
    talk = repairing(attempts=1)
    talk.finish()

    assert talk.requeued() == [("repair", 0)]
    assert talk.attempt.start.prompt == "prompt of the repair"


def test_a_refused_input_closes_and_another_attempt_repairs() -> None:
    talk = repairing(attempts=1)

    talk.report(AgentRefusedInput(1, "INPUT_CLOSED"))
    assert talk.bench.stored(InputRefused) == [InputRefused("step", ATTEMPT, 1, "INPUT_CLOSED")]
    assert talk.sent() == [CloseExecution("h1", ATTEMPT)]
    talk.finish(AttemptState.FAILED, "AGENT_EXIT_NONZERO")

    assert talk.attempt.start.prompt == "prompt of the repair"


def test_an_agent_that_fails_while_it_repairs_fails_the_step_as_agents_do() -> None:
    talk = repairing()
    talk.finish(AttemptState.FAILED, "AGENT_EXIT_NONZERO")

    assert talk.failure.reason == "AGENT_EXIT_NONZERO"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (AttemptState.FAILED, "AGENT_EXIT_NONZERO"),
        (AttemptState.FAILED, "AGENT_KILLED"),
        (AttemptState.CANCELLED, "CANCELLED"),
        (AttemptState.TIMED_OUT, "STEP_TIMEOUT"),
    ],
)
@pytest.mark.parametrize("is_checked", [True, False], ids=["after its check", "during its check"])
def test_after_a_valid_last_turn_the_way_in_which_it_ends_changes_nothing(
    outcome: AttemptState, reason: str, *, is_checked: bool
) -> None:
    talk = waiting()
    if is_checked:
        talk.check(GOOD)
    talk.finish(outcome, reason)
    if not is_checked:
        assert talk.step.state is StepState.VALIDATING
        talk.check(GOOD)

    assert talk.step.state is StepState.SUCCEEDED


@pytest.mark.parametrize("reason", ["READ_ONLY_VIOLATION", "MODEL_STREAM_CUT"])
@pytest.mark.parametrize("is_checked", [True, False], ids=["after its check", "during its check"])
def test_a_snapshot_that_changed_and_a_model_that_failed_outweigh_a_valid_turn(
    *, is_checked: bool, reason: str
) -> None:
    talk = waiting()
    if is_checked:
        talk.check(GOOD)
    talk.finish(AttemptState.FAILED, reason)

    assert talk.step.state is StepState.FAILED
    assert talk.failure.reason == reason


def test_an_attempt_that_was_lost_proves_nothing_of_the_snapshot_and_is_made_again() -> None:
    talk = waiting()
    talk.check(GOOD)
    talk.bench.take(ExecutionLost(ATTEMPT, "the host does not know it"))

    assert talk.attempt.state is AttemptState.LOST
    assert talk.step.state is StepState.QUEUED


def test_a_process_that_ends_during_its_check_is_repaired_by_another() -> None:
    talk = waiting()
    talk.finish()
    assert not talk.has_asked()

    talk.check(REPAIR)

    assert talk.bench.stored(RepairAsked)
    assert talk.attempt.start.prompt == "prompt of the repair"


def test_a_turn_that_its_agent_calls_failed_is_not_checked_and_closes() -> None:
    talk = Talk(agent=1)
    talk.begin()
    talk.end_turn(reason="TURN_FAILED")
    assert talk.sent() == [CloseExecution("h1", ATTEMPT)]
    assert not talk.has_asked()

    talk.finish(AttemptState.FAILED, "TURN_FAILED")
    assert talk.requeued() == [(Cause.AGENT, 1)]


def test_a_check_that_could_not_be_made_asks_for_no_repair() -> None:
    talk = waiting()
    talk.check(WorkFailed(Failure("EVALUATION_LIMIT", "too large", FailureClass.HUMAN_REQUIRED)))
    assert talk.sent() == [CloseExecution("h1", ATTEMPT)]
    talk.finish()

    assert talk.failure.reason == "EVALUATION_LIMIT"


def test_a_run_that_stops_repairs_nothing() -> None:
    talk = waiting()
    talk.bench.cancel()
    assert talk.sent() == [CancelExecution("h1", ATTEMPT, "enough")]

    talk.check(REPAIR)
    assert talk.bench.stored(RepairAsked) == []
    talk.finish(AttemptState.CANCELLED, "CANCELLED")
    assert talk.step.state is StepState.FAILED
    assert talk.failure.reason == "OUTPUT_INVALID"


def test_a_turn_that_was_not_asked_for_is_passed_over() -> None:
    talk = waiting()
    talk.end_turn(2)
    assert talk.bench.stored(TurnEnded) == []
    talk.end_turn(1)
    assert talk.bench.stored(TurnEnded) == []


def test_a_plan_of_an_earlier_version_has_no_repair() -> None:
    bench = Bench()
    bench.take(HostReported("h1", connected=True, slots=2, agents=(HostAgent("survey", "", takes_turns=True),)))
    bench.launch(asks("step"))
    bench.queue("step")
    assert bench.attempt("step").start.turns == 0
    bench.finish("step")
    bench.answer(WorkKind.CHECK, "step", REPAIR)

    assert bench.step("step").failure == WRONG


@pytest.mark.parametrize("moment", ["checking", "valid", "repairing", "refused", "second turn", "still wrong"])
def test_recovery_sends_every_input_and_close_again_and_asks_every_check_again(moment: str) -> None:
    talk = waiting()
    expected: list[Command] = []
    check = [Evaluate(Work(RUN, WorkKind.CHECK, "step", ATTEMPT, 1))]
    close: list[Command] = [CloseExecution("h1", ATTEMPT)]
    match moment:
        case "checking":
            expected = [*check]
        case "valid":
            talk.check(GOOD)
            expected = close
        case "repairing":
            talk.check(REPAIR)
            expected = [SendInput("h1", ATTEMPT, 1, "input of the repair")]
        case "refused":
            talk.check(REPAIR)
            talk.report(AgentRefusedInput(1, "INPUT_CLOSED"))
            expected = close
        case "second turn":
            talk.check(REPAIR)
            talk.end_turn(2)
            expected = [Evaluate(Work(RUN, WorkKind.CHECK, "step", ATTEMPT, 2))]
        case _:
            talk.check(REPAIR)
            talk.end_turn(2)
            talk.check(REPAIR, turn=2)
            expected = close

    commands = talk.bench.crash()

    assert list(commands) == [ResumeExecution("h1", ATTEMPT, talk.number), *expected]
    talk.bench.take()
    assert talk.sent() == []


def test_a_crash_after_a_repair_was_asked_for_grants_no_second_one() -> None:
    """Keeps K8 of the crash points."""
    talk = repairing()
    talk.bench.crash()
    talk.bench.take()
    talk.check(REPAIR)
    assert talk.bench.stored(RepairAsked) == []
    talk.end_turn(2)
    talk.check(REPAIR, turn=2)

    assert talk.bench.stored(RepairAsked) == []
    assert talk.bench.stored(TurnChecked) == [TurnChecked("step", ATTEMPT, 2, failure=WRONG)]


USABLE = OutputInvalid(WRONG, "prompt of the repair", "input of the repair", UsableAnswer("former", output="typed"))


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (GOOD, "findings"),
        (REPAIR, "former"),
        (USABLE, "former"),
        (WorkFailed(Failure("EVALUATION_LIMIT", "x")), "former"),
    ],
    ids=["better", "no answer", "as before", "one that could not be checked"],
)
@pytest.mark.parametrize("takes_turns", [True, False])
def test_an_answer_that_lacks_evidence_counts_where_its_repair_brings_nothing_better(
    answer: Answer, counts: str, *, takes_turns: bool
) -> None:
    """Keeps F3: missing evidence is sent back once, and that never costs what was found."""
    talk = waiting() if takes_turns else Talk(takes_turns=False)
    if not takes_turns:
        talk.begin()
        talk.finish()
    talk.check(USABLE, turn=int(takes_turns))
    assert talk.bench.stored(RepairAsked)
    talk.bench.crash()
    talk.bench.take()

    if takes_turns:
        talk.end_turn(2)
        talk.check(answer, turn=2)
        talk.finish()
    else:
        talk.begin()
        talk.finish()
        talk.check(answer, turn=0)

    assert talk.step.state is StepState.SUCCEEDED
    assert (talk.step.findings, talk.step.output) == (counts, "typed" if counts == "former" else "")
    assert len(talk.step.attempts) == 2 - takes_turns


def test_an_answer_that_lacks_evidence_counts_at_once_where_its_run_stops() -> None:
    talk = waiting()
    talk.bench.cancel()
    talk.check(USABLE)
    talk.finish(AttemptState.CANCELLED, "CANCELLED")

    assert talk.bench.stored(RepairAsked) == []
    assert (talk.step.state, talk.step.findings) == (StepState.SUCCEEDED, "former")


@pytest.mark.parametrize("reason", ["READ_ONLY_VIOLATION", "MODEL_STREAM_CUT"])
def test_an_answer_of_an_attempt_that_changed_the_snapshot_does_not_count(reason: str) -> None:
    talk = waiting()
    talk.check(USABLE)
    talk.finish(AttemptState.FAILED, reason)

    is_void = reason == "READ_ONLY_VIOLATION"
    assert talk.step.state is (StepState.FAILED if is_void else StepState.SUCCEEDED)
