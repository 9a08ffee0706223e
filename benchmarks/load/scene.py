"""Sets up what a curve is measured on: a real conductor on a real engine, a host that is played, a run to ask decisions of."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc

from benchmarks.load.ears import Ears
from benchmarks.load.gauges import Gauges
from benchmarks.load.lateness import Player, playing
from benchmarks.load.speaking_host import AGENT, HOST
from benchmarks.measuring import must
from benchmarks.services import pair, pid_of
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import AgentWork, Flow
from conductor.v1.run_service_pb2 import CancelRunRequest
from tests.kit import flows
from tests.kit.metrics import scrape
from tests.kit.services import Pair

# Far above what is measured: the machine is to give, not a setting.
LIMITS = {"unfinished_runs": 20_000, "attempts_at_once": 20_000, "silence_seconds": 60}
CREATED_AT_ONCE = 8
BEGUN_SECONDS = 20.0


class Scene:
    """A conductor with its load, which only grows, but for runs that are cancelled."""

    def __init__(self, running: Pair, channel: grpc.aio.Channel, folder: Path, stack: AsyncExitStack) -> None:
        self._stub: run_service_pb2_grpc.RunServiceAsyncStub = run_service_pb2_grpc.RunServiceStub(channel)
        self._workspace = flows.plain_workspace(folder / "workspace")
        self._metrics = folder / "metrics"
        self._agents = 0
        self.address = running.address
        self.ears = Ears(channel)
        self.players: list[Player] = []
        self._stack = stack
        self._conductor = pid_of(running.conductor)
        self.idle = ""

    @property
    def gauges(self) -> Gauges:
        return Gauges(self._conductor, self._metrics, [player.pid for player in self.players])

    async def speak(self, agents: int, interval: float, tokens: int = 1, runs: int = 1) -> list[str]:
        """Starts runs whose agents speak so, and returns them once all are at work."""
        work = AgentWork(agents=[AGENT], prompt=f"#speak {interval:g} {tokens}")
        request = flows.request(self._workspace, *(Flow.Step(id=f"a{number}", agent=work) for number in range(agents)))
        turns = asyncio.Semaphore(CREATED_AT_ONCE)

        async def create() -> str:
            async with turns:
                return (await self._stub.CreateRun(request, timeout=60)).name

        names = await asyncio.gather(*(create() for _ in range(runs)))
        self._agents += agents * runs
        await self._until_begun()
        return names

    async def add_player(self, module: str, *arguments: str) -> None:
        """Starts a process that plays a part of the load."""
        self.players.append(await self._stack.enter_async_context(playing(module, *arguments)))

    async def cancel(self, run: str, agents: int) -> None:
        await self._stub.CancelRun(CancelRunRequest(name=run), timeout=20)
        self._agents -= agents

    async def _until_begun(self) -> None:
        deadline = time.monotonic() + BEGUN_SECONDS
        while (await scrape(self._metrics)).value("conductor_attempts_live") < self._agents:
            must(time.monotonic() < deadline, f"{self._agents} agents begin within {BEGUN_SECONDS:g} s")
            await asyncio.sleep(0.05)


@asynccontextmanager
async def scene(store: str, folder: Path, host: Player) -> AsyncIterator[Scene]:
    """Starts a conductor; `folder` holds the socket of the host."""
    more = ("--metrics", f"unix:{folder}/metrics", "--host", f"{HOST}=unix:{folder}/host.sock")
    with pair(hosts=0, store=store, more=more, **LIMITS) as running:
        async with running.channel_of_asyncio() as channel, AsyncExitStack() as stack:
            made = Scene(running, channel, folder, stack)
            made.players.append(host)
            made.idle = (await made.speak(1, 0))[0]
            stack.callback(made.ears.close)
            yield made
