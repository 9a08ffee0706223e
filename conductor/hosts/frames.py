"""The Execute protocol: commands as frames, frames as reports.

The serialized Start is a pure function of the stored spec and the stored prompt: a host compares a repeated Start with the first.
This module knows no streams.
"""

import hashlib

from google.protobuf.duration_pb2 import Duration

from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.model.activity import Activity, Notice, NoticeKind, ToolCall, ToolResult, Usage
from conductor.core.model.commands import SendInput
from conductor.core.model.events.event_parts import Confinement, ModelUse, StartSpec
from conductor.core.model.inputs import (
    AgentFinished,
    AgentRefusedInput,
    AgentStarted,
    AgentTurnEnded,
    Blob,
    Report,
)
from conductor.core.model.model_requests import MAX_REQUESTS, ModelRequest, write_requests
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState, Cause, FailureClass
from servicekit.times import duration

# A channel that this version does not know is shown as log.
_CHANNELS = {pb.Output.Channel.Value(f"CHANNEL_{one.name}"): one for one in Channel if one is not Channel.ACTIVITY}
_NOTICES = {pb.Notice.Kind.Value(f"KIND_{kind.name}"): kind for kind in NoticeKind}
_OUTCOMES = {
    pb.Finished.OUTCOME_SUCCEEDED: AttemptState.SUCCEEDED,
    pb.Finished.OUTCOME_FAILED: AttemptState.FAILED,
    pb.Finished.OUTCOME_CANCELLED: AttemptState.CANCELLED,
    pb.Finished.OUTCOME_TIMED_OUT: AttemptState.TIMED_OUT,
    pb.Finished.OUTCOME_REFUSED: AttemptState.REFUSED,
}
_CLASSES = {pb.Finished.FailureClass.Value(f"FAILURE_CLASS_{kind.name}"): kind for kind in FailureClass}
# A host that lacks the room refuses a Start: no attempt ends so.
_CAUSES = {pb.Finished.Cause.Value(f"CAUSE_{one.name}"): one for one in Cause if one is not Cause.CAPACITY}


def start_frame(spec: StartSpec, prompt: str) -> pb.Start:
    """Makes the Start of an attempt; the same spec and prompt give the same message always."""
    return pb.Start(
        execution=spec.execution,
        agent=spec.agent,
        prompt=prompt,
        snapshot=spec.snapshot,
        parameters=dict(spec.parameters),
        timeout=duration(spec.timeout_seconds),
        idle_timeout=duration(spec.idle_timeout_seconds),
        first_output_timeout=_duration_or_none(spec.first_output_timeout_seconds),
        orphan_timeout=_duration_or_none(spec.orphan_timeout_seconds),
        turns=spec.turns,
        loading_timeout=_duration_or_none(spec.loading_timeout_seconds),
        traceparent=spec.traceparent,
    )


def input_frame(command: SendInput, text: str) -> pb.Input:
    """Makes a further prompt for an agent."""
    return pb.Input(input_sequence=command.number, text=text, kind=pb.Input.KIND_PROMPT)


def _duration_or_none(seconds: float) -> Duration | None:
    return duration(seconds) if seconds else None


def reports(attempt: str, response: pb.ExecuteResponse) -> tuple[Report, ...]:
    """Reads what a frame reports; empty for a frame of a kind that this version does not know."""
    match response.WhichOneof("frame"):
        case "started":
            return (AgentStarted(confinement(response.started.attestation)),)
        case "output":
            channel = _CHANNELS.get(response.output.channel, Channel.LOG)
            return (Output(attempt, channel, response.output.text),)
        case "tool_call" | "tool_result" | "usage" | "notice":
            return (_activity(response),)
        case "turn" | "input_refused":
            return (_of_turn(response),)
        case "finished":
            return (_finished(response.finished),)
        case _:
            return ()


