"""A whole agent host without processes: its executions say what a script says. Over real gRPC, on a unix socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agenthost.errors import ShuttingDownError
from agenthost.v1 import host_service_pb2, host_service_pb2_grpc, snapshot_service_pb2, snapshot_service_pb2_grpc
from agenthost.v1.execution_service_pb2_grpc import add_ExecutionServiceServicer_to_server
from agenthost.v1.host_service_pb2_grpc import add_HostServiceServicer_to_server
from agenthost.v1.snapshot_service_pb2_grpc import add_SnapshotServiceServicer_to_server
from servicekit.addresses import Address
from servicekit.server import Server
from tests.fakes.execution_host import ExecutionHost


class HostTeller(host_service_pb2_grpc.HostServiceServicer):
    """Tells the host at once, when it changes, and as often as `beat` is set. `silent` makes it say nothing more."""

    def __init__(self, name: str, *agents: str) -> None:
        offered = [host_service_pb2.Agent(name=agent, version="1", available=True) for agent in agents]
        sandbox = host_service_pb2.Sandbox(available=True, mechanism="fake 1")
        self.host = host_service_pb2.Host(
            name=name, state=host_service_pb2.Host.STATE_READY, version="1", slots=8, agents=offered, sandbox=sandbox
        )
        self.told = 0
        self.changed = asyncio.Event()
        self.error: Exception | None = None

    def change(self, **fields: Any) -> None:
        self.host.MergeFrom(host_service_pb2.Host(**fields))
        self.changed.set()

    async def WatchHost(  # noqa: N802
        self, request: host_service_pb2.WatchHostRequest, context: Any
    ) -> AsyncIterator[host_service_pb2.WatchHostResponse]:
        while True:
            if self.error is not None:
                raise self.error
            self.changed.clear()
            self.told += 1
            yield host_service_pb2.WatchHostResponse(host=self.host)
            await self.changed.wait()

    def end(self) -> None:
        self.error = ShuttingDownError()
        self.changed.set()

    def come_back(self) -> None:
        self.error = None


class SnapshotTaker(snapshot_service_pb2_grpc.SnapshotServiceServicer):
    """Has every snapshot already."""

    async def FindMissing(  # noqa: N802
        self, request: snapshot_service_pb2.FindMissingRequest, context: Any
    ) -> snapshot_service_pb2.FindMissingResponse:
        return snapshot_service_pb2.FindMissingResponse(checked_out=request.commits)


@asynccontextmanager
async def agent_host(folder: Path, name: str, executions: ExecutionHost, teller: HostTeller) -> AsyncIterator[str]:
    """Serves a fake host; gives its address."""
    server = await Server.start(
        Address.parse(f"unix:{folder}/{name}.sock"),
        [
            (add_ExecutionServiceServicer_to_server, executions),
            (add_HostServiceServicer_to_server, teller),
            (add_SnapshotServiceServicer_to_server, SnapshotTaker()),
        ],
        service="agenthost",
    )
    try:
        yield server.target
    finally:
        await server.stop(0)
