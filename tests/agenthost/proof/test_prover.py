"""The proof's time, what waits for it, and what a proof that fails switches off. Real hosts, real sandboxes."""

import asyncio
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import structlog

from agenthost.agent_specs import find_agents, warn_of_unusable
from agenthost.attempt.launch import Launch
from agenthost.core.sandbox.report import SandboxReport
from agenthost.doctor import examine
from agenthost.proof.probe import NO_AGENT, prove, proven_shape
from agenthost.sandbox.find import Sandbox
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from servicekit.statuses import read_refusal
from tests.agenthost.running_host import Client, open_host

pytestmark = pytest.mark.processes


class HeldBack:
    """The real proof, which does not begin before it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()

    async def __call__(self, sandbox: Sandbox, data: Path, occupant: Launch) -> SandboxReport:
        await self.let.wait()
        return await prove(sandbox, data, occupant)


async def test_a_host_serves_at_once_and_attempts_wait_for_the_proof(short_path: Path, repository: Path) -> None:
    """Keeps E2."""
    held_back = HeldBack()
    async with open_host(short_path, repository, proven=False, proof=held_back) as client:
        told = await client.hosts.GetHost(host_pb.GetHostRequest())
        async with client.open(start=client.start_of("say x")) as conversation:
            while client.host.running == 0:
                await client.host.change.subscribe().wait()
            spawned_before = client.spawns()
            held_back.let.set()
            finished = await conversation.finish()
        after = await client.hosts.GetHost(host_pb.GetHostRequest())

    assert (told.sandbox.available, "being proven" in told.sandbox.unavailable_reason) == (False, True)
    assert spawned_before == []
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert after.sandbox.available


async def test_attempts_that_waited_for_a_proof_that_fails_are_refused(short_path: Path, repository: Path) -> None:
    """Keeps E2."""
    let = asyncio.Event()

    async def fail(sandbox: Sandbox, *_: object) -> SandboxReport:
        await let.wait()
        return SandboxReport(available=False, reason="no namespaces here", mechanism=sandbox.mechanism)

    async with open_host(short_path, repository, proven=False, proof=fail) as client:
        async with client.open(start=client.start_of("say x")) as conversation:
            while client.host.running == 0:
                await client.host.change.subscribe().wait()
            let.set()
            refusal = await conversation.refusal()
        assert client.spawns() == []
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "READ_ONLY_UNAVAILABLE")
    assert "no namespaces here" in refusal.message


async def test_attempts_that_wait_when_the_host_stops_are_told(short_path: Path, repository: Path) -> None:
    held_back = HeldBack()
    async with open_host(short_path, repository, proven=False, proof=held_back) as client:
        async with client.open(start=client.start_of("say x")) as conversation:
            while client.host.running == 0:
                await client.host.change.subscribe().wait()
            client.host.stop()
            refusal = await conversation.refusal()
        assert client.spawns() == []
    assert refusal.code == "UNAVAILABLE"
    assert not held_back.let.is_set()


async def check(client: Client, agent: str) -> host_pb.Agent:
    return await client.hosts.CheckAgent(host_pb.CheckAgentRequest(agent=agent))


async def test_an_agent_is_checked_in_its_own_sandbox_on_request(client: Client) -> None:
    """Keeps E6."""
    told = await check(client, "scripted")

    assert (told.name, told.available, told.unavailable_reason) == ("scripted", True, "")
    assert len(told.probes) >= 40
    assert all(probe.passed for probe in told.probes)
    assert {"write /workspace", "write /opt/agent", "from outside: no socket was reached"} <= {
        probe.name for probe in told.probes
    }


async def test_an_agent_that_is_not_there_is_not_checked(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(client, "absent")
    assert read_refusal(caught.value).reason == "AGENT_NOT_FOUND"


async def test_an_agent_whose_sandbox_does_not_hold_is_disabled_until_it_does(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps E6: the other agent, whose own proof is good, goes on."""
    whole = client.host.sandbox
    assert whole is not None
    lets_all_through = b"\x06\x00\x00\x00\x00\x00\xff\x7f"
    client.host.sandbox = replace(whole, syscall_filter=lets_all_through)
    failed = await check(client, "scripted")
    client.host.sandbox = whole
    refusal = await client.refused(client.start_of("say x"))
    listed = {agent.name: agent for agent in (await client.hosts.GetHost(host_pb.GetHostRequest())).agents}
    spawned = client.spawns()
    mended = await check(client, "scripted")
    _, finished = await client.run("say x", step="again")

    assert not failed.available
    assert "set up an io_uring" in failed.unavailable_reason
    assert "set up an io_uring" in {probe.name for probe in failed.probes if not probe.passed}
    assert (refusal.reason, "io_uring" in refusal.message) == ("AGENT_UNAVAILABLE", True)
    assert (listed["scripted"].available, listed["survey"].available) == (False, True)
    assert spawned == []
    assert mended.available
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_a_check_tries_the_host_again_where_that_was_not_proven(client: Client) -> None:
    """Keeps E6: what was mended on the machine needs no restart of the host."""
    client.host.settle(None, SandboxReport(available=False, reason="no bubblewrap", mechanism="none"))
    told = await check(client, "survey")

    assert told.available
    assert client.host.report.available


async def test_a_proof_that_breaks_proves_nothing(client: Client, tmp_path: Path) -> None:
    """Keeps E6: also where the host's own side of it fails."""
    sandbox = client.host.sandbox
    assert sandbox is not None
    (tmp_path / "probes").write_text("in the way")
    report = await prove(sandbox, tmp_path, NO_AGENT)

    assert not report.available
    assert "The proof failed" in report.reason


async def test_a_spec_that_cannot_be_read_is_to_be_mended_though_other_agents_can_run(tmp_path: Path) -> None:
    """Its author learns it from the doctor's last line, and from the log of a host that starts."""
    (tmp_path / "broken.toml").write_text('name = "broken"\n')
    said: list[str] = []

    assert await examine((tmp_path,), said.append) == 1
    with structlog.testing.capture_logs() as logged:
        warn_of_unusable(await find_agents((tmp_path,)))

    assert "1 spec file to mend" in said[-1]
    assert f"agenthost doctor --agents-dir {tmp_path}" in said[-1]
    assert [(line["log_level"], line["agent"]) for line in logged] == [("warning", "broken")]


async def test_the_doctor_tells_of_every_agents_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    """Keeps E6."""
    said: list[str] = []
    assert await examine((), said.append) == 0
    assert any(line.startswith("✔ agent scripted 1, in a sandbox that held against all ") for line in said)
    assert any("write /workspace" in line for line in said)


def test_sandboxes_that_differ_by_the_one_program_in_them_share_a_proof() -> None:
    ruff, zizmor, folder = (
        replace(NO_AGENT, mounts={name: Path("/x")}, pins={f"/opt/{name}": (1, number)})
        for number, name in enumerate(("program/ruff", "program/zizmor", "packages"))
    )

    assert proven_shape(ruff) == proven_shape(zizmor)
    assert proven_shape(ruff) != proven_shape(folder)
    assert proven_shape(ruff) != proven_shape(NO_AGENT)
