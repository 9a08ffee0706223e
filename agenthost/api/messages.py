"""Between protocol messages and plain values, both ways. It looks at shapes only: what is allowed is judged in `core`."""

import hashlib
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from agenthost.agent_specs import Agent, tried
from agenthost.attempt.execution import Execution
from agenthost.attempt.folder import StoredStart
from agenthost.attempt.request import Request
from agenthost.core.admission.admission import Tombstone
from agenthost.core.admission.order import FEATURES, Limits, Order, check_execution_id, defaults_within
from agenthost.core.models.endpoint import Api, Endpoint
from agenthost.core.models.facts import ModelFacts
from agenthost.core.models.measuring import TracedRequest, read_traceparent
from agenthost.core.models.metering import ModelUse
from agenthost.core.models.pools import ModelPool
from agenthost.core.output.frame import Attestation, Finished, Frame, Started
from agenthost.core.output.report import (
    Channel,
    InputApplied,
    InputRefused,
    Notice,
    NoticeKind,
    Output,
    Report,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
)
from agenthost.core.sandbox.report import SandboxReport
from agenthost.core.trouble import FailureCause, FailureClass
from agenthost.core.verdict import Outcome
from agenthost.host.state import Host
from agenthost.snapshots.eviction import Figures
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from servicekit.release import release_number
from servicekit.times import duration

VERSION = release_number()

_CHANNELS = {channel: pb.Output.Channel.Value(f"CHANNEL_{channel.name}") for channel in Channel}
_NOTICES = {kind: pb.Notice.Kind.Value(f"KIND_{kind.name}") for kind in NoticeKind}
_OUTCOMES = {outcome: pb.Finished.Outcome.Value(f"OUTCOME_{outcome.name}") for outcome in Outcome}
_CLASSES = {kind: pb.Finished.FailureClass.Value(f"FAILURE_CLASS_{kind.name}") for kind in FailureClass}
_CAUSES = {cause: pb.Finished.Cause.Value(f"CAUSE_{cause.name}") for cause in FailureCause}


def digest_of(start: pb.Start) -> str:
    """Returns a digest that Starts with the same content share. Maps are put in order: their order on the wire means nothing."""
    return hashlib.sha256(start.SerializeToString(deterministic=True)).hexdigest()


def read_stored(stored: StoredStart, limits: Limits) -> Request | None:
    """Reads a Start again that an earlier daemon stored; None where it is damaged."""
    try:
        start = pb.Start.FromString(stored.start)
    except DecodeError:
        return None
    if tuple(check_execution_id(start.execution, "")):
        return None
    return Request(stored.conductor, read_order(start, defaults_within(limits)), digest_of(start), stored.start)


def read_order(start: pb.Start, defaults: Limits) -> Order:
    """Reads a Start, with this host's defaults for what it leaves open."""
    return Order(
        execution=start.execution,
        agent=start.agent,
        prompt=start.prompt,
        snapshot=start.snapshot,
        parameters=dict(start.parameters),
        limits=replace(defaults, **dict(_given_limits(start))),
        turns=start.turns or 1,
        loading_seconds=max(0.0, start.loading_timeout.seconds),
        traceparent=read_traceparent(start.traceparent),
    )


def _given_limits(start: pb.Start) -> Iterator[tuple[str, Any]]:
    for limit in fields(Limits):
        name = limit.name.removesuffix("_seconds")
        if name != limit.name and start.HasField(name):  # type: ignore[arg-type]
            duration = getattr(start, name)
            yield limit.name, duration.seconds + duration.nanos / 1e9
        elif name == limit.name and getattr(start, name):
            yield name, getattr(start, name)


def write_frame(frame: Frame) -> pb.ExecuteResponse:
    """Writes a frame."""
    response = pb.ExecuteResponse(sequence=frame.sequence, time=timestamp(frame.time_ns))
    match frame.content:
        case Started(attestation=attestation):
            response.started.attestation.CopyFrom(write_attestation(attestation))
        case Finished():
            response.finished.CopyFrom(_finished(frame.content))
        case report:
            _write_report(response, report)
    return response


