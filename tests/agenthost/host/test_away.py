"""Daemons that are killed or frozen, readers that are slow or frozen: agents go on, and every byte arrives once, in order."""

import asyncio
import math
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from agenthost.v1 import execution_service_pb2 as pb
from servicekit.channels import EXECUTION_OPTIONS
from tests.agenthost.host_process import HostProcess, host_at
from tests.agenthost.running_host import CONDUCTOR, Client, Conversation, execution_id, folder_of
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

AGENTS = 8


@pytest.mark.long
async def test_agents_that_stream_survive_the_kill_of_their_daemon_and_lose_no_byte(
    short_path: Path, repository: Path
) -> None:
    """Keeps I4: same processes, same frames; and who waits for its conductor for too long ends without any daemon (rule 8)."""
    steps = [f"agent{number}" for number in range(AGENTS)]
    lines = [line for number in range(150) for line in (f"say word {number}", "sleep 0.01")]
    async with host_at(short_path, repository) as (host, client):
        first = dict(zip(steps, await asyncio.gather(*(spoken(client, step, *lines) for step in steps)), strict=True))
        short = client.start_of("say short", "hang", step="short", orphan_timeout="0.5s")
        async with client.open(start=short) as lonely:
            await lonely.until_said("short")
        await host.end(signal.SIGKILL)
    await until((folder_of(short_path / "data", execution_id("short")) / "status.json").exists)
    async with host_at(short_path, repository) as (host, client):
        second = dict(
            zip(steps, await asyncio.gather(*(resumed(client, first[step], step) for step in steps)), strict=True)
        )
        orphan = await resumed(client, lonely, "short")
        spawned = [(spawn["execution"], spawn["pid"]) for spawn in client.spawns()]
        await host.end()

    whole = "".join(f"word {number}\n" for number in range(150))
    for step in steps:
        frames = first[step].frames + second[step].frames
        assert first[step].said("answer") + second[step].said("answer") == whole
        assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
        assert frames[-1].finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
        assert (execution_id(step), first[step].frames[0].started.attestation.pid) in spawned
    assert len(spawned) == AGENTS + 1
    assert orphan.frames[-1].finished.reason == "ORPHANED"
    assert lonely.said("answer") == "short\n"


async def spoken(client: Client, step: str, *script: str) -> Conversation:
    async with client.open(start=client.start_of(*script, step=step)) as conversation:
        await conversation.until_said("word 9\n")
    return conversation


async def resumed(client: Client, before: Conversation, step: str) -> Conversation:
    resume = pb.Resume(execution=execution_id(step), after_sequence=len(before.frames))
    async with client.open(resume=resume) as conversation:
        await conversation.finish()
    return conversation


@pytest.mark.long
async def test_neither_a_frozen_daemon_nor_readers_that_do_not_read_hold_an_agent_up(
    short_path: Path, repository: Path
) -> None:
    """Keeps D10: full speed, the spool on disk, the daemon's memory bounded, every byte later."""
    size = 12 * 1024 * 1024
    async with host_at(short_path, repository) as (host, client):
        limits = {"max_output_bytes": 2 * size, "max_answer_bytes": 1}
        script = ("say ready", "echo-input 1", f"flood {size}")
        async with (
            reader(host, client, client.start_of(*script, step="frozen", **limits)) as frozen,
            reader(host, client, client.start_of(*script, step="slow", **limits)) as slow,
        ):
            before = resident_bytes(host)
            for conversation in (frozen, slow):
                await conversation.send(input=pb.Input(input_sequence=1, text="go"))
            await slow.until(lambda frame: frame.HasField("output") and frame.output.channel == pb.Output.CHANNEL_LOG)
            host.process.send_signal(signal.SIGSTOP)
            spools = [folder_of(client.data, execution_id(step)) / "spool" for step in ("frozen", "slow")]
            await until(lambda: all(spool.stat().st_size > size for spool in spools))
            host.process.send_signal(signal.SIGCONT)
            while await running(client):
                await slow.receive()
                await asyncio.sleep(0.01)
            behind = len(slow.said("log"))
            grown = resident_bytes(host) - before
            ends = [await conversation.finish() for conversation in (frozen, slow)]

    assert behind < size
    assert grown < size
    assert [end.exit_code for end in ends] == [0, 0]
    assert len(frozen.said("log")) == len(slow.said("log")) == size


@asynccontextmanager
async def reader(host: HostProcess, client: Client, start: pb.Start) -> AsyncIterator[Conversation]:
    """A stream on a connection of its own, which has heard that the agent is ready."""
    async with grpc.aio.insecure_channel(host.target, options=EXECUTION_OPTIONS) as channel:
        own = Client(client.host, client.data, channel, client.snapshot)
        async with own.open(start=start) as conversation:
            await conversation.until(lambda frame: frame.HasField("output"))
            yield conversation


def resident_bytes(host: HostProcess) -> int:
    status = Path(f"/proc/{host.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


async def running(client: Client) -> bool:
    listed = await client.executions.ListExecutions(pb.ListExecutionsRequest(conductor_id=CONDUCTOR, epoch=1))
    return any(one.state == pb.Execution.STATE_RUNNING for one in listed.executions)


async def test_eight_agents_that_are_cancelled_end_and_say_so_also_those_that_will_not(client: Client) -> None:
    """Keeps D6: two ignore TERM and double-fork; partial text is kept, and the status is true."""
    steps = [f"agent{number}" for number in range(AGENTS)]
    stubborn = ("ignore TERM", "fork 3", "say partial", "hang")
    client.host.settings = replace(client.host.settings, slots=AGENTS)

    async def cancelled(step: str, *script: str) -> tuple[Conversation, pb.Finished]:
        async with client.open(start=client.start_of(*script, step=step, cancel_grace="0.5s")) as conversation:
            await conversation.until_said("partial")
            started[step] = namespace_of(conversation.frames[0].started.attestation.pid)
            await until(lambda: len(started) == AGENTS)
            told.append(time.clock_gettime(time.CLOCK_BOOTTIME))
            await conversation.send(cancel=pb.Cancel(reason="enough"))
            return conversation, await conversation.finish()

    started: dict[str, str] = {}
    told: list[float] = []
    ends = await asyncio.gather(
        *(cancelled(step, *(stubborn if step in steps[:2] else ("say partial", "hang"))) for step in steps)
    )

    for conversation, finished in ends:
        assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_CANCELLED, "CANCELLED")
        assert conversation.said("answer") == "partial\n"
    assert [finished.signal for _, finished in ends[:2]] == [9, 9]
    assert len(set(started.values())) == AGENTS
    # A namespace's number may be another's by now: processes that these agents forked are older than their cancels.
    old = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if began(int(entry.name)) < min(told)]
    assert not set(started.values()) & {namespace_of(pid) for pid in old}


def began(pid: int) -> float:
    """Returns when a process began, in seconds since the boot; never, for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def namespace_of(pid: int) -> str:
    """The process namespace: whatever an agent forks, and however, is in its own."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""
