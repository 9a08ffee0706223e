"""RunService: each method asks the part that knows, and returns its answer. `run_service.proto` says what they promise."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.empty_pb2 import Empty

from conductor.api.access.traced_callers import read_caller_trace
from conductor.api.launching.planning import RunPlanning
from conductor.api.launching.retry import RunRetry
from conductor.api.messages.names import read_run
from conductor.api.reading.output_reading import OutputReading
from conductor.api.reading.presents import Presents
from conductor.api.reading.report_reading import ReportReading
from conductor.api.reading.run_comparing import RunComparing
from conductor.api.reading.run_reading import RunReading
from conductor.api.request_ids import read_request_id
from conductor.api.run_creation import RunCreation
from conductor.api.watch import FeedFilter, Presence, watch_run, watch_runs
from conductor.core.model.inputs import RequestCancel, RequestPause, RequestResume
from conductor.engine.seat import Seat
from conductor.errors import InvalidRequestError, Violation
from conductor.evaluation.evaluator import Evaluator
from conductor.maintenance.retention import Retention
from conductor.store.port import Store
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import run_service_pb2_grpc
from servicekit.calls.callers import current_caller

MAX_REASON_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Launching:
    """The parts that make runs, or show them before they are made."""

    creation: RunCreation
    planning: RunPlanning
    retry: RunRetry


class RunServicer(run_service_pb2_grpc.RunServiceServicer):
    """Creates, follows, cancels, deletes and shows runs."""

    def __init__(
        self,
        store: Store,
        engine: Seat,
        launching: Launching,
        retention: Retention,
        *,
        evaluator: Evaluator,
        progress_seconds: float,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._engine = engine
        self._launching = launching
        self._retention = retention
        presents = Presents(lambda: engine.state, now)
        self._reading = RunReading(store, presents.of)
        self._output = OutputReading(store, self._reading)
        self._comparing = RunComparing(store, self._reading)
        self._reports = ReportReading(store, self._reading, evaluator)
        self._progress_seconds = progress_seconds
        self._presence = Presence(progress_seconds, presents.watched, now)

    async def PlanRun(self, request: pb.PlanRunRequest, context: Any) -> pb.PlanRunResponse:
        return await self._launching.planning.show(request)

    async def CreateRun(self, request: pb.CreateRunRequest, context: Any) -> pb.Run:
        return await self._reading.run(await self._launching.creation.create(request, read_caller_trace(context)))

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.Run:
        return await self._reading.run(read_run(request.name))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:
        return await self._reading.runs(request)

    async def WatchRun(self, request: pb.WatchRunRequest, context: Any) -> AsyncIterator[pb.WatchRunResponse]:
        run = read_run(request.name)
        async for told in watch_run(self._store, run, request.resume_token, self._presence):
            yield told

    async def WatchRuns(self, request: pb.WatchRunsRequest, context: Any) -> AsyncIterator[pb.WatchRunsResponse]:
        wanted = FeedFilter(request.flow, dict(request.labels), request.include_sub_runs)
        async for told in watch_runs(self._store, wanted, request.resume_token, self._progress_seconds):
            yield told

    async def CancelRun(self, request: pb.CancelRunRequest, context: Any) -> pb.Run:
        cancel = RequestCancel(*_read_reasoned(request, "CancelRun"), by=current_caller().identity)
        await self._engine.submit(cancel)
        return await self._reading.run(cancel.run)

    async def RetryRun(self, request: pb.RetryRunRequest, context: Any) -> pb.Run:
        return await self._reading.run(await self._launching.retry.create(request, read_caller_trace(context)))

    async def PauseRun(self, request: pb.PauseRunRequest, context: Any) -> pb.Run:
        pause = RequestPause(*_read_reasoned(request, "PauseRun"), by=current_caller().identity)
        await self._engine.submit(pause)
        return await self._reading.run(pause.run)

    async def ResumeRun(self, request: pb.ResumeRunRequest, context: Any) -> pb.Run:
        run, request_id = read_run(request.name), read_request_id(request.request_id)
        digest = hashlib.sha256(f"ResumeRun\0{run}".encode()).hexdigest()
        await self._engine.submit(RequestResume(run, request_id, digest, by=current_caller().identity))
        return await self._reading.run(run)

    async def DeleteRun(self, request: pb.DeleteRunRequest, context: Any) -> Empty:
        run, request_id = read_run(request.name), read_request_id(request.request_id)
        await self._retention.delete(run, request_id, current_caller().identity)
        return Empty()

    async def GetStep(self, request: pb.GetStepRequest, context: Any) -> pb.Step:
        return await self._reading.step(request.name)

    async def ReadOutput(self, request: pb.ReadOutputRequest, context: Any) -> AsyncIterator[pb.ReadOutputResponse]:
        async for piece in self._output.read(request):
            yield piece

    async def ListFindings(self, request: pb.ListFindingsRequest, context: Any) -> pb.ListFindingsResponse:
        return await self._reading.findings(request)

    async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.Report:
        return await self._reports.report(request)

    async def CompareRuns(self, request: pb.CompareRunsRequest, context: Any) -> pb.CompareRunsResponse:
        return await self._comparing.compare(request)


def _read_reasoned(request: pb.CancelRunRequest | pb.PauseRunRequest, method: str) -> tuple[str, str, str, str]:
    """Reads run, reason, request id and digest."""
    run = read_run(request.name)
    if len(request.reason) > MAX_REASON_CHARACTERS:
        raise InvalidRequestError(Violation("reason", f"has more than {MAX_REASON_CHARACTERS} characters"))
    request_id = read_request_id(request.request_id)
    digest = hashlib.sha256(f"{method}\0{run}\0{request.reason}".encode()).hexdigest()
    return run, request.reason, request_id, digest