def _write_report(response: pb.ExecuteResponse, report: Report) -> None:
    match report:
        case Output(channel=channel, text=text):
            response.output.CopyFrom(pb.Output(channel=_CHANNELS[channel], text=text))
        case ToolCall(id=call, name=name, arguments=arguments):
            response.tool_call.CopyFrom(pb.ToolCall(id=call, name=name, arguments_json=arguments))
        case ToolResult(id=call, failed=failed, text=text):
            response.tool_result.CopyFrom(pb.ToolResult(id=call, failed=failed, text=text))
        case Usage():
            response.usage.CopyFrom(_usage(report))
        case Notice(kind=kind, text=text):
            response.notice.CopyFrom(pb.Notice(kind=_NOTICES[kind], text=text))
        case Turn():
            response.turn.CopyFrom(_turn(report))
        case InputApplied(number=number, turn=turn):
            response.input_applied.CopyFrom(pb.InputApplied(input_sequence=number, turn=turn))
        case InputRefused(number=number, reason=reason):
            response.input_refused.CopyFrom(pb.InputRefused(input_sequence=number, reason=reason))


def _turn(turn: Turn) -> pb.Turn:
    return pb.Turn(
        number=turn.number,
        succeeded=turn.succeeded,
        reason=turn.reason,
        usage=_usage(turn.usage),
        answer_start=turn.answer_start,
        answer_end=turn.answer_end,
        result_json=turn.result_json,
    )


def write_attestation(attestation: Attestation) -> pb.Attestation:
    """Writes how an attempt is confined."""
    return pb.Attestation(
        mechanism=attestation.mechanism,
        policy_digest=attestation.policy_digest,
        argv=attestation.argv,
        boot_id=attestation.boot_id,
        pid=attestation.pid,
        uid=attestation.uid,
        snapshot_fingerprint_before=attestation.snapshot_fingerprint_before,
        snapshot_fingerprint_after=attestation.snapshot_fingerprint_after,
        checks=attestation.checks,
    )


def _finished(finished: Finished) -> pb.Finished:
    message = pb.Finished(
        outcome=_OUTCOMES[finished.verdict.outcome],
        reason=finished.verdict.reason,
        message=finished.verdict.message,
        usage=_usage(finished.summary.usage),
        denial_count=finished.summary.denial_count,
        answer_truncated=finished.summary.answer_truncated,
        answer_note=finished.summary.answer_note,
        answer_start=finished.summary.answer_start,
        result_json=finished.summary.result_json,
        attestation=write_attestation(finished.attestation),
    )
    if trouble := finished.verdict.trouble:
        message.failure_class = _CLASSES[trouble.failure_class]
        message.cause = _CAUSES[trouble.cause] if trouble.cause else pb.Finished.CAUSE_UNSPECIFIED
    if finished.model_use:
        message.model_use.CopyFrom(_model_use(finished.model_use))
        released = finished.ended_ns / 1e9 - finished.ending.elapsed_seconds
        message.model_use.traced_requests.extend(
            _traced_request(one, released) for one in finished.model_use.measured.traced
        )
    if finished.ending.exit_code is not None:
        message.exit_code = finished.ending.exit_code
    if finished.ending.signal is not None:
        message.signal = finished.ending.signal
    message.elapsed.FromNanoseconds(int(finished.ending.elapsed_seconds * 1e9))
    return message


def _model_use(use: ModelUse) -> pb.ModelUse:
    message = pb.ModelUse(
        requests=use.requests,
        refused=use.refused,
        broken=use.broken,
        statuses=use.statuses,
        metered=use.metered,
        rate_limited=use.rate_limited,
        model=use.model,
        kept_back=use.kept_back,
    )
    if use.retry_after_seconds is not None:
        message.retry_after.FromSeconds(use.retry_after_seconds)
    return message


def _traced_request(request: TracedRequest, released: float) -> pb.ModelRequest:
    message = pb.ModelRequest(
        span_id=request.span,
        status=request.status,
        input_tokens=request.taken,
        output_tokens=request.given,
        model=request.model,
        trouble=request.trouble,
    )
    message.offset.FromMicroseconds(round(max(0.0, request.begun - released) * 1e6))
    message.elapsed.FromMicroseconds(round(request.seconds * 1e6))
    return message


def _usage(usage: Usage) -> pb.Usage:
    return pb.Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, turns=usage.turns)


def write_execution(execution: Execution) -> pb.Execution:
    """Writes an execution as it stands."""
    state = pb.Execution.STATE_RUNNING if execution.started else pb.Execution.STATE_STARTING
    return pb.Execution(
        execution=execution.id,
        state=pb.Execution.STATE_FINISHED if execution.ended else state,
        agent=execution.request.agent.name,
        last_sequence=execution.delivery.last,
        acknowledged_sequence=execution.delivery.acknowledged,
        attached=execution.attachments.current is not None,
        shim_alive=execution.shim_alive,
    )


