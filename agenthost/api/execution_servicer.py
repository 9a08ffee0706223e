"""ExecutionService: which execution a stream is for. What happens on the stream is `ExecutionStream`'s."""

from collections.abc import AsyncIterator
from typing import Any

from agenthost.api.execution_stream import ExecutionStream
from agenthost.api.first_message import first_of
from agenthost.api.messages import digest_of, read_order, write_execution, write_released
from agenthost.attempt.execution import Execution
from agenthost.attempt.request import Request
from agenthost.core.admission.admission import MAX_EXECUTIONS
from agenthost.core.admission.order import check_execution_id, defaults_within
from agenthost.errors import InvalidRequestError, OtherInstanceError, Violation
from agenthost.host.fences import Fences
from agenthost.host.state import Host
from agenthost.host.supervisor import Supervisor
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import execution_service_pb2_grpc as pb_grpc

FIRST_FRAME_SECONDS = 20.0


class ExecutionServicer(pb_grpc.ExecutionServiceServicer):
    """Serves executions to conductors."""

    def __init__(self, supervisor: Supervisor, fences: Fences, host: Host) -> None:
        self._supervisor = supervisor
        self._fences = fences
        self._host = host

    async def Execute(  # type: ignore[override] # it writes by itself: what it owns must end with its writer
        self, requests: AsyncIterator[pb.ExecuteRequest], context: Any
    ) -> None:
        """Attaches the stream to the execution that its first frame names."""
        requests = aiter(requests)
        if (first := await first_of(requests, FIRST_FRAME_SECONDS)) is None:
            raise InvalidRequestError(Violation("frame", "the first frame must be start or resume; there was none"))
        await self._fences.admit(first.conductor_id, first.epoch)
        self._require_instance(first.instance)
        execution, after = await self._open(first)
        stream = ExecutionStream(execution, self._supervisor, self._fences)
        await stream.serve(requests, context, after)

    async def ListExecutions(self, request: pb.ListExecutionsRequest, context: Any) -> pb.ListExecutionsResponse:
        """Lists what this host knows of the calling conductor."""
        await self._fences.admit(request.conductor_id, request.epoch)
        known = [write_execution(execution) for execution in self._supervisor.executions_of(request.conductor_id)]
        released = [write_released(stone) for stone in self._supervisor.released_by(request.conductor_id)]
        # The newest of what was released, should it be too many: what is not released is never left out.
        left_out = max(0, len(known) + len(released) - MAX_EXECUTIONS)
        return pb.ListExecutionsResponse(executions=[*known, *released[left_out:]])

    def _require_instance(self, meant: str) -> None:
        if meant not in {"", self._host.instance}:
            name = self._host.settings.name
            raise OtherInstanceError(
                f"host '{name}' has another data folder than the one that this execution was given to"
            )

    async def _open(self, first: pb.ExecuteRequest) -> tuple[Execution, int]:
        match first.WhichOneof("frame"):
            case "start":
                order = read_order(first.start, defaults_within(self._host.settings.limits))
                serialized = first.start.SerializeToString(deterministic=True)
                request = Request(first.conductor_id, order, digest_of(first.start), serialized)
                return await self._supervisor.start(request), 0
            case "resume":
                if violations := tuple(check_execution_id(first.resume.execution, "resume.execution")):
                    raise InvalidRequestError(*violations)
                return await self._supervisor.find(
                    first.resume.execution, first.conductor_id
                ), first.resume.after_sequence
            case other:
                raise InvalidRequestError(Violation("frame", f"the first frame must be start or resume, not {other}"))