def _activity(response: pb.ExecuteResponse) -> Activity:
    match response.WhichOneof("frame"):
        case "tool_call":
            call = response.tool_call
            return ToolCall(call.id, call.name, call.arguments_json)
        case "tool_result":
            answer = response.tool_result
            return ToolResult(answer.id, answer.failed, answer.text)
        case "usage":
            return _usage(response.usage)
        case _:
            kind = _NOTICES.get(response.notice.kind, NoticeKind.UNSPECIFIED)
            return Notice(kind, response.notice.text)


def confinement(attestation: pb.Attestation) -> Confinement:
    """Reads how an attempt was confined."""
    return Confinement(
        mechanism=attestation.mechanism,
        policy_digest=attestation.policy_digest,
        argv=tuple(attestation.argv),
        uid=attestation.uid,
        snapshot_fingerprint_before=attestation.snapshot_fingerprint_before,
        snapshot_fingerprint_after=attestation.snapshot_fingerprint_after,
        checks=tuple(attestation.checks),
    )


def answered_input(response: pb.ExecuteResponse) -> int:
    """Returns the number of the input that a frame answers, or 0."""
    if response.HasField("input_applied"):
        return response.input_applied.input_sequence
    return response.input_refused.input_sequence if response.HasField("input_refused") else 0


def _of_turn(response: pb.ExecuteResponse) -> AgentTurnEnded | AgentRefusedInput:
    if response.HasField("input_refused"):
        return AgentRefusedInput(response.input_refused.input_sequence, response.input_refused.reason)
    frame = response.turn
    return AgentTurnEnded(
        number=frame.number,
        answer_start=frame.answer_start,
        answer_end=frame.answer_end,
        result=_blob(frame.result_json),
        usage=_usage(frame.usage),
        reason="" if frame.succeeded else frame.reason or "TURN_FAILED",
    )


def _finished(frame: pb.Finished) -> AgentFinished:
    return AgentFinished(
        outcome=_OUTCOMES.get(frame.outcome, AttemptState.FAILED),
        reason=frame.reason,
        message=frame.message,
        kind=_CLASSES.get(frame.failure_class),
        cause=_CAUSES.get(frame.cause),
        exit_code=frame.exit_code if frame.HasField("exit_code") else None,
        signal=frame.signal if frame.HasField("signal") else None,
        usage=_usage(frame.usage),
        denial_count=frame.denial_count,
        answer_truncated=frame.answer_truncated,
        answer_note=frame.answer_note,
        answer_start=max(frame.answer_start, 0),
        result=_blob(frame.result_json),
        confinement=confinement(frame.attestation) if frame.HasField("attestation") else None,
        # Not ToTimedelta: it raises beyond its range, and a host may send anything.
        retry_after_seconds=max(frame.model_use.retry_after.seconds, 0),
        model_use=_model_use(frame.model_use) if frame.HasField("model_use") else None,
        model_requests=_blob(write_requests(map(_model_request, frame.model_use.traced_requests[:MAX_REQUESTS]))),
    )


def _model_use(use: pb.ModelUse) -> ModelUse:
    return ModelUse(
        model=use.model,
        requests=use.requests,
        refused=use.refused,
        broken=use.broken,
        metered=use.metered,
        rate_limited=use.rate_limited,
        statuses=tuple(sorted(use.statuses.items())),
        kept_back=tuple(use.kept_back),
    )


def _model_request(request: pb.ModelRequest) -> ModelRequest:
    return ModelRequest(
        span=request.span_id,
        offset_seconds=request.offset.seconds + request.offset.nanos / 1e9,
        seconds=request.elapsed.seconds + request.elapsed.nanos / 1e9,
        status=request.status,
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        model=request.model,
        trouble=request.trouble,
    )


def _blob(text: str) -> Blob | None:
    if not text:
        return None
    data = text.encode()
    return Blob(hashlib.sha256(data).hexdigest(), data)


def _usage(usage: pb.Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens if usage.HasField("input_tokens") else None,
        output_tokens=usage.output_tokens if usage.HasField("output_tokens") else None,
        turns=usage.turns if usage.HasField("turns") else None,
    )
