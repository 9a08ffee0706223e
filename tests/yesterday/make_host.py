"""Makes what a host of today leaves behind, for the hosts that come after it. See `make`."""

import os
import shutil
import signal
from base64 import b64encode
from pathlib import Path
from typing import Any

from agenthost.attempt.folder import AttemptFolders, StoredStart
from agenthost.attempt.launch import prepare
from agenthost.attempt.process import AttemptProcess, Launch
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.host_process import client_of, serving
from tests.agenthost.running_host import CONDUCTOR, Client, execution_id, folder_of, make_repository
from tests.fakes.model_server import Answer, ModelServer
from tests.kit.attempts import Workbench, finish, replace_bwrap
from tests.kit.waiting import until
from tests.yesterday.archive import keep, pack, unpack
from tests.yesterday.ends import (
    ENDS,
    EPOCH,
    KEY_NAME,
    SECRET,
    SECRET_NAME,
    THINKER,
    End,
    frames_of,
    lasting,
    write_agents,
)
from tests.yesterday.host_world import meet

PLACE = Path("/tmp/agenthost-yesterday")
KEPT = ("attempts", "fences.jsonl", "tombstones.jsonl", "instance", "spawns.jsonl")
# Sandboxes that cannot be set up: one that refuses, one that is killed.
BROKEN = {"refused": "#!/bin/sh\necho no >&2\nexit 1\n", "interrupted": "#!/bin/sh\nkill -9 $$\n"}


async def make(target: Path) -> None:
    """Writes the folder that a host left, and what is told of the attempts in it."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    os.environ |= {SECRET_NAME: SECRET, KEY_NAME: "the-key-of-yesterday"}
    repository = make_repository(PLACE / "repository")
    starts, heard = await _leave(PLACE / "data", repository)
    pack(PLACE / "left", target / "host.tar.xz")
    unpack(target / "host.tar.xz", PLACE / "again" / "data")
    told = await meet(PLACE / "again", repository)
    for execution, frames in heard.items():
        assert told["frames"][execution][: len(frames)] == frames, execution
    asked = {start.execution: b64encode(start.SerializeToString(deterministic=True)).decode() for start in starts}
    keep(told | {"starts": asked}, target / "host.json.xz")
    shutil.rmtree(PLACE)


async def _leave(data: Path, repository: Path) -> tuple[list[pb.Start], dict[str, list[dict[str, Any]]]]:
    """Leaves a host's folder; returns the Starts, and the frames that were heard."""
    heard = {}
    async with ModelServer.serving() as model:
        config = PLACE / "host.toml"
        config.write_text(f'[models.{THINKER}]\nurl = "{model.url}"\nkey_env = "{KEY_NAME}"\n')
        options = ("--config", str(config), "--agents-dir", str(write_agents(PLACE / "agents")), "--slots", "64")
        async with serving(data, f"unix:{PLACE}/s", *options) as host, client_of(host, data, repository) as client:
            model.answers += [Answer(), Answer(429, {"retry-after": "7"}), Answer(401)]
            starts = []
            for end in ENDS:
                start, frames = await _end(client, end)
                starts.append(start)
                heard[start.execution] = frames
            await until(lambda: all((one / "aftermath.json").exists() for one in (data / "attempts").iterdir()))
            await _damage(client, execution_id("spool_damaged"))
            starts += [await _release(client), await _burn(client)]
            await host.end(signal.SIGKILL)
    starts += [await _fail_to_set_up(client, step) for step in BROKEN]
    starts += [await _begin_nothing(client)]
    (PLACE / "left").mkdir()
    for path in (data / name for name in KEPT):
        if path.is_dir():
            shutil.copytree(path, PLACE / "left" / path.name, ignore=shutil.ignore_patterns("control.sock"))
        else:
            shutil.copy2(path, PLACE / "left")
    del heard[execution_id("spool_damaged")]
    return starts, heard


async def _end(client: Client, end: End) -> tuple[pb.Start, list[dict[str, Any]]]:
    """Runs an attempt to its end, and acknowledges nothing."""
    start = client.start_of(*end.script, step=end.step, **end.start)
    async with client.open(start=start, epoch=EPOCH) as conversation:
        for number in range(1, end.inputs + 1):
            await conversation.send(input=pb.Input(input_sequence=number, text=f"input {number}\n"))
        if end.cancels:
            await conversation.until_said("so far")
            await conversation.send(cancel=pb.Cancel(reason="enough"))
        if end.leaves_after:
            await conversation.until_said(end.leaves_after)
        else:
            await conversation.until(lambda frame: frame.HasField("finished"))
    if end.step == "shim_killed":
        (shim,) = [spawn["shim"] for spawn in client.spawns() if spawn["execution"] == start.execution]
        os.kill(int(str(shim)), signal.SIGKILL)
    return start, [lasting(frame) for frame in conversation.frames]


async def _damage(client: Client, execution: str) -> None:
    """Changes a byte of a spool, and reads it, so that the host finds the damage."""
    spool = folder_of(client.data, execution) / "spool"
    content = bytearray(spool.read_bytes())
    content[-3] ^= 1
    spool.write_bytes(content)
    await frames_of(client, execution)


async def _release(client: Client) -> pb.Start:
    start = client.start_of("say it", step="released")
    async with client.open(start=start, epoch=EPOCH) as conversation:
        await conversation.finish()
    return start


async def _burn(client: Client) -> pb.Start:
    start = client.start_of("say it", step="burnt")
    async with client.open(resume=pb.Resume(execution=start.execution), epoch=EPOCH) as conversation:
        await conversation.refusal()
    return start


async def _fail_to_set_up(client: Client, step: str) -> pb.Start:
    """Starts a shim with a bubblewrap that fails."""
    bench = await _bench(step)
    sandbox = replace_bwrap(bench.sandbox, PLACE / step / "broken", BROKEN[step])
    start = client.start_of("say it", step=step)
    launch = Launch(execution=start.execution, argv=("true",), tree=bench.tree)
    await finish(await AttemptProcess.spawn(_accept(client, start), launch, sandbox))
    return start


async def _begin_nothing(client: Client) -> pb.Start:
    """Accepts a Start and starts no shim, as a daemon does that is killed in between."""
    bench = await _bench("never_begun")
    start = client.start_of("say it", step="never_begun")
    launch = Launch(execution=start.execution, argv=("true",), tree=bench.tree)
    prepare(_accept(client, start), launch, bench.sandbox)
    return start


def _accept(client: Client, start: pb.Start) -> Path:
    folders = AttemptFolders(client.data / "attempts")
    folders.create(start.execution, StoredStart(CONDUCTOR, start.SerializeToString(deterministic=True), ""))
    return folders.path_of(start.execution)


async def _bench(name: str) -> Workbench:
    (PLACE / name).mkdir()
    return await Workbench.make(PLACE / name)
