"""When a stream starts or resumes, which frames count, and when an attempt is over: as tables (I2, I3)."""

import pytest

from conductor.core.conversation import GO_ON, MAX_DEFECTS, OVER, Conversation, Place, StreamEnd, StreamVerdict
from conductor.core.model.commands import AckExecution, CancelExecution, ResumeExecution, StartExecution
from conductor.core.model.events.event_parts import StartSpec
from conductor.core.model.inputs import ExecutionLost, ExecutionRefused

ATTEMPT = "run-ask-1"
START = StartExecution("alpha", StartSpec(ATTEMPT, "survey", "prompt", "c" * 40, (), 60.0, 30.0))
RESUME = ResumeExecution("alpha", ATTEMPT, 4)
CANCEL = CancelExecution("alpha", ATTEMPT, "enough")


def asked(*commands: object) -> Conversation:
    conversation = Conversation(ATTEMPT)
    for command in commands:
        conversation.hear(command)  # type: ignore[arg-type]
    return conversation


def known() -> Conversation:
    conversation = asked(START)
    conversation.take(1, is_end=False)
    return conversation


def test_it_starts_until_the_host_has_shown_that_it_has_the_attempt() -> None:
    assert asked(START).to_start == START
    assert known().to_start is None


@pytest.mark.parametrize("commands", [(RESUME,), (START, CANCEL), (CANCEL,), (START, RESUME)])
def test_it_resumes_what_is_to_run_already_and_what_is_cancelled_before_it_began(commands: tuple[object, ...]) -> None:
    assert asked(*commands).to_start is None


@pytest.mark.parametrize(
    ("sequence", "place", "received"), [(4, Place.KNOWN, 4), (5, Place.NEXT, 5), (6, Place.TOO_FAR, 4)]
)
def test_only_the_next_frame_counts(sequence: int, place: Place, received: int) -> None:
    conversation = asked(RESUME)

    assert conversation.take(sequence, is_end=False) is place
    assert conversation.received == received


def test_an_acknowledgement_alone_settles_what_an_earlier_process_received() -> None:
    assert asked(AckExecution("alpha", ATTEMPT, 9, finished=True)).received == 9


def test_a_stream_that_ends_in_order_ends_the_attempt_only_after_our_goodbye() -> None:
    conversation = known()
    assert conversation.judge(None) == GO_ON
    conversation.release()
    assert conversation.judge(None) == OVER
    conversation.begin_stream()

    assert conversation.judge(None) == GO_ON


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"])
def test_a_lost_connection_says_nothing_about_the_attempt(code: str) -> None:
    assert asked(START).judge(StreamEnd(code)) == GO_ON
    assert known().judge(StreamEnd(code)) == GO_ON


@pytest.mark.parametrize(
    ("end", "retryable"),
    [
        (StreamEnd("UNAVAILABLE", "HOST_DRAINING", "no"), True),
        (StreamEnd("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no"), True),
        (StreamEnd("ALREADY_EXISTS", "EXECUTION_EXISTS", "no"), True),
        (StreamEnd("INVALID_ARGUMENT", "INVALID_REQUEST", "no"), False),
    ],
)
def test_a_start_that_is_refused_is_told_to_the_engine_and_one_that_ran_is_asked_for_again(
    end: StreamEnd, *, retryable: bool
) -> None:
    refused = ExecutionRefused(ATTEMPT, end.reason, "no", retryable)

    assert asked(START).judge(end) == StreamVerdict(is_over=True, news=refused)
    assert known().judge(end) == GO_ON


def test_a_host_whose_word_was_lost_is_asked_again_and_listened_to_first() -> None:
    conversation = known()
    for _ in range(3 * MAX_DEFECTS):
        assert conversation.judge(StreamEnd("STATUS_LOST")) == GO_ON
        assert conversation.is_cautious

    assert conversation.judge(StreamEnd("NOT_FOUND", message="gone")).news == ExecutionLost(ATTEMPT, "gone")
    assert not conversation.is_cautious


def test_a_refusal_is_told_only_when_no_earlier_start_can_begin_any_more() -> None:
    """Keeps I2: the first Start may still be on its way to the host when the second is refused."""
    conversation = asked(START)
    conversation.begin_stream()
    assert conversation.judge(StreamEnd("UNAVAILABLE")) == GO_ON
    conversation.begin_stream()
    assert conversation.judge(StreamEnd("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no")) == GO_ON
    assert conversation.to_start is None, "a Resume spends the id"
    conversation.begin_stream()
    refused = ExecutionRefused(ATTEMPT, "NO_CAPACITY", "no", retryable=True)

    assert conversation.judge(StreamEnd("NOT_FOUND", "EXECUTION_NOT_FOUND", "spent")) == StreamVerdict(
        is_over=True, news=refused
    )


def test_a_refused_start_whose_earlier_one_arrived_goes_on() -> None:
    conversation = asked(START)
    conversation.begin_stream()
    conversation.judge(StreamEnd("UNAVAILABLE"))
    conversation.begin_stream()
    conversation.judge(StreamEnd("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no"))
    conversation.begin_stream()

    assert conversation.take(1, is_end=False) is Place.NEXT
    assert conversation.judge(StreamEnd("NOT_FOUND", "", "gone")).news == ExecutionLost(ATTEMPT, "gone")


def test_an_attempt_that_its_host_does_not_know_is_lost_unless_its_end_was_received() -> None:
    unknown = StreamEnd("NOT_FOUND", "EXECUTION_NOT_FOUND", "there is none")
    assert known().judge(unknown) == StreamVerdict(is_over=True, news=ExecutionLost(ATTEMPT, "there is none"))
    ended = known()
    ended.take(2, is_end=True)
    assert ended.judge(unknown) == OVER
    dismissed = known()
    dismissed.is_dismissed = True

    assert dismissed.judge(unknown) == OVER


def test_a_host_that_answers_nonsense_is_asked_a_few_times_and_every_frame_begins_the_count_again() -> None:
    conversation, nonsense = known(), StreamEnd("INTERNAL", "", "boom")
    for _ in range(MAX_DEFECTS - 1):
        assert conversation.judge(nonsense) == GO_ON
    conversation.take(2, is_end=False)
    for _ in range(MAX_DEFECTS - 1):
        assert conversation.judge(nonsense) == GO_ON
    given_up = conversation.judge(nonsense)

    assert given_up.is_over
    assert given_up.is_defect
    assert isinstance(given_up.news, ExecutionLost)


@pytest.mark.parametrize("command", [START, RESUME])
def test_a_host_that_is_another_one_says_nothing_about_the_attempt(command: StartExecution | ResumeExecution) -> None:
    conversation = asked(command)
    for _ in range(2 * MAX_DEFECTS):
        conversation.begin_stream()
        assert conversation.judge(StreamEnd("FAILED_PRECONDITION", "OTHER_INSTANCE", "another data folder")) == GO_ON
