"""RunService: each method asks the part that knows, and gives its answer. See `run_service.proto` for what they promise."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.empty_pb2 import Empty

from conductor.api.messages.names import read_run
from conductor.api.output_reading import OutputReading
from conductor.api.run_changing import RunChanging
from conductor.api.run_reading import RunReading
from conductor.api.watch import FeedFilter, Presence, watch_run, watch_runs
from conductor.core.decide.loss import Absence, list_absences
from conductor.engine.loop import Engine
from conductor.store.port import Store
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import run_service_pb2_grpc


class RunServicer(run_service_pb2_grpc.RunServiceServicer):
    """Starts, follows, stops and reads runs."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        changing: RunChanging,
        *,
        progress_seconds: float,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._engine = engine
        self._changing = changing
        self._reading = RunReading(store, self._absences)
        self._output = OutputReading(store, self._reading)
        self._progress_seconds = progress_seconds
        self._presence = Presence(progress_seconds, self._absences, now)

    def _absences(self, run: str) -> tuple[Absence, ...]:
        return list_absences(self._engine.state, run)

    async def CreateRun(self, request: pb.CreateRunRequest, context: Any) -> pb.Run:
        return await self._reading.run(await self._changing.create(request))

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.Run:
        return await self._reading.run(read_run(request.name))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:
        return await self._reading.runs(request)

    async def WatchRun(self, request: pb.WatchRunRequest, context: Any) -> AsyncIterator[pb.WatchRunResponse]:
        run = read_run(request.name)
        async for told in watch_run(self._store, run, request.resume_token, self._presence):
            yield told

    async def WatchRuns(self, request: pb.WatchRunsRequest, context: Any) -> AsyncIterator[pb.WatchRunsResponse]:
        wanted = FeedFilter(request.flow, dict(request.labels))
        async for told in watch_runs(self._store, wanted, request.resume_token, self._progress_seconds):
            yield told

    async def CancelRun(self, request: pb.CancelRunRequest, context: Any) -> pb.Run:
        return await self._reading.run(await self._changing.cancel(request))

    async def DeleteRun(self, request: pb.DeleteRunRequest, context: Any) -> Empty:
        await self._changing.delete(request)
        return Empty()

    async def GetStep(self, request: pb.GetStepRequest, context: Any) -> pb.Step:
        return await self._reading.step(request.name)

    async def ReadOutput(self, request: pb.ReadOutputRequest, context: Any) -> AsyncIterator[pb.ReadOutputResponse]:
        async for piece in self._output.read(request):
            yield piece

    async def ListFindings(self, request: pb.ListFindingsRequest, context: Any) -> pb.ListFindingsResponse:
        return await self._reading.findings(request)

    async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.Report:
        return await self._reading.report(request.name)
