"""Each rule of `reports` as a sentence: what follows from what hosts report."""

import pytest

from conductor.core.model.activity import Notice, ToolCall, ToolResult, Usage, write_line
from conductor.core.model.commands import AckExecution, CancelExecution, ResumeExecution
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.attempt_events import AttemptEnded, AttemptStarted
from conductor.core.model.events.event_parts import Confinement, ModelUse
from conductor.core.model.events.run_events import ReportRefused
from conductor.core.model.inputs import (
    AgentFinished,
    AgentStarted,
    Blob,
    ExecutionLost,
    ExecutionRefused,
    ExecutionReported,
)
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState
from conductor.core.model.work import WorkKind
from tests.conductor.core.bench import RUN, Bench, asks, folds

HERE = Confinement("bubblewrap", argv=("survey",), uid=65534)


def running(limits: Limits | None = None) -> tuple[Bench, str]:
    bench = Bench(limits)
    bench.host()
    bench.launch(asks("step"), asks("other"))
    bench.queue("step")
    attempt = bench.attempt("step").id
    bench.report(attempt, 1, AgentStarted(HERE))
    return bench, attempt


def test_an_attempt_runs_once_its_agent_is_confined() -> None:
    bench, attempt = running()

    assert bench.stored(AttemptStarted) == [AttemptStarted("step", attempt, HERE)]
    assert bench.attempt("step").confinement == HERE
    assert bench.attempt("step").state is AttemptState.RUNNING


def test_text_goes_to_the_transcript_and_asks_for_no_full_commit() -> None:
    bench, attempt = running()

    decision = bench.report(
        attempt, 2, Output(attempt, Channel.ANSWER, "he"), Output(attempt, Channel.LOG, "x"), last=5
    )

    assert decision.to_store == (
        Output(attempt, Channel.ANSWER, "he"),
        Output(attempt, Channel.LOG, "x"),
    )
    assert decision.cursors == ((attempt, 5),)
    assert not decision.durable


def test_frames_that_were_stored_are_dropped_and_acknowledged_again() -> None:
    bench, attempt = running()
    bench.report(attempt, 2, Output(attempt, Channel.ANSWER, "he"), Output(attempt, Channel.ANSWER, "llo"))
    bench.wake()

    decision = bench.report(attempt, 2, Output(attempt, Channel.ANSWER, "he"))

    assert decision.to_store == ()
    bench.wake()
    assert bench.last.to_send == (AckExecution("h1", attempt, 3),)
    assert bench.last.durable


@pytest.mark.parametrize(("first", "last"), [(4, 4), (2, 4), (1, 3)])
def test_frames_with_a_gap_or_partly_old_are_refused_and_the_stream_begins_anew(first: int, last: int) -> None:
    bench, attempt = running()
    bench.report(attempt, 2, Output(attempt, Channel.ANSWER, "a"))

    decision = bench.report(
        attempt, first + (first == 4), Output(attempt, Channel.ANSWER, "b"), last=last + (first == 4)
    )

    assert decision.to_store == ()
    assert decision.cursors == ()
    assert decision.to_send == (ResumeExecution("h1", attempt, 2),)


def test_a_stream_is_begun_anew_once_a_second_however_much_comes_out_of_order() -> None:
    bench, attempt = running()
    for number in range(20):
        bench.report(attempt, 5 + number, Output(attempt, Channel.ANSWER, "late"))
    assert [type(one) for one in bench.commands].count(ResumeExecution) == 1

    bench.wake()  # the beat of acknowledgements, or the stream: both are due within the second
    bench.wake()

    assert [one for one in bench.commands if isinstance(one, ResumeExecution)] == [
        ResumeExecution("h1", attempt, 1)
    ] * 2


def test_text_is_acknowledged_at_most_once_a_second_after_it_is_stored() -> None:
    bench, attempt = running()
    for number in range(2, 52):
        bench.report(attempt, number, Output(attempt, Channel.ANSWER, "."))  # half a second of it
    assert [one for one in bench.commands if isinstance(one, AckExecution)] == []

    decision = bench.wake()

    assert decision.to_send == (AckExecution("h1", attempt, 51),)
    assert decision.durable
    assert decision.cursors == ((attempt, 51),)  # so that the transaction writes, and syncs


def test_acknowledgements_of_all_attempts_share_a_commit() -> None:
    bench, attempt = running()
    bench.queue("other")
    other = bench.attempt("other").id
    bench.report(attempt, 2, Output(attempt, Channel.ANSWER, "."))
    bench.report(other, 1, AgentStarted(HERE), Output(other, Channel.ANSWER, "."))

    decision = bench.wake()

    assert decision.to_send == (AckExecution("h1", attempt, 2), AckExecution("h1", other, 2))


def test_the_end_of_an_attempt_is_acknowledged_at_once() -> None:
    bench, attempt = running()

    decision = bench.report(
        attempt, 2, Output(attempt, Channel.ANSWER, "bye"), AgentFinished(AttemptState.SUCCEEDED, exit_code=0)
    )

    assert AckExecution("h1", attempt, 3, finished=True) in decision.to_send
    assert decision.durable


def test_neighbouring_activities_are_stored_as_one_text_of_their_channel() -> None:
    bench, attempt = running()
    call, answer, used = ToolCall("1", "read", "{}"), ToolResult("1", text="words"), Usage(10, 20)
    said = Output(attempt, Channel.ANSWER, "so")

    decision = bench.report(
        attempt, 2, call, answer, said, used, AgentFinished(AttemptState.SUCCEEDED), Notice(text="late")
    )

    assert [item for item in decision.to_store if isinstance(item, Output)] == [
        Output(attempt, Channel.ACTIVITY, write_line(call) + write_line(answer)),
        said,
        Output(attempt, Channel.ACTIVITY, write_line(used)),
    ]


