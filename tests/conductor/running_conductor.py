"""A real conductor in this process, on a unix socket, with real database and engine, over fake hosts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from conductor.app import serving
from conductor.config import Access, Clocks, HostSetting, Limits, Settings
from conductor.v1 import (
    access_service_pb2_grpc,
    flow_service_pb2_grpc,
    gate_service_pb2_grpc,
    pool_service_pb2_grpc,
    run_service_pb2_grpc,
    server_service_pb2_grpc,
)
from conductor.v1 import flow_service_pb2 as flow_pb
from conductor.v1 import run_service_pb2 as pb
from servicekit.addresses import Address
from servicekit.channels import open_channel
from servicekit.collectors import Collector
from servicekit.statuses import Refusal, read_refusal
from tests.fakes.agent_host import HostTeller, agent_host
from tests.fakes.execution_host import ExecutionHost
from tests.kit.worker import WorkerInProcess


@dataclass
class Running:
    """Stubs to a conductor, and the hosts below it."""

    target: str
    channel: grpc.aio.Channel
    hosts: dict[str, ExecutionHost]
    tellers: dict[str, HostTeller]
    workspace: Path
    stop: asyncio.Event
    serving: asyncio.Task[None]

    def __post_init__(self) -> None:
        self.runs: Any = run_service_pb2_grpc.RunServiceStub(self.channel)
        self.gates: Any = gate_service_pb2_grpc.GateServiceStub(self.channel)
        self.flows: Any = flow_service_pb2_grpc.FlowServiceStub(self.channel)
        self.pool: Any = pool_service_pb2_grpc.PoolServiceStub(self.channel)
        self.server: Any = server_service_pb2_grpc.ServerServiceStub(self.channel)
        self.access: Any = access_service_pb2_grpc.AccessServiceStub(self.channel)

    async def create(self, *steps: flow_pb.Flow.Step, traceparent: str = "", **fields: Any) -> pb.Run:
        flow = flow_pb.Flow(name="flows/test", steps=steps)
        request = pb.CreateRunRequest(inline=flow, workspace=pb.Workspace(path=str(self.workspace)), **fields)
        run: pb.Run = await self.runs.CreateRun(request, metadata=[("traceparent", traceparent)] if traceparent else [])
        return run

    async def watch(self, run: str, token: str = "") -> list[pb.WatchRunResponse]:
        call = self.runs.WatchRun(pb.WatchRunRequest(name=run, resume_token=token))
        return [told async for told in call]

    async def until_said(self, run: str) -> None:
        """Watches until an agent's first text is stored."""
        call = self.runs.WatchRun(pb.WatchRunRequest(name=run))
        async for told in call:
            if told.HasField("output"):
                break
        call.cancel()

    async def settled(self, run: str) -> pb.Run:
        told = await self.watch(run)
        return told[-1].run


def agent_step(step: str, *needs: str, **fields: Any) -> flow_pb.Flow.Step:
    work = flow_pb.AgentWork(agents=["scripted"], prompt=f"do {step}", max_attempts=1)
    return flow_pb.Flow.Step(id=step, needs=needs, agent=work, **fields)


async def refusal(answer: Any) -> Refusal:
    """The refusal of a call that is awaited, or of a stream that is read to its end."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _spend(answer)
    return read_refusal(caught.value)


async def _spend(answer: Any) -> None:
    if hasattr(answer, "__aiter__"):
        [None async for _ in answer]
    else:
        await answer


def plain(history: list[pb.WatchRunResponse]) -> list[dict[str, Any]]:
    """A history as values that can be compared; what only tells how things stand is no part of it."""
    return [json_format.MessageToDict(told) for told in history if not told.HasField("progress")]


@asynccontextmanager
async def running_conductor(
    folder: Path,
    *,
    hosts: dict[str, ExecutionHost] | None = None,
    absent: tuple[str, ...] = (),
    limits: Limits | None = None,
    clocks: Clocks | None = None,
    roots: tuple[Path, ...] = (),
    project: Path | None = None,
    metrics: str = "",
    traces: str | Collector = "",
    listen: str = "unix:{0}/conductor.sock",
    loopback_role: str = "",
    blobs: str = "",
    store: str = "",
) -> AsyncIterator[Running]:
    """Starts a conductor in `folder`; the same folder again is a restart. `absent` hosts are configured and not there.

    What authors wrote is evaluated in this process: only the tests of workers need real ones.
    """
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    (workspace / "a.txt").write_text("one\ntwo\n")
    executions = {} if hosts is None else hosts
    tellers = {name: HostTeller(name, "scripted") for name in executions}
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        named = [
            HostSetting(
                name, await stack.enter_async_context(agent_host(folder, name, executions[name], tellers[name]))
            )
            for name in executions
        ]
        named += [HostSetting(name, f"unix:{folder}/{name}.sock") for name in absent]
        settings = Settings(
            listen=Address.parse(listen.format(folder)),
            data=folder / "data",
            blobs=blobs,
            store=store,
            hosts=tuple(named),
            roots=roots,
            project=project,
            limits=limits or Limits(stop_seconds=1),
            clocks=clocks or Clocks(),
            metrics=Address.parse(metrics) if metrics else None,
            traces=Collector(traces) if isinstance(traces, str) else traces,
            access=Access(loopback_role),
        )
        conductor = await stack.enter_async_context(serving(settings, WorkerInProcess))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        serves = tasks.create_task(conductor.serve(stop))
        channel = await stack.enter_async_context(open_channel(settings.listen.target))
        stack.callback(stop.set)
        await channel.channel_ready()
        yield Running(settings.listen.target, channel, executions, tellers, workspace, stop, serves)
