"""GateService: shows gates, and takes the decisions about them. `gate_service.proto` says what it promises."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from conductor.api.messages.gates import read_decision
from conductor.api.messages.names import read_gate
from conductor.api.reading.gate_reading import GateReading
from conductor.api.request_ids import digest_of, read_request_id
from conductor.core.folded.run import Run
from conductor.core.gates.decisions import judge_decision
from conductor.core.model.inputs import Blob, RequestResolve
from conductor.core.model.states import GateDecision
from conductor.engine.requests import RUN_NOT_RUNNING, explain_rejection
from conductor.engine.seat import Seat
from conductor.errors import InvalidRequestError, PreconditionError, Violation
from conductor.v1 import gate_service_pb2 as pb
from conductor.v1 import gate_service_pb2_grpc
from servicekit.calls.callers import Caller, current_caller

MAX_COMMENT_CHARACTERS = 500
MAX_RESOLVER_CHARACTERS = 100
MAX_TOLD = 1000
MAX_EDIT_BYTES = 1024 * 1024

JudgeEdit = Callable[[Run, str, bytes], Awaitable[Sequence[str]]]


class GateServicer(gate_service_pb2_grpc.GateServiceServicer):
    """Shows and decides gates."""

    def __init__(self, engine: Seat, reading: GateReading, judge_edit: JudgeEdit) -> None:
        self._engine = engine
        self._reading = reading
        self._judge_edit = judge_edit

    async def ListGates(self, request: pb.ListGatesRequest, context: Any) -> pb.ListGatesResponse:
        return await self._reading.gates(request)

    async def ResolveGate(self, request: pb.ResolveGateRequest, context: Any) -> pb.Gate:
        asked = read_resolution(request, current_caller())
        if asked.decision is GateDecision.EDIT:
            await self._check_edit(asked)
        try:
            await self._engine.submit(asked)
        except PreconditionError as error:
            if error.reason != RUN_NOT_RUNNING:
                raise
            await self._judge_ended(asked)
        return await self._reading.gate(asked.run, asked.step, asked.number)

    async def _check_edit(self, asked: RequestResolve) -> None:
        """Refuses a text that does not fit the schema of the step's output, in whose place it would stand."""
        run = await self._reading.run(asked.run)
        step = run.steps.get(asked.step)
        if step is None or not step.plan.has_schema:
            return
        if errors := await self._judge_edit(run, asked.step, asked.blobs[0].data):
            text = f"does not fit the output of the step: {'; '.join(errors)}"
            raise InvalidRequestError(Violation("text", text[:MAX_TOLD]))

    async def _judge_ended(self, asked: RequestResolve) -> None:
        """Judges a decision about a gate of a run that has ended: the same as before is a repetition, any other is refused."""
        if (refusal := judge_decision(await self._reading.run(asked.run), asked)) is not None:
            raise explain_rejection(asked, refusal.reason, refusal.message)


def read_resolution(request: pb.ResolveGateRequest, caller: Caller) -> RequestResolve:
    """Reads a decision of a caller, who may not give another name than a token or certificate has proven.

    InvalidRequestError names every field that is wrong.
    """
    run, step, number = read_gate(request.name)
    decision = read_decision(request.decision)
    text = request.text.encode(errors="replace")
    violations = list(_find_violations(request, decision, len(text)))
    request_id = read_request_id(request.request_id, *violations)
    blob = Blob(hashlib.sha256(text).hexdigest(), text) if text else None
    return RequestResolve(
        run,
        step,
        number,
        decision or GateDecision.REJECT,
        request.digest,
        caller.identity if caller.is_proven else request.resolver,
        caller.address,
        request.comment,
        blob.digest if blob else "",
        (blob,) if blob else (),
        request_id,
        digest_of(request),
        by=caller.identity,
    )


def _find_violations(request: pb.ResolveGateRequest, decision: GateDecision | None, size: int) -> list[Violation]:
    found = []
    if decision is None:
        found.append(Violation("decision", "must be DECISION_APPROVE, _REJECT, _EDIT, _RETRY or _SKIP"))
    if not request.digest:
        found.append(Violation("digest", "must be the digest of what the gate shows, as ListGates returns it"))
    if decision is GateDecision.EDIT and not 0 < size <= MAX_EDIT_BYTES:
        found.append(Violation("text", f"must have 1 to {MAX_EDIT_BYTES} bytes with DECISION_EDIT, not {size}"))
    if decision is not GateDecision.EDIT and size:
        found.append(Violation("text", "belongs to DECISION_EDIT only"))
    if len(request.comment) > MAX_COMMENT_CHARACTERS:
        found.append(Violation("comment", f"has more than {MAX_COMMENT_CHARACTERS} characters"))
    if len(request.resolver) > MAX_RESOLVER_CHARACTERS:
        found.append(Violation("resolver", f"has more than {MAX_RESOLVER_CHARACTERS} characters"))
    return found
