"""Reads what is left of a world when it is calm again, from the API and from the database. It judges nothing."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import grpc

from agenthost.v1.host_service_pb2 import GetHostRequest
from agenthost.v1.host_service_pb2_grpc import HostServiceStub
from conductor.store.postgresql.sharing.store import SharedPostgresqlStore
from conductor.store.records import StoredEvent, StoredOutput
from conductor.store.sqlite.reading import history as reading
from conductor.v1 import pool_service_pb2_grpc, run_service_pb2_grpc
from conductor.v1.pool_service_pb2 import ListHostsRequest
from conductor.v1.run_service_pb2 import (
    GetReportRequest,
    GetRunRequest,
    GetStepRequest,
    ListRunsRequest,
    Run,
    Step,
    WatchRunRequest,
)
from tests.chaos.rig import Rig
from tests.chaos.scenarios import Scenario
from tests.chaos.schedule import CONDUCTOR
from tests.chaos.watchers import entry_of
from tests.kit import histories


@dataclass(frozen=True, slots=True)
class Story:
    """A run that a caller asked for, and what it was to be."""

    run: str
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Told:
    """A run as the API shows it in the end."""

    outcome: histories.Outcome
    bodies: Mapping[int, str]


Reference = Mapping[str, tuple[histories.Outcome, Mapping[str, Mapping[str, bytes]]]]


async def ask(channel: grpc.aio.Channel, story: Story, workspace: Path) -> Told:
    """Reads a settled run over the API. Where its workspace lies is left out of reports and texts: each world has another."""
    stub = run_service_pb2_grpc.RunServiceStub(channel)
    name = f"runs/{story.run}"
    run = await stub.GetRun(GetRunRequest(name=name), timeout=30)
    steps = {}
    for step in run.steps:
        whole = await stub.GetStep(GetStepRequest(name=step.name), timeout=30)
        text = whole.text.replace(str(workspace), "WORKSPACE")  # of a step that calls a flow, it is a report
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        steps[step.name.rpartition("/")[2]] = (Step.State.Name(step.state), digest)
    report = await stub.GetReport(GetReportRequest(name=name), timeout=30)
    bodies = {}
    async for message in stub.WatchRun(WatchRunRequest(name=name), timeout=60):
        entry = entry_of(message, 0)
        if isinstance(entry, histories.Fact):
            bodies[entry.position] = entry.body
    told = report.markdown.partition("\n## Execution\n")[0].replace(str(workspace), "WORKSPACE")
    return Told(histories.Outcome(Run.State.Name(run.state), steps, told), bodies)


async def sub_stories(channel: grpc.aio.Channel, story: Story) -> list[Story]:
    """The sub-runs of a run, and theirs; what each was to be stands in what called it."""
    stub = run_service_pb2_grpc.RunServiceStub(channel)
    run = await stub.GetRun(GetRunRequest(name=f"runs/{story.run}"), timeout=30)
    found: list[Story] = []
    for step in run.steps:
        if step.sub_run:
            part = story.scenario.calls[step.name.rpartition("/")[2]]
            below = Story(step.sub_run.removeprefix("runs/"), part)
            found += [below, *await sub_stories(channel, below)]
    return found


async def all_runs(channel: grpc.aio.Channel) -> set[str]:
    """Every run that there is, and every sub-run."""
    stub = run_service_pb2_grpc.RunServiceStub(channel)
    found: set[str] = set()
    token = ""
    while True:
        page = await stub.ListRuns(ListRunsRequest(page_size=500, page_token=token, include_sub_runs=True), timeout=30)
        found |= {run.name.removeprefix("runs/") for run in page.runs}
        token = page.next_page_token
        if not token:
            return found


async def slots_taken(channel: grpc.aio.Channel) -> int:
    """Returns how many attempts run, as the conductor counts them."""
    hosts = await pool_service_pb2_grpc.PoolServiceStub(channel).ListHosts(ListHostsRequest(), timeout=30)
    return sum(host.running for host in hosts.hosts)


async def slots_of(channel: grpc.aio.Channel) -> int:
    """Returns how many attempts run, as a host counts them."""
    return (await HostServiceStub(channel).GetHost(GetHostRequest(), timeout=30)).running


def stored_history(rig: Rig, run: str) -> list[StoredEvent | StoredOutput]:
    """A run's journal and transcript, out of the database itself."""
    if rig.database is not None:
        with ThreadPoolExecutor(1) as thread:  # this one's loop is at work
            return thread.submit(asyncio.run, _read_shared(rig.database.url, run)).result()
    path = next(rig.data(CONDUCTOR).glob("*.db")).absolute()
    history: list[StoredEvent | StoredOutput] = []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        while page := reading.read_history(connection, run, history[-1].position if history else 0, 1 << 18):
            history += page
    return history


async def _read_shared(url: str, run: str) -> list[StoredEvent | StoredOutput]:
    history: list[StoredEvent | StoredOutput] = []
    async with await SharedPostgresqlStore.open_shared(url) as store:
        while page := await store.history(run, history[-1].position if history else 0, 1 << 18):
            history += page
    return history


def spoken(history: list[StoredEvent | StoredOutput]) -> dict[str, dict[str, bytes]]:
    """Returns the output of each attempt, by channel."""
    said: dict[str, dict[str, bytes]] = {}
    for item in history:
        if isinstance(item, StoredOutput):
            channels = said.setdefault(item.output.attempt, {})
            channels[item.output.channel] = channels.get(item.output.channel, b"") + item.output.text.encode()
    return said
