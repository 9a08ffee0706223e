"""Attempts as a real host of yesterday told them, frame for frame, told again to a conductor of this code."""

from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from agenthost.v1 import execution_service_pb2 as pb
from conductor.v1 import run_service_pb2 as run_pb
from tests.conductor.running_conductor import Running, agent_step, running_conductor
from tests.fakes.execution_host import ExecutionHost, FakeExecution

# What differs from run to run.
_OF_THE_RUN = ("id", "createTime", "startTime", "endTime", "placementReason")


class ReplayingHost(ExecutionHost):
    """Replays each step's recorded frames, and keeps the requests that it gets."""

    def __init__(self, recorded: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.recorded = {
            step: [pb.ExecuteResponse.FromString(b64decode(frame)) for frame in frames]
            for step, frames in recorded.items()
        }
        self.requests: dict[str, bytes] = {}

    async def Execute(self, requests: AsyncIterator[pb.ExecuteRequest], context: Any) -> Any:  # noqa: N802
        async for response in super().Execute(self._kept(requests), context):
            yield response

    async def _kept(self, requests: AsyncIterator[pb.ExecuteRequest]) -> AsyncIterator[pb.ExecuteRequest]:
        async for request in requests:
            self.requests[str(request.WhichOneof("frame"))] = request.SerializeToString(deterministic=True)
            yield request

    def _started(self, start: pb.Start) -> FakeExecution:
        execution = super()._started(start)
        if not execution.frames:
            execution.tell(*self.recorded[start.execution.split("-")[1]])
        return execution


async def replay(folder: Path, host: ReplayingHost) -> dict[str, Any]:
    """Runs a step for each attempt that was recorded; returns what the API tells of it."""
    async with running_conductor(folder, hosts={"alpha": host}) as running:
        runs = {step: (await running.create(agent_step(step))).name for step in host.recorded}
        return {step: await _read(running, step, run) for step, run in runs.items()}


async def _read(running: Running, step: str, run: str) -> dict[str, Any]:
    await running.settled(run)
    whole = await running.runs.GetStep(run_pb.GetStepRequest(name=f"{run}/steps/{step}"))
    told = MessageToDict(whole)
    (attempt,) = told["attempts"]
    outputs = {}
    for channel in run_pb.Output.Channel.values()[1:]:
        request = run_pb.ReadOutputRequest(name=whole.name, channel=channel)
        pieces = [piece async for piece in running.runs.ReadOutput(request)]
        outputs[run_pb.Output.Channel.Name(channel)] = "".join(piece.text for piece in pieces)
    return {
        "state": told["state"],
        "class": getattr(whole.failure, "class"),
        "reason": whole.failure.reason,
        "text": whole.text,
        "result": told.get("result"),
        "attempt": {name: value for name, value in attempt.items() if name not in _OF_THE_RUN},
        "outputs": outputs,
    }