def write_released(stone: Tombstone) -> pb.Execution:
    """Writes what is left of an execution whose end was acknowledged."""
    return pb.Execution(
        execution=stone.execution,
        state=pb.Execution.STATE_RELEASED,
        agent=stone.agent,
        last_sequence=stone.sequence,
        acknowledged_sequence=stone.sequence,
    )


def write_host(host: Host, snapshots: host_pb.Snapshots, certificate_end: float = 0.0) -> host_pb.Host:
    """Writes the host as it stands. `certificate_end`: when its certificate ends; 0 where it has none."""
    return host_pb.Host(
        name=host.settings.name,
        state=host_pb.Host.STATE_DRAINING if host.draining else host_pb.Host.STATE_READY,
        version=VERSION,
        boot_id=host.boot_id,
        slots=host.settings.slots,
        labels=host.settings.labels,
        running=host.running,
        agents=[write_agent(host.shown(agent)) for agent in host.agents.values()],
        sandbox=_sandbox(host),
        start_time=timestamp(host.start_time_ns),
        snapshots=snapshots,
        certificate_end_time=timestamp(round(certificate_end * 1e9)) if certificate_end else None,
        instance=host.instance,
        features=FEATURES,
        models=[
            _model(
                host.settings.models[name].endpoint,
                host.models.get(name, ModelFacts()),
                pool,
                host.quiet_seconds(pool.name),
            )
            for name, pool in host.pools().items()
        ],
    )


def _model(endpoint: Endpoint, facts: ModelFacts, pool: ModelPool, quiet_seconds: float) -> host_pb.Model:
    return host_pb.Model(
        name=endpoint.name,
        url=endpoint.url,
        api=endpoint.api,
        answers=facts.is_asked and not facts.problem,
        problem=facts.problem,
        server=facts.server,
        window=facts.window_of(endpoint.model),
        slots=facts.slots,
        listed=[host_pb.ListedModel(name=each.name, window=each.window) for each in facts.models],
        model=endpoint.model,
        usual_model=facts.usual if endpoint.api is Api.OPENAI else "",  # agents of the others have one of their own
        quiet_time=duration(quiet_seconds) if quiet_seconds else None,
        pool=pool.name,
        pool_slots=pool.slots,
        pool_is_local=pool.is_local,
    )


def write_agent(found: Agent, report: SandboxReport | None = None) -> host_pb.Agent:
    """Writes an agent with its last trial, and with what was tried in its sandbox where there is a report."""
    agent = tried(found)
    message = host_pb.Agent(
        name=agent.name,
        version=agent.version,
        available=agent.available,
        unavailable_reason=agent.unavailable_reason,
        probes=_probes(report) if report else (),
        spec_refused=agent.is_refused,
        last_trial=_trial(agent),
    )
    if spec := agent.spec:
        message.description = spec.description
        message.enforcement = spec.enforcement
        message.features.extend(spec.offers)
        message.model = spec.model
        for parameter in spec.parameters:
            message.parameters.add(
                name=parameter.name, pattern=parameter.pattern.pattern, default_value=parameter.default
            )
    return message


def _trial(agent: Agent) -> host_pb.Trial | None:
    if (trial := agent.trial) is None:
        return None
    return host_pb.Trial(
        version=trial.version,
        digest=trial.digest,
        time=timestamp(trial.time_ns),
        held=trial.has_held,
        current=trial.digest == agent.digest,
        orders=[
            host_pb.TrialOrder(name=one.name, answer=one.answer, held=one.has_held, untried=one.is_untried)
            for one in trial.orders
        ],
    )


def write_figures(figures: Figures, most_bytes: int) -> host_pb.Snapshots:
    """Writes what a host keeps of snapshots."""
    return host_pb.Snapshots(count=figures.count, bytes=figures.byte_count, most_bytes=most_bytes)


def _sandbox(host: Host) -> host_pb.Sandbox:
    report = host.report
    return host_pb.Sandbox(
        available=report.available,
        unavailable_reason=report.reason,
        mechanism=report.mechanism,
        probes=_probes(report),
        memory_mode=host.sandbox.memory_mode if host.sandbox else "",
        memory_bytes=host.settings.limits.memory_bytes,
    )


def _probes(report: SandboxReport) -> list[host_pb.Probe]:
    return [host_pb.Probe(name=probe.name, passed=probe.passed, detail=probe.detail) for probe in report.probes]


def timestamp(time_ns: int) -> Timestamp:
    """Writes a moment of the host's clock."""
    moment = Timestamp()
    moment.FromNanoseconds(time_ns)
    return moment
