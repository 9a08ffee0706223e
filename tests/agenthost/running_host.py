"""A real host on a unix socket, a real snapshot pushed to it, and a client that keeps the protocol. For tests."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
from google.protobuf.json_format import ParseDict

from agenthost.app import running_host
from agenthost.attempt.folder import AttemptFolders
from agenthost.config import Settings
from agenthost.host.data_folder import DataFolder
from agenthost.host.state import Host
from agenthost.proof.probe import Proof
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import (
    execution_service_pb2_grpc,
    host_service_pb2_grpc,
    snapshot_service_pb2,
    snapshot_service_pb2_grpc,
)
from servicekit.addresses import Address
from servicekit.channels import EXECUTION_OPTIONS
from servicekit.statuses import Refusal, read_refusal
from tests.kit.processes import tree_of
from tests.kit.proof import proof_of_the_session

CONDUCTOR = "conductor-1"
RUN = "01k00000000000000000000000"


def execution_id(step: str = "look", number: int = 1) -> str:
    return f"{RUN}-{step}-{number}"


@dataclass
class Conversation:
    """One Execute stream: what came, and how it ended."""

    call: grpc.aio.StreamStreamCall
    epoch: int
    conductor: str
    frames: list[pb.ExecuteResponse] = field(default_factory=list)

    async def send(self, **frame: object) -> None:
        await self.call.write(pb.ExecuteRequest(conductor_id=self.conductor, epoch=self.epoch, **frame))  # type: ignore[arg-type]

    async def receive(self) -> pb.ExecuteResponse | None:
        """The next frame; None at the end."""
        response = await self.call.read()
        if response is grpc.aio.EOF:
            return None
        self.frames.append(response)
        return response

    async def until(self, wanted: Callable[[pb.ExecuteResponse], bool]) -> pb.ExecuteResponse:
        while (frame := await self.receive()) is not None:
            if wanted(frame):
                return frame
        raise AssertionError(f"the stream ended before: {await self.refusal()}")

    async def until_said(self, text: str) -> None:
        while text not in self.said("answer"):
            assert await self.receive() is not None, await self.refusal()

    async def finish(self) -> pb.Finished:
        """Reads to the end, says goodbye, and checks that the host agrees."""
        return await self.finish_with(await self.until(lambda frame: frame.HasField("finished")))

    async def finish_with(self, finished: pb.ExecuteResponse) -> pb.Finished:
        """Says goodbye for a last frame that was read already."""
        await self.send(ack=pb.Ack(sequence=finished.sequence))
        await self.call.done_writing()
        assert await self.call.read() is grpc.aio.EOF
        assert await self.call.code() == grpc.StatusCode.OK
        return finished.finished

    async def refusal(self) -> Refusal:
        """The status of a stream that the host would not serve."""
        try:
            while await self.receive() is not None:
                pass
        except grpc.aio.AioRpcError as error:
            return read_refusal(error)
        return Refusal((await self.call.code()).name, "")

    def said(self, channel: str) -> str:
        wanted = pb.Output.Channel.Value(f"CHANNEL_{channel.upper()}")
        return "".join(
            frame.output.text for frame in self.frames if frame.HasField("output") and frame.output.channel == wanted
        )


@dataclass
class Client:
    """Talks to a host as a conductor does."""

    host: Host
    data: Path
    channel: grpc.aio.Channel
    snapshot: str

    def __post_init__(self) -> None:
        self.executions = execution_service_pb2_grpc.ExecutionServiceStub(self.channel)
        self.hosts = host_service_pb2_grpc.HostServiceStub(self.channel)

    def start_of(self, *script: str, step: str = "look", **fields: object) -> pb.Start:
        prompt = "\n".join(["#scripted", *script])
        values = {"execution": execution_id(step), "agent": "scripted", "prompt": prompt, "snapshot": self.snapshot}
        return ParseDict({**values, **fields}, pb.Start())

    @asynccontextmanager
    async def open(self, epoch: int = 1, conductor: str = CONDUCTOR, **first: object) -> AsyncIterator[Conversation]:
        conversation = Conversation(self.executions.Execute(), epoch, conductor)
        try:
            await conversation.send(**first)
            yield conversation
        finally:
            conversation.call.cancel()

    async def run(self, *script: str, **fields: object) -> tuple[Conversation, pb.Finished]:
        """Runs a script to its acknowledged end."""
        async with self.open(start=self.start_of(*script, **fields)) as conversation:  # type: ignore[arg-type]
            return conversation, await conversation.finish()

    async def refused(self, start: pb.Start, **how: object) -> Refusal:
        async with self.open(start=start, **how) as conversation:  # type: ignore[arg-type]
            return await conversation.refusal()

    def spawns(self) -> list[dict[str, object]]:
        """Every agent that was ever let go here: the spawn oracle."""
        log = self.data / "spawns.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@asynccontextmanager
async def open_host(
    folder: Path, repository: Path, *, proven: bool = True, proof: Proof = proof_of_the_session, **settings: object
) -> AsyncIterator[Client]:
    """Serves in this process, with everything real below it; waits for the proof of the sandbox unless told not to.

    The proof is the session's, which was real; tests of the sandbox give `prove`.
    """
    data = DataFolder(folder / "data")
    data.acquire()
    address = f"unix:{folder}/s"
    plain = Settings(listen=address, data=data.path, name="test", end_agents_on_stop=True)
    async with (
        running_host(replace(plain, **settings), Address.parse(address), data, proof) as (host, target),  # type: ignore[arg-type]
        grpc.aio.insecure_channel(target, options=EXECUTION_OPTIONS) as channel,
    ):
        client = Client(host, data.path, channel, await push_snapshot(channel, repository))
        if proven:
            await until_proven(host)
        yield client


async def until_proven(host: Host) -> None:
    """Waits until the sandbox and every agent's own are proven."""
    while not host.proofs.keys() >= {name for name, agent in host.agents.items() if agent.available}:
        assert host.report.pending or host.report.available, host.report.reason
        await host.change.subscribe().wait()


def make_repository(folder: Path) -> Path:
    """A small repository with one commit."""
    folder.mkdir()
    (folder / "README.md").write_text("# Hello\n\nA line to quote.\n")
    _git(folder, "init", "--quiet")
    _git(folder, "add", ".")
    _git(folder, "-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "--quiet", "-m", "one")
    return folder


async def push_snapshot(channel: grpc.aio.Channel, repository: Path) -> str:
    commit = _git(repository, "rev-parse", "HEAD").decode().strip()
    pack = _git(repository, "pack-objects", "--revs", "--stdout", "-q", stdin=f"{commit}\n".encode())
    stub = snapshot_service_pb2_grpc.SnapshotServiceStub(channel)
    header = snapshot_service_pb2.SnapshotHeader(snapshot=commit)
    parts = [
        snapshot_service_pb2.PushSnapshotRequest(header=header),
        snapshot_service_pb2.PushSnapshotRequest(chunk=pack),
    ]
    await stub.PushSnapshot(iter(parts))
    return commit


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], input=stdin, stdout=subprocess.PIPE, check=True
    ).stdout


def folder_of(data: Path, execution: str) -> Path:
    """Returns the folder where a host keeps an attempt."""
    return AttemptFolders(data / "attempts").path_of(execution)


async def sandbox_tree(client: Client) -> list[int]:
    """Returns the shim of the only attempt, and every process below it."""
    (spawn,) = client.spawns()
    return tree_of(int(str(spawn["shim"])))
