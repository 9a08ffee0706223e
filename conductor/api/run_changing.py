"""What changes runs: each request is checked for its shape, then brought to the part that may change something."""

import hashlib

from conductor.api.messages.names import read_run
from conductor.api.request_ids import read_request_id
from conductor.api.run_creation import RunCreation
from conductor.core.model.inputs import RequestCancel
from conductor.engine.loop import Engine
from conductor.errors import InvalidRequestError, Violation
from conductor.maintenance.retention import Retention
from conductor.v1 import run_service_pb2 as pb

MAX_REASON_CHARACTERS = 1_000


class RunChanging:
    """Starts, stops and deletes runs; each gives the id of its run."""

    def __init__(self, creation: RunCreation, engine: Engine, retention: Retention) -> None:
        self._creation = creation
        self._engine = engine
        self._retention = retention

    async def create(self, request: pb.CreateRunRequest) -> str:
        """Starts a run, or finds the one that this request started before."""
        return await self._creation.create(request)

    async def cancel(self, request: pb.CancelRunRequest) -> str:
        """Asks a run to stop."""
        run = read_run(request.name)
        if len(request.reason) > MAX_REASON_CHARACTERS:
            raise InvalidRequestError(Violation("reason", f"has more than {MAX_REASON_CHARACTERS} characters"))
        request_id = read_request_id(request.request_id)
        digest = hashlib.sha256(f"CancelRun\0{run}\0{request.reason}".encode()).hexdigest()
        reason = request.reason or "cancelled by request"
        await self._engine.submit(RequestCancel(run, reason, request_id, digest))
        return run

    async def delete(self, request: pb.DeleteRunRequest) -> str:
        """Deletes a run that has ended."""
        run = read_run(request.name)
        await self._retention.delete(run, read_request_id(request.request_id))
        return run
