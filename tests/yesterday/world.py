"""A conductor of this code over a data folder of yesterday, with hosts that know what those of yesterday knew."""

import asyncio
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from agenthost.v1.host_service_pb2 import Agent
from conductor.clock import read_clocks
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import Running, running_conductor
from tests.yesterday.reading import find_holes, read_end, read_history, read_list, read_run
from tests.yesterday.stories import SETTLED, Story
from tests.yesterday.telling_host import TellingHost

HOSTS = ("alpha", "beta")
# Where the runs' workspace was: a place that exists nowhere when they go on.
WORKSPACE = "/tmp/conductor-yesterday/workspace"
AWAY_SECONDS = 0.5
PATIENCE_SECONDS = 15


@asynccontextmanager
async def reopened(folder: Path, starts: Mapping[str, Mapping[str, str]]) -> AsyncIterator[Running]:
    """Serves what is in `folder/data`. `starts`: what each host was asked before, and knows."""
    continue_clock(folder / "data")
    hosts = {name: TellingHost() for name in HOSTS}
    for name, host in hosts.items():
        for start in starts.get(name, {}).values():
            host.recall(b64decode(start))
    async with running_conductor(folder, hosts=hosts) as running:
        offer(running, "alpha", 64, "rare", "scripted")
        offer(running, "beta", 8, "narrow")
        yield running


async def resume(folder: Path, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Waits until every unfinished run has ended; returns what is answered then, and what the hosts were asked."""
    async with reopened(folder, answers["starts"]) as running:
        settled, unfinished = answers["settled"].values(), answers["unfinished"].values()
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        ends = {run: await _end(running, run, deadline) for run in unfinished}
        return {
            "read": {run: await read_run(running, run) for run in settled},
            "lists": [told for told in await read_list(running) if told["name"] in settled],
            "holes": [hole for run in settled for hole in await find_holes(running, run)],
            "ends": ends,
            "watched": {run: await read_history(running, run) for run in unfinished if "state" in ends[run]},
            "repeated": [
                await _repeat(running, story)
                for story in SETTLED
                if "request_id" in story.request and story.name in answers["settled"]
            ],
            "spawned": sorted(attempt for host in running.hosts.values() for attempt in host.spawned),
            "sent": {
                attempt: b64encode(execution.start).decode()
                for host in running.hosts.values()
                for attempt, execution in host.executions.items()
            },
            "unreleased": sorted(
                attempt
                for host in running.hosts.values()
                for attempt, execution in host.executions.items()
                if not execution.is_released
            ),
        }


async def _repeat(running: Running, story: Story) -> str:
    """Asks again for a run that was asked for yesterday, in the same words; returns its name."""
    run: pb.Run = await running.runs.CreateRun(story.create(WORKSPACE))
    return run.name


async def _end(running: Running, run: str, deadline: float) -> dict[str, Any]:
    """Returns how a run ended; how it stands where it does not end in time."""
    try:
        async with asyncio.timeout_at(deadline):
            return await read_end(running, run)
    except TimeoutError:
        return {"did not end": MessageToDict(await running.runs.GetRun(pb.GetRunRequest(name=run)))}


def offer(running: Running, host: str, slots: int, *agents: str) -> None:
    """Makes a host offer these agents only."""
    teller = running.tellers[host]
    teller.host.ClearField("agents")
    teller.change(slots=slots, agents=[Agent(name=agent, version="1", available=True) for agent in agents])


def continue_clock(data: Path) -> None:
    """Dates the database to a moment ago, so that no clock in it has run out."""
    now = read_clocks()
    with closing(sqlite3.connect(data / "conductor.db")) as connection:
        query = "SELECT max(time) FROM (SELECT max(time) AS time FROM journal UNION ALL SELECT max(time) FROM chunks)"
        (last,) = connection.execute(query).fetchone()
        offset = last + AWAY_SECONDS - now.steady
        connection.execute("UPDATE clock SET boot = ?, offset = ?", (now.boot, offset))
        connection.commit()


def last_position(data: Path, run: str) -> int:
    """Returns the position of what was stored last of a run."""
    with closing(sqlite3.connect(data / "conductor.db")) as connection:
        return int(connection.execute("SELECT last_position FROM runs WHERE run = ?", (run,)).fetchone()[0])
