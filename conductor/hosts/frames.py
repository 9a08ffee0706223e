"""The Execute protocol: commands as frames, frames as reports.

The serialized Start is a pure function of the stored spec and the stored prompt (architecture.md, rule 3): a host that is
asked again compares what it is asked. Nothing here knows streams.
"""

import hashlib
import json
from typing import Any

from google.protobuf.duration_pb2 import Duration

from agenthost.v1 import execution_service_pb2 as pb
from conductor.core.model.events import Confinement, StartSpec
from conductor.core.model.inputs import AgentFinished, AgentStarted, Blob, Report
from conductor.core.model.output import Channel, Output
from servicekit.times import duration

# A channel that this version does not know is shown as log.
_CHANNELS = {pb.Output.Channel.Value(f"CHANNEL_{one.name}"): one for one in Channel if one is not Channel.ACTIVITY}
_OUTCOMES = {
    pb.Finished.OUTCOME_SUCCEEDED: "succeeded",
    pb.Finished.OUTCOME_FAILED: "failed",
    pb.Finished.OUTCOME_CANCELLED: "cancelled",
    pb.Finished.OUTCOME_TIMED_OUT: "timed_out",
    pb.Finished.OUTCOME_REFUSED: "refused",
}


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
    )


def _duration_or_none(seconds: float) -> Duration | None:
    return duration(seconds) if seconds else None


def reports(attempt: str, response: pb.ExecuteResponse) -> tuple[Report, ...]:
    """Gives what a frame reports; empty for a frame of a kind that this version does not know."""
    match response.WhichOneof("frame"):
        case "started":
            return (AgentStarted(confinement(response.started.attestation)),)
        case "output":
            return (Output(attempt, _CHANNELS.get(response.output.channel, Channel.LOG), response.output.text),)
        case "tool_call" | "tool_result" | "usage" | "notice" as kind:
            return (Output(attempt, Channel.ACTIVITY, _activity(kind, getattr(response, kind))),)
        case "finished":
            return (_finished(response.finished),)
        case _:
            return ()


def confinement(attestation: pb.Attestation) -> Confinement:
    """Gives how an attempt was confined."""
    return Confinement(
        mechanism=attestation.mechanism,
        policy_digest=attestation.policy_digest,
        argv=tuple(attestation.argv),
        uid=attestation.uid,
        snapshot_fingerprint_before=attestation.snapshot_fingerprint_before,
        snapshot_fingerprint_after=attestation.snapshot_fingerprint_after,
        checks=tuple(attestation.checks),
    )


def _finished(frame: pb.Finished) -> AgentFinished:
    return AgentFinished(
        outcome=_OUTCOMES.get(frame.outcome, "failed"),
        reason=frame.reason,
        message=frame.message,
        exit_code=frame.exit_code if frame.HasField("exit_code") else None,
        signal=frame.signal if frame.HasField("signal") else None,
        input_tokens=frame.usage.input_tokens if frame.usage.HasField("input_tokens") else None,
        output_tokens=frame.usage.output_tokens if frame.usage.HasField("output_tokens") else None,
        denial_count=frame.denial_count,
        answer_truncated=frame.answer_truncated,
        result=_blob(frame.result_json),
        confinement=confinement(frame.attestation) if frame.HasField("attestation") else None,
        # Not ToTimedelta: it raises beyond its range, and a host may send anything.
        retry_after_seconds=max(frame.model_use.retry_after.seconds, 0),
    )


def _blob(text: str) -> Blob | None:
    if not text:
        return None
    data = text.encode()
    return Blob(hashlib.sha256(data).hexdigest(), data)


def _activity(kind: str, frame: Any) -> str:
    """One JSON object a line; a replayed frame gives the same bytes, because offsets count them."""
    line: dict[str, object] = {"kind": kind}
    for field, value in frame.ListFields():
        if field.enum_type is not None:
            line[f"{kind}_{field.name}"] = (
                field.enum_type.values_by_number[value].name.lower().removeprefix(f"{field.name}_")
            )
        elif field.name == "arguments_json":
            line["arguments"] = _json_or_text(value)
        else:
            line[field.name] = value
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"


def _json_or_text(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:  # cut at the host's limit
        return text
