"""A host of this code over a data folder of yesterday, and what it tells of the attempts in it."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from agenthost.models.settings import read_models
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.running_host import CONDUCTOR, Client, open_host
from tests.yesterday.ends import EPOCH, THINKER, frames_of, write_agents

YEARS = 1e9  # seconds: an end of yesterday is not too old to be told


@asynccontextmanager
async def reopened(folder: Path, repository: Path, *, proven: bool = False) -> AsyncIterator[Client]:
    """Serves what is in `folder/data`, as a host of the same name would a minute after the one before it ended."""
    make_recent(folder / "data" / "tombstones.jsonl")
    models = read_models({THINKER: {"url": "http://127.0.0.1:9"}})
    agents = write_agents(folder / "agents")
    async with open_host(
        folder, repository, proven=proven, agents_dirs=(agents,), models=models, unheard_seconds=YEARS
    ) as client:
        yield client


def make_recent(tombstones: Path) -> None:
    """Dates tombstones a minute back: they count for a day."""
    lines = [json.loads(line) | {"time": time.time() - 60} for line in tombstones.read_text().splitlines()]
    tombstones.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


async def meet(folder: Path, repository: Path) -> dict[str, Any]:
    """Asks a host for everything that it has of its conductor."""
    async with reopened(folder, repository) as client:
        ended = await listed(client)
        names = [execution["execution"] for execution in ended if execution["state"] == "STATE_FINISHED"]
        frames = {name: await frames_of(client, name) for name in names}
        return {
            "listed": ended,
            "frames": frames,
            "resumed": {name: await frames_of(client, name, len(frames[name]) // 2) for name in names},
            "told": await listed(client),
        }


async def listed(client: Client) -> list[dict[str, Any]]:
    """Lists the conductor's executions, in the order of their ids."""
    request = pb.ListExecutionsRequest(conductor_id=CONDUCTOR, epoch=EPOCH)
    executions = (await client.executions.ListExecutions(request)).executions
    return [MessageToDict(execution) for execution in sorted(executions, key=lambda one: one.execution)]