def test_the_end_tells_everything_that_is_known_and_brings_its_result() -> None:
    bench, attempt = running()
    result = Blob("d" * 64, b"{}")
    end = AgentFinished(
        outcome=AttemptState.SUCCEEDED,
        exit_code=0,
        usage=Usage(10, 20, 3),
        denial_count=2,
        answer_truncated=True,
        result=result,
        confinement=HERE,
        answer_start=4,
        model_use=ModelUse("small", requests=2, statuses=tuple((status, 1) for status in range(200, 264))),
    )

    decision = bench.report(attempt, 2, end)

    assert bench.stored(AttemptEnded) == [
        AttemptEnded(
            step="step",
            attempt=attempt,
            state=AttemptState.SUCCEEDED,
            exit_code=0,
            input_tokens=10,
            output_tokens=20,
            turns=3,
            denial_count=2,
            answer_truncated=True,
            result="d" * 64,
            confinement=HERE,
            last_sequence=2,
            answer_start=4,
            model_use=ModelUse("small", requests=2, statuses=tuple((status, 1) for status in range(200, 216))),
        )
    ]
    assert bench.run.steps["step"].attempts[-1].answer_range == (4, None)
    assert decision.blobs == (result,)
    assert bench.asked(WorkKind.CHECK) == ["step"]


def test_nothing_is_stored_after_the_end_even_of_the_same_report() -> None:
    """Keeps B7."""
    bench, attempt = running()

    bench.report(attempt, 2, AgentFinished(AttemptState.SUCCEEDED), Output(attempt, Channel.ANSWER, "more"))

    assert bench.said == []


def test_what_comes_late_is_recorded_once_and_has_no_effect() -> None:
    """Keeps B4."""
    bench, attempt = running()
    bench.report(attempt, 2, AgentFinished(AttemptState.FAILED, "SHIM_LOST"))
    assert bench.states()["step"] == "queued"

    for _ in range(3):
        decision = bench.report(
            attempt, 3, Output(attempt, Channel.ANSWER, "ghost"), AgentFinished(AttemptState.SUCCEEDED)
        )
        assert decision.to_send == (AckExecution("", attempt, 4, finished=True),)
        assert decision.durable

    refused = [event for _, event in bench.events if isinstance(event, ReportRefused)]
    assert refused == [ReportRefused("step", attempt, "frames up to 4, after its end")]
    assert bench.said == []
    assert bench.attempt("step").state is AttemptState.FAILED


def test_an_end_that_comes_again_is_acknowledged_again() -> None:
    bench, attempt = running()
    bench.report(attempt, 2, AgentFinished(AttemptState.SUCCEEDED))

    decision = bench.report(attempt, 2, AgentFinished(AttemptState.SUCCEEDED))

    assert decision.to_store == ()
    assert decision.to_send == (AckExecution("h1", attempt, 2, finished=True),)


def test_an_agent_that_runs_on_after_it_was_given_up_is_told_to_end() -> None:
    bench, attempt = running()
    bench.take(ExecutionLost(attempt, "unknown"))

    decision = bench.report(attempt, 2, Output(attempt, Channel.ANSWER, "still here"))

    assert decision.to_send == (CancelExecution("", attempt, "its attempt has ended"),)
    again = bench.report(attempt, 1, AgentStarted(HERE))
    assert again.to_send == (CancelExecution("", attempt, "its attempt has ended"),)


def test_a_report_of_a_run_that_is_gone_lets_its_host_go() -> None:
    bench = Bench()
    attempt = f"{RUN}-step-1"

    decision = bench.take(
        ExecutionReported(attempt, 1, 2, (Output(attempt, Channel.ANSWER, "x"), AgentFinished(AttemptState.SUCCEEDED)))
    )

    assert decision.to_store == ()
    assert decision.to_send == (AckExecution("", attempt, 2, finished=True),)
    assert bench.take(ExecutionReported("nonsense", 1, 1, ())).to_store == ()


def test_a_lost_attempt_gives_its_step_back() -> None:
    bench, attempt = running()

    bench.take(ExecutionLost(attempt, "the host does not know it"))

    assert bench.attempt("step").state is AttemptState.LOST
    assert bench.states()["step"] == "queued"
    assert bench.step("step").wait is not None
    assert bench.step("step").wait.kind == "retry"


@pytest.mark.parametrize(
    ("reason", "retryable", "state"),
    [
        ("NO_CAPACITY", True, "queued"),
        ("HOST_DRAINING", True, "queued"),
        ("READ_ONLY_UNAVAILABLE", False, "failed"),
        ("AGENT_UNAVAILABLE", False, "failed"),
        ("EXECUTION_EXISTS", True, "queued"),
        ("INVALID_REQUEST", False, "failed"),
    ],
)
def test_a_refusal_is_tried_again_where_another_time_or_host_may(reason: str, state: str, *, retryable: bool) -> None:
    bench = Bench()
    bench.host()
    bench.launch(asks("step"), folds("other", "step"))
    bench.queue("step")

    bench.take(ExecutionRefused(bench.attempt("step").id, reason, "no", retryable))

    assert bench.attempt("step").state is AttemptState.REFUSED
    assert bench.states()["step"] == state


def test_a_second_start_frame_changes_nothing() -> None:
    bench, attempt = running()

    assert bench.report(attempt, 2, AgentStarted(HERE)).to_store == ()
    assert bench.attempt("step").state is AttemptState.RUNNING
