"""Runs each of the three relays that `relay` measures once for a load: ours, bare sockets, and the naive one.

Each returns what its watcher received, with the instant of each receipt, and the processor time of its two services from
the instant on which the agents began. All three have the same agents; ours alone confines them.
"""

import asyncio
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from benchmarks.measuring import ROOT, BrokenPromiseError, must
from benchmarks.services import processor_seconds, seconds_of
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import AgentWork, Flow
from conductor.v1.run_service_pb2 import GetRunRequest, Output, Run, WatchRunRequest, WatchRunResponse
from tests.kit import flows
from tests.kit.services import Pair

ROUND_SECONDS = 120
HEAD = struct.Struct("<II")
AGENT = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Load:
    """The agents and what they say. `interval` 0 is as fast as they can."""

    agents: int
    tokens: int  # of each agent
    interval: float = 0.0
    at_once: int = 1  # so many in a write; divides `tokens` and 64

    @property
    def token_bytes(self) -> int:
        return 20 if self.interval else 5

    def prompt(self, start: float) -> str:
        if self.interval:
            return f"#chatter pace {start:.3f} {self.tokens} {self.interval}"
        return f"#chatter burst {start:.3f} {self.tokens} {self.at_once}"


@dataclass(slots=True)
class Heard:
    """The watcher's receipts: time, agent, bytes."""

    start: float
    pieces: list[tuple[float, str, bytes]] = field(default_factory=list)
    processor_seconds: float = 0.0

    def take(self, agent: str, data: bytes) -> None:
        self.pieces.append((time.time(), agent, data))

    def texts(self) -> dict[str, bytes]:
        found: dict[str, list[bytes]] = {}
        for _, agent, data in self.pieces:
            found.setdefault(agent, []).append(data)
        return {agent: b"".join(pieces) for agent, pieces in found.items()}

    def were_all_there(self, agents: int) -> bool:
        """Returns whether every agent waited for the start, so that all began at once."""
        return len({agent for when, agent, _ in self.pieces if when < self.start}) == agents


def request_of(workspace: Path, load: Load, start: float) -> object:
    steps = [
        Flow.Step(id=f"agent{number}", agent=AgentWork(agents=["chatter"], prompt=load.prompt(start)))
        for number in range(load.agents)
    ]
    return flows.request(workspace, *steps)


async def ours(pair: Pair, workspace: Path, load: Load, start: float) -> Heard:
    """Runs agents in sandboxes, a host, a conductor with its database, and one watcher of the run."""
    heard, offsets = Heard(start), dict[str, int]()
    async with pair.channel_of_asyncio() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        run = await stub.CreateRun(request_of(workspace, load, start), timeout=60)
        before = asyncio.create_task(_spent_at(start, pair))
        async for message in _watch(stub, run):
            output = message.output
            if output.channel == Output.CHANNEL_ANSWER:
                data = output.text.encode()
                must(output.offset == offsets.get(output.step, 0), "each text begins where the one before ended")
                offsets[output.step] = output.offset + len(data)
                heard.take(output.step, data)
        heard.processor_seconds = _spent(pair) - await before
        ended = await stub.GetRun(GetRunRequest(name=run.name), timeout=30)
        must(ended.state == Run.STATE_SUCCEEDED, f"the run succeeds: {ended.failure.message}")
    return heard


async def _watch(stub: run_service_pb2_grpc.RunServiceStub, run: Run) -> AsyncIterator[WatchRunResponse]:
    """Watches a run; one that does not end breaks a promise, and what it waited for is told."""
    try:
        async for message in stub.WatchRun(WatchRunRequest(name=run.name), timeout=ROUND_SECONDS):
            yield message
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        stuck = await stub.GetRun(GetRunRequest(name=run.name), timeout=30)
        raise BrokenPromiseError(f"the run ends within {ROUND_SECONDS} s; it stands so:\n{stuck}") from error


def _spent(pair: Pair) -> float:
    return sum(processor_seconds(service) for service in (pair.conductor, *pair.hosts.values()))


async def _spent_at(start: float, pair: Pair) -> float:
    await asyncio.sleep(max(0.0, start - time.time()))
    return _spent(pair)


async def raw(load: Load, start: float) -> Heard:
    """Relays over bare sockets; stores nothing."""
    heard = Heard(start)
    async with _Rival("benchmarks.peers.raw_relay", "relay") as relay:
        port = int(await relay.line())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with tempfile.NamedTemporaryFile("w", prefix="bench-") as prompt:
            prompt.write(load.prompt(start))
            prompt.flush()
            async with _Rival("benchmarks.peers.raw_relay", "host", str(port), prompt.name, str(load.agents)) as host:
                before = asyncio.create_task(_rivals_spent_at(start, relay, host))
                async for agent, data in _frames(reader):
                    heard.take(str(agent), data)
                heard.processor_seconds = await host.line() + await relay.line() - await before
        writer.close()
    return heard


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    while head := await reader.read(HEAD.size):
        while len(head) < HEAD.size:
            head += await reader.readexactly(HEAD.size - len(head))
        agent, size = HEAD.unpack(head)
        yield agent, await reader.readexactly(size)


async def naive(load: Load, start: float) -> Heard:
    """Relays with a message and a commit for each token."""
    heard = Heard(start)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        prompt = Path(name) / "prompt"
        prompt.write_text(load.prompt(start))
        async with _Rival("benchmarks.peers.naive_relay", "relay", f"{name}/tokens.sqlite") as relay:
            port = int(await relay.line())
            sizes = (str(load.agents), str(load.token_bytes))
            async with (
                grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
                _Rival("benchmarks.peers.naive_relay", "host", str(port), str(prompt), *sizes) as host,
            ):
                before = asyncio.create_task(_rivals_spent_at(start, relay, host))
                async for message in channel.unary_stream("/naive/Watch")(b""):
                    heard.take(str(AGENT.unpack_from(message)[0]), message[AGENT.size :])
                heard.processor_seconds = await host.line() + await relay.line() - await before
    return heard


async def _rivals_spent_at(start: float, *rivals: "_Rival") -> float:
    await asyncio.sleep(max(0.0, start - time.time()))
    return sum(seconds_of(rival.pid) for rival in rivals)


class _Rival:
    """A program of the rivals: prints numbers, the last of which is the processor time that it took."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(*self._command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    async def line(self) -> float:
        assert self._process.stdout is not None
        said = await asyncio.wait_for(self._process.stdout.readline(), ROUND_SECONDS)
        must(bool(said), f"{self._command[2]} goes on to its end")
        return float(said)
