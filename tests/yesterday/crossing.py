"""Attempts that begin under a host of yesterday and end under one of today. The old host is killed in mid-output."""

import asyncio
import os
import signal
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from agenthost.models.settings import read_models
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.host_process import client_of
from tests.agenthost.running_host import Client, Conversation, execution_id, open_host
from tests.fakes.model_server import ModelServer
from tests.kit.processes import processes_with
from tests.kit.waiting import until
from tests.yesterday.ends import EPOCH, THINKER, write_agents
from tests.yesterday.host_world import listed
from tests.yesterday.old_host import serving_then

ORPHAN_SECONDS = 4
LINE = '{"type": "answer", "text": "ü in two halves"}\n'.encode()
HALF = LINE.index("ü".encode()) + 1

FETCH = "fetch POST /v1/chat/completions {}"
SCRIPTS = {
    "talking": ("say Grüße→", "reason two", "tool t1 read", "echo-input 2", "say end"),
    "hanging": ("ignore TERM", "say so far", "hang"),
    "ending": ("say before", "sleep 0.3", "say after", "exit 3"),
    "thinking": (FETCH, "echo-input 1", FETCH),
    "halved": ("say first", f"bytes {LINE[:HALF].hex()}", "sleep 1", f"bytes {LINE[HALF:].hex()}"),
}
HEARD = {"talking": "before", "hanging": "so far", "ending": "before", "thinking": "200\n", "halved": "first"}
WAITING = ("talking", "hanging", "thinking")  # the others may have ended before the host of today comes


@dataclass
class Crossing:
    """The attempts by step. `heard` comes from the host of yesterday, `now` from the host of today."""

    heard: dict[str, Conversation]
    shims: dict[str, int]
    agents: dict[str, int]
    command_lines: list[str]
    now: dict[str, Conversation] = field(default_factory=dict)
    ends: dict[str, pb.Finished] = field(default_factory=dict)
    lived: list[bool] = field(default_factory=list)
    states: dict[str, dict[str, object]] = field(default_factory=dict)
    replayed: list[bytes] = field(default_factory=list)
    refusal: str = ""
    spawned: int = 0

    def said(self, step: str) -> str:
        """Returns an attempt's whole answer."""
        return self.heard[step].said("answer") + self.now[step].said("answer")


async def cross(code: Path, folder: Path, repository: Path) -> Crossing:
    """Begins the attempts on a host of yesterday, kills it, and ends them on a host of today."""
    try:
        async with ModelServer.serving() as model:
            return await _cross(code, folder, repository, model.url)
    finally:  # what a failure left
        for pid in {*processes_with(str(code)), *processes_with(str(folder))}:
            os.kill(pid, signal.SIGKILL)


async def _cross(code: Path, folder: Path, repository: Path, url: str) -> Crossing:
    agents, models = write_agents(folder / "agents", THINKER), read_models({THINKER: {"url": url}})
    config = folder / "host.toml"
    config.write_text(f'[models.{THINKER}]\nurl = "{url}"\n')
    crossing = await _begin(code, folder, repository, "--config", str(config), "--agents-dir", str(agents))
    async with open_host(folder, repository, proven=False, agents_dirs=(agents,), models=models) as client:
        await _meet(client, crossing)
        await _end(client, crossing)
        crossing.refusal = (await client.refused(_start(client, "talking"), epoch=EPOCH)).reason
        crossing.spawned = len(client.spawns())
        await until(lambda: not any(map(_lives, crossing.agents.values())))
    return crossing


async def _begin(code: Path, folder: Path, repository: Path, *options: str) -> Crossing:
    data = folder / "data"
    async with (
        serving_then(code, data, f"unix:{folder}/s", "--slots", "8", *options) as host,
        client_of(host, data, repository) as client,
        AsyncExitStack() as stack,
    ):
        heard = {}
        for step in SCRIPTS:
            start = _start(client, step)
            heard[step] = one = await stack.enter_async_context(client.open(start=start, epoch=EPOCH))
            if step == "talking":
                await one.send(input=pb.Input(input_sequence=1, text="before"))
            await one.until_said(HEARD[step])
            await one.send(ack=pb.Ack(sequence=2))
        shims = {str(spawn["execution"]).split("-")[1]: int(str(spawn["shim"])) for spawn in client.spawns()}
        agents = {step: one.frames[0].started.attestation.pid for step, one in heard.items()}
        lines = [Path(f"/proc/{shims[step]}/cmdline").read_bytes().decode() for step in WAITING]
        await host.end(signal.SIGKILL)
    return Crossing(heard, shims, agents, lines)


async def _meet(client: Client, crossing: Crossing) -> None:
    """Lists the attempts on the host of today, and reads again what was heard."""
    crossing.states = {str(execution["execution"]).split("-")[1]: execution for execution in await listed(client)}
    crossing.lived = [_lives(pid) for step in WAITING for pid in (crossing.shims[step], crossing.agents[step])]
    async with _resume(client, "talking", 0) as again:
        await again.until(lambda frame: frame.sequence == len(crossing.heard["talking"].frames))
        crossing.replayed = [frame.SerializeToString() for frame in again.frames]


async def _end(client: Client, crossing: Crossing) -> None:
    """Resumes after the last number heard, and keeps one attempt for longer than it lives without its lease."""
    now, ends = crossing.now, crossing.ends
    async with AsyncExitStack() as stack:
        for step, heard in crossing.heard.items():
            now[step] = await stack.enter_async_context(_resume(client, step, len(heard.frames)))
        leased_until = asyncio.get_running_loop().time() + ORPHAN_SECONDS
        await now["talking"].send(input=pb.Input(input_sequence=1, text="again"))
        await now["hanging"].send(cancel=pb.Cancel(reason="enough"))
        await now["thinking"].send(input=pb.Input(input_sequence=1, text="after"))
        for step in ("hanging", "halved", "ending", "thinking"):
            ends[step] = await now[step].finish()
        await asyncio.sleep(leased_until + 0.3 - asyncio.get_running_loop().time())
        await now["talking"].send(input=pb.Input(input_sequence=2, text="after"))
        ends["talking"] = await now["talking"].finish()


def _start(client: Client, step: str) -> pb.Start:
    more = {
        "talking": {"orphan_timeout": f"{ORPHAN_SECONDS}s"},
        "hanging": {"cancel_grace": "0.2s"},
        "thinking": {"agent": THINKER},
    }.get(step, {})
    return client.start_of(*SCRIPTS[step], step=step, **more)


def _resume(client: Client, step: str, after: int) -> AbstractAsyncContextManager[Conversation]:
    return client.open(resume=pb.Resume(execution=execution_id(step), after_sequence=after), epoch=EPOCH)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
