"""The Execute protocol in values: every frame, and a Start that is always the same bytes. Keeps D4 D7 and rule 3."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from agenthost.api.messages import write_frame
from agenthost.core.admission.order import Limits
from agenthost.core.ending import Cause as HostCause
from agenthost.core.ending import Ending, judge
from agenthost.core.models.meter import Reading
from agenthost.core.models.metering import ModelUse
from agenthost.core.models.refusals import trouble_of
from agenthost.core.output.agent_output import Summary
from agenthost.core.output.frame import Attestation, Finished, Frame
from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.decide.endings.guessing import guess_cause, guess_class
from conductor.core.model.activity import Activity, Notice, NoticeKind, ToolCall, ToolResult, Usage
from conductor.core.model.events.event_parts import Confinement, StartSpec
from conductor.core.model.events.event_parts import ModelUse as Used
from conductor.core.model.inputs import AgentFinished, AgentStarted
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState, Cause, Failure, FailureClass
from conductor.hosts.frames import reports, start_frame

ATTEMPT = "run-step-1"
SPEC = StartSpec(ATTEMPT, "survey", "d" * 64, "c" * 40, (("lens", "risks"), ("band", "small")), 1800.5, 600.0)


def test_a_start_is_a_pure_function_of_its_spec_and_prompt() -> None:
    frames = {start_frame(SPEC, "What?").SerializeToString(deterministic=True) for _ in range(20)}

    assert len(frames) == 1
    frame = start_frame(SPEC, "What?")
    assert (frame.execution, frame.agent, frame.prompt, frame.snapshot) == ("run-step-1", "survey", "What?", "c" * 40)
    assert dict(frame.parameters) == {"lens": "risks", "band": "small"}
    assert (frame.timeout.ToMilliseconds(), frame.idle_timeout.ToMilliseconds()) == (1_800_500, 600_000)


def test_a_start_that_an_earlier_version_stored_is_sent_again_byte_for_byte() -> None:
    """Keeps rule 3: what it did not say then, it does not say now."""
    frame = start_frame(SPEC, "What?")
    now = replace(SPEC, first_output_timeout_seconds=30.0, orphan_timeout_seconds=60.5)

    assert not frame.HasField("first_output_timeout")
    assert not frame.HasField("orphan_timeout")
    assert start_frame(now, "What?").first_output_timeout.ToSeconds() == 30
    assert start_frame(now, "What?").orphan_timeout.ToMilliseconds() == 60_500


@pytest.mark.parametrize(("told", "start"), [(0, 0), (7, 7), (-3, 0)])
def test_the_end_tells_where_the_answer_begins(told: int, start: int) -> None:
    (report,) = reports(ATTEMPT, pb.ExecuteResponse(finished=pb.Finished(answer_start=told)))

    assert isinstance(report, AgentFinished)
    assert report.answer_start == start


def test_the_end_tells_how_its_model_was_used() -> None:
    use = pb.ModelUse(
        requests=3, refused=1, broken=1, metered=2, rate_limited=1, model="small", statuses={429: 1, 200: 2}
    )
    (report,) = reports(ATTEMPT, pb.ExecuteResponse(finished=pb.Finished(model_use=use)))
    (without,) = reports(ATTEMPT, pb.ExecuteResponse(finished=pb.Finished()))

    assert isinstance(report, AgentFinished)
    assert report.model_use == Used("small", 3, 1, 1, 2, 1, ((200, 2), (429, 1)))
    assert isinstance(without, AgentFinished)
    assert without.model_use is None


def test_the_end_says_how_long_its_model_asked_to_wait() -> None:
    use = pb.ModelUse()
    use.retry_after.FromSeconds(40)
    (report,) = reports(ATTEMPT, pb.ExecuteResponse(finished=pb.Finished(model_use=use)))

    assert isinstance(report, AgentFinished)
    assert report.retry_after_seconds == 40


def test_the_beginning_says_how_it_is_confined() -> None:
    attestation = pb.Attestation(mechanism="m", policy_digest="p", argv=["a", "b"], uid=7, checks=["network: none"])
    (report,) = reports(ATTEMPT, pb.ExecuteResponse(started=pb.Started(attestation=attestation)))

    assert report == AgentStarted(Confinement("m", "p", ("a", "b"), 7, "", "", ("network: none",)))


@pytest.mark.parametrize(
    ("value", "channel"),
    [
        (pb.Output.CHANNEL_ANSWER, Channel.ANSWER),
        (pb.Output.CHANNEL_REASONING, Channel.REASONING),
        (pb.Output.CHANNEL_LOG, Channel.LOG),
        (pb.Output.CHANNEL_UNSPECIFIED, Channel.LOG),
        (99, Channel.LOG),
    ],
)
def test_text_keeps_its_channel(value: int, channel: Channel) -> None:
    frame = pb.ExecuteResponse(output=pb.Output(channel=value, text="x\n"))  # type: ignore[arg-type]

    assert reports(ATTEMPT, frame) == (Output(ATTEMPT, channel, "x\n"),)


@pytest.mark.parametrize(
    ("frame", "activity"),
    [
        (
            pb.ExecuteResponse(tool_call=pb.ToolCall(id="1", name="read", arguments_json='{"path": "ä"}')),
            ToolCall("1", "read", '{"path": "ä"}'),
        ),
        (
            pb.ExecuteResponse(tool_result=pb.ToolResult(id="1", failed=True, text="a\nb")),
            ToolResult("1", failed=True, text="a\nb"),
        ),
        (pb.ExecuteResponse(usage=pb.Usage(input_tokens=0)), Usage(input_tokens=0)),
        (
            pb.ExecuteResponse(notice=pb.Notice(kind=pb.Notice.KIND_DENIAL, text="no")),
            Notice(NoticeKind.DENIAL, "no"),
        ),
        (pb.ExecuteResponse(notice=pb.Notice(kind=99, text="new")), Notice(NoticeKind.UNSPECIFIED, "new")),  # type: ignore[arg-type]
    ],
)
def test_activity_is_typed(frame: pb.ExecuteResponse, activity: Activity) -> None:
    assert reports(ATTEMPT, frame) == (activity,)


def test_the_end_tells_everything_that_was_told() -> None:
    frame = pb.Finished(
        outcome=pb.Finished.OUTCOME_FAILED,
        reason="AGENT_KILLED",
        message="killed",
        signal=9,
        usage=pb.Usage(output_tokens=5, turns=3),
        denial_count=2,
        answer_truncated=True,
        result_json='{"findings":[]}',
    )
    (end,) = reports(ATTEMPT, pb.ExecuteResponse(finished=frame))

    assert isinstance(end, AgentFinished)
    assert (end.outcome, end.reason, end.exit_code, end.signal) == (AttemptState.FAILED, "AGENT_KILLED", None, 9)
    assert (end.usage, end.denial_count, end.answer_truncated) == (Usage(output_tokens=5, turns=3), 2, True)
    assert end.result is not None
    assert end.result.data == b'{"findings":[]}'
    assert end.confinement is None


def test_a_frame_of_a_later_version_says_nothing() -> None:
    assert reports(ATTEMPT, pb.ExecuteResponse(sequence=3)) == ()


def test_an_outcome_of_a_later_version_is_a_failure() -> None:
    (end,) = reports(ATTEMPT, pb.ExecuteResponse(finished=pb.Finished(outcome=77)))  # type: ignore[arg-type]

    assert isinstance(end, AgentFinished)
    assert end.outcome is AttemptState.FAILED


@pytest.mark.parametrize(
    ("frame", "kind", "cause"),
    [
        (
            pb.Finished(failure_class=pb.Finished.FAILURE_CLASS_FATAL, cause=pb.Finished.CAUSE_HANG),
            FailureClass.FATAL,
            Cause.HANG,
        ),
        (pb.Finished(failure_class=pb.Finished.FAILURE_CLASS_HUMAN_REQUIRED), FailureClass.HUMAN_REQUIRED, None),
        (pb.Finished(failure_class=77, cause=77), None, None),  # type: ignore[arg-type] # of a later version
        (pb.Finished(reason="SHIM_LOST"), None, None),
    ],
)
def test_the_end_tells_who_can_help_and_what_kind_of_trouble_it_was(
    frame: pb.Finished, kind: FailureClass | None, cause: Cause | None
) -> None:
    (end,) = reports(ATTEMPT, pb.ExecuteResponse(finished=frame))

    assert isinstance(end, AgentFinished)
    assert (end.kind, end.cause) == (kind, cause)


def ends() -> Iterator[Ending]:
    yield from (Ending(cause, exit_code=0) for cause in HostCause)
    yield from (Ending(HostCause.EXITED, exit_code=3), Ending(HostCause.EXITED, signal=9))
    yield Ending(HostCause.EXITED, snapshot_changed=True)


@pytest.mark.parametrize("status", [200, 401, 429])
def test_a_host_says_of_every_end_what_a_conductor_of_f9ac01c_made_of_its_reason(status: int) -> None:
    """Keeps K7: whichever of the two is older, a step is tried again in the same cases."""
    for ending in ends():
        reading = Reading(trouble=trouble_of(status))
        use = ModelUse().with_request().with_status(status).with_answer(status, reading)
        verdict = judge(ending, Summary(), Limits(), use)
        summary = Finished(verdict, ending, Summary(), Attestation(), use)
        (end,) = reports(ATTEMPT, pb.ExecuteResponse.FromString(write_frame(Frame(9, 0, summary)).SerializeToString()))
        assert isinstance(end, AgentFinished)
        guessed = Failure(end.reason, "", guess_class(end.reason))
        assert (end.kind, end.cause) == (guessed.kind, guess_cause(guessed)), end.reason
