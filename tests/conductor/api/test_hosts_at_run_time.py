"""Hosts are added, moved, removed and drained while the conductor runs; nothing is lost by it. Keeps C9."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agenthost.v1 import host_service_pb2 as host_pb
from conductor.config import Limits
from conductor.v1 import pool_service_pb2 as pb
from conductor.v1 import run_service_pb2 as run_pb
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.agent_host import HostTeller, agent_host
from tests.fakes.execution_host import ExecutionHost, finished, said, started

pytestmark = pytest.mark.processes

DONE = (started(), said("done"), finished())
TALKS = (started(), said("before "))


@asynccontextmanager
async def fake_host(folder: Path, executions: ExecutionHost, name: str = "alpha") -> AsyncIterator[str]:
    """Serves a fake host; gives its address. The same executions in another folder are the same host that has moved."""
    folder.mkdir(exist_ok=True)
    async with agent_host(folder, name, executions, HostTeller(name, "scripted")) as address:
        yield address


async def add(it: Running, address: str, name: str = "alpha", **fields: Any) -> pb.Host:
    host: pb.Host = await it.pool.AddHost(pb.AddHostRequest(name=name, address=address, **fields))
    return host


async def text_of(it: Running, run: str) -> str:
    return "".join(told.output.text for told in await it.watch(run))


async def test_a_host_that_is_added_gets_work_and_is_there_after_a_restart(tmp_path: Path) -> None:
    async with fake_host(tmp_path / "h", ExecutionHost(DONE)) as address:
        for _ in range(2):
            async with running_conductor(tmp_path) as it:
                added = await add(it, address)
                assert (added.name, added.address, added.source) == ("hosts/alpha", address, pb.Host.SOURCE_STORED)
                assert len((await it.pool.ListHosts(pb.ListHostsRequest())).hosts) == 1
                ended = await it.settled((await it.create(agent_step("s"))).name)
                assert ended.state == run_pb.Run.STATE_SUCCEEDED


async def test_attempts_go_on_while_their_host_moves(tmp_path: Path) -> None:
    executions = ExecutionHost(TALKS)
    async with (
        fake_host(tmp_path / "h", executions) as old,
        fake_host(tmp_path / "i", executions) as new,
        running_conductor(tmp_path) as it,
    ):
        await add(it, old)
        run = (await it.create(agent_step("s"))).name
        await it.until_said(run)
        assert (await refusal(add(it, new))).reason == "HOST_EXISTS"
        moved = await add(it, new, move=True)
        (execution,) = executions.executions.values()
        execution.tell(said("after"), finished())
        ended = await it.settled(run)

        assert (moved.address, ended.state) == (new, run_pb.Run.STATE_SUCCEEDED)
        assert await text_of(it, run) == "before after"
        assert len(executions.spawned) == 1


async def test_a_busy_host_is_removed_by_force_only_and_its_attempts_wait_for_it(tmp_path: Path) -> None:
    executions = ExecutionHost(TALKS)
    async with fake_host(tmp_path / "h", executions) as old, fake_host(tmp_path / "i", executions) as new:
        async with running_conductor(tmp_path) as it:
            await add(it, old)
            run = (await it.create(agent_step("s"))).name
            await it.until_said(run)
            busy = await refusal(it.pool.RemoveHost(pb.RemoveHostRequest(name="hosts/alpha")))
            assert (busy.code, busy.reason) == ("FAILED_PRECONDITION", "HOST_BUSY")
            await it.pool.RemoveHost(pb.RemoveHostRequest(name="hosts/alpha", force=True))
            assert (await refusal(it.pool.GetHost(pb.GetHostRequest(name="alpha")))).reason == "HOST_NOT_FOUND"
            (execution,) = executions.executions.values()
            execution.tell(said("meanwhile "))
        async with running_conductor(tmp_path) as it:
            assert not (await it.pool.ListHosts(pb.ListHostsRequest())).hosts
            await add(it, new)
            execution.tell(said("after"), finished())
            ended = await it.settled(run)

            assert ended.state == run_pb.Run.STATE_SUCCEEDED
            assert await text_of(it, run) == "before meanwhile after"
            assert len(executions.spawned) == 1


async def test_nothing_starts_on_a_drained_host_and_what_runs_there_goes_on(tmp_path: Path) -> None:
    executions = ExecutionHost(TALKS)
    async with running_conductor(tmp_path, hosts={"alpha": executions}) as it:
        first = (await it.create(agent_step("s"))).name
        await it.until_said(first)
        drained = await it.pool.DrainHost(pb.DrainHostRequest(name="alpha"))
        again = await it.pool.DrainHost(pb.DrainHostRequest(name="alpha"))
        second = (await it.create(agent_step("s"))).name
        (execution,) = executions.executions.values()
        execution.tell(said("after"), finished())
        ended = await it.settled(first)
        waiting = await it.runs.GetRun(run_pb.GetRunRequest(name=second))
        empty = await it.pool.GetHost(pb.GetHostRequest(name="alpha"))

        assert ended.state == run_pb.Run.STATE_SUCCEEDED
        assert (drained.drain.since_time, drained.running, empty.running) == (again.drain.since_time, 1, 0)
        assert drained.state == empty.state == pb.Host.STATE_READY
        assert drained.source == pb.Host.SOURCE_CONFIGURATION
        assert "conductor hosts undrain alpha" in waiting.steps[0].wait.text
    async with running_conductor(tmp_path, hosts={"alpha": executions}) as it:
        assert (await it.pool.GetHost(pb.GetHostRequest(name="alpha"))).HasField("drain")
        assert len(executions.spawned) == 1
        undrained = await it.pool.DrainHost(pb.DrainHostRequest(name="alpha", undrain=True))
        await it.until_said(second)

        assert not undrained.HasField("drain")
        assert len(executions.spawned) == 2


async def test_a_request_that_is_repeated_is_carried_out_once(tmp_path: Path) -> None:
    request_id = str(uuid.uuid4())
    async with running_conductor(tmp_path) as it:
        adding = pb.AddHostRequest(name="alpha", address="unix:/tmp/none.sock", request_id=request_id)
        removing = pb.RemoveHostRequest(name="alpha", request_id=str(uuid.uuid4()))
        assert {(await it.pool.AddHost(adding)).address for _ in range(2)} == {adding.address}
        await it.pool.RemoveHost(removing)
        await it.pool.RemoveHost(removing)
        assert (await refusal(it.pool.AddHost(adding))).reason == "HOST_NOT_FOUND"
        adding.address = "unix:/tmp/other.sock"
        assert (await refusal(it.pool.AddHost(adding))).reason == "REQUEST_ID_REUSED"


@pytest.fixture
async def with_one(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_conductor(tmp_path, absent=("known",), limits=Limits(hosts=2, stop_seconds=1)) as it:
        await add(it, "127.0.0.1:7999", "stored")
        yield it


async def test_each_request_that_cannot_be_met_says_why(with_one: Running) -> None:
    async def told(method: Any, request: Any) -> tuple[str, str]:
        refused = await refusal(method(request))
        return refused.reason, f"{refused.message} {refused.hint}"

    pool = with_one.pool
    cases = [
        (pool.AddHost, pb.AddHostRequest(name="Alpha", address="unix:/x"), "INVALID_REQUEST", "a host's name must be"),
        (pool.AddHost, pb.AddHostRequest(name="a", address="x"), "INVALID_REQUEST", "is not an address"),
        (pool.AddHost, pb.AddHostRequest(name="a", address="127.0.0.1:0"), "INVALID_REQUEST", "port 0"),
        (pool.AddHost, pb.AddHostRequest(name="a", address="10.0.0.1:7"), "INVALID_REQUEST", "conductor certs init"),
        (pool.AddHost, pb.AddHostRequest(name="a", address="unix:/x", request_id="1"), "INVALID_REQUEST", "UUID"),
        (pool.AddHost, pb.AddHostRequest(name="a", address="unix:/x"), "NO_CAPACITY", "there are 2 hosts"),
        (pool.AddHost, pb.AddHostRequest(name="a", address="127.0.0.1:7999"), "HOST_EXISTS", "address of host stored"),
        (pool.AddHost, pb.AddHostRequest(name="stored", address="unix:/x"), "HOST_EXISTS", "--move"),
        (pool.AddHost, pb.AddHostRequest(name="known", address="unix:/x", move=True), "HOST_CONFIGURED", "--host"),
        (pool.RemoveHost, pb.RemoveHostRequest(name="known"), "HOST_CONFIGURED", "--host"),
        (pool.RemoveHost, pb.RemoveHostRequest(name="none"), "HOST_NOT_FOUND", "'none'"),
        (pool.DrainHost, pb.DrainHostRequest(name="none"), "HOST_NOT_FOUND", "'none'"),
    ]
    for method, request, reason, part in cases:
        found, message = await told(method, request)
        assert (found, part in message) == (reason, True), f"{request}: {found}: {message}"


async def test_a_run_goes_only_to_hosts_with_the_labels_that_its_caller_asks_for(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(DONE), "beta": ExecutionHost(DONE)}) as it:
        it.tellers["beta"].change(labels={"gpu": "yes", "zone": "office"})
        step = agent_step("s")
        step.agent.labels["zone"] = "office"
        ended = await it.settled((await it.create(step, selector=run_pb.Selector(labels={"gpu": "yes"}))).name)
        other = await refusal(it.create(step, selector=run_pb.Selector(labels={"zone": "home"})))
        many = await refusal(it.create(step, selector=run_pb.Selector(labels={str(n): "x" for n in range(9)})))

        assert [attempt.host for attempt in ended.steps[0].attempts] == ["beta"]
        assert (other.reason, many.reason) == ("INVALID_REQUEST", "INVALID_REQUEST")
        assert "step s asks for another value of the label zone" in str(other.violations)


async def test_a_host_tells_what_waits_for_it_what_it_keeps_and_when_its_certificate_ends(tmp_path: Path) -> None:
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost(TALKS)}) as it:
        teller = it.tellers["alpha"]
        teller.host.certificate_end_time.FromSeconds(1_900_000_000)
        teller.change(slots=1, snapshots=host_pb.Snapshots(count=3))
        await it.until_said((await it.create(agent_step("s"))).name)
        for _ in range(2):
            await it.create(agent_step("s"))
        host = await it.pool.GetHost(pb.GetHostRequest(name="alpha"))
        while host.queued < 2:
            host = await it.pool.GetHost(pb.GetHostRequest(name="alpha"))

        assert (host.running, host.slots, host.snapshots) == (1, 1, 3)
        assert host.certificate_end_time.seconds == 1_900_000_000
