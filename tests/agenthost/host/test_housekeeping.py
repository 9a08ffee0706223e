"""Checks that a host clears away while it serves, and reports on memory. Real processes and control groups. Keeps D6, J3, E1."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agenthost.core.admission.order import WIDEST
from agenthost.doctor import examine
from agenthost.sandbox.cgroups import find_cgroups
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.running_host import Client, open_host
from tests.kit.processes import without_descriptors
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

MIB = 1024 * 1024


async def test_the_group_of_a_shim_that_was_killed_goes_while_the_host_serves_and_others_stay(client: Client) -> None:
    place = find_cgroups(client.data)
    if place is None:
        pytest.skip("no control group is to be had here")

    def groups() -> set[str]:
        return {group.name for above in place.above.values() for group in above.glob(f"{place.prefix}*")}

    async with (
        client.open(start=client.start_of("say ready", "hang", step="one")) as killed,
        client.open(start=client.start_of("sleep 0", "echo-input 1", step="two")) as other,
    ):
        await killed.until_said("ready")
        shim = next(int(str(one["shim"])) for one in client.spawns() if "-one-" in str(one["execution"]))
        await other.until(lambda frame: frame.HasField("started"))
        before = groups()
        os.kill(shim, 9)
        assert (await killed.finish()).reason == "SHIM_LOST"
        await until(lambda: len(groups()) == 1)
        assert groups() < before
        await other.send(input=pb.Input(input_sequence=1, text="end"))
        assert (await other.finish()).outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_a_sweep_that_finds_no_descriptor_is_made_again(client: Client) -> None:
    place = find_cgroups(client.data)
    if place is None:
        pytest.skip("no control group is to be had here")
    left = next(iter(place.above.values())) / f"{place.prefix}left"
    with capture_logs() as logs, without_descriptors():
        client.host.change.notify()
        while "cgroups_not_swept" not in {line["event"] for line in logs}:
            await asyncio.sleep(0)
    left.mkdir()
    client.host.change.notify()

    await until(lambda: not left.exists())


async def test_what_a_daemon_left_that_was_killed_while_it_proved_is_pruned_and_nothing_else(
    short_path: Path, tmp_path: Path, repository: Path
) -> None:
    """Keeps J3."""
    (tmp_path / "mine").write_text("keep")
    left = short_path / "data" / "probes" / "abc"
    (left / "attempt").mkdir(parents=True)
    (left / "link").symlink_to(tmp_path)
    (left.parent / "link").symlink_to(tmp_path)
    async with open_host(short_path, repository):
        assert not left.exists()

    assert (tmp_path / "mine").read_text() == "keep"


async def test_a_host_tells_what_bounds_memory_and_a_request_can_only_narrow_it(
    short_path: Path, repository: Path
) -> None:
    """Keeps E1."""
    limits = replace(WIDEST, memory_bytes=300 * MIB)
    async with open_host(short_path, repository, limits=limits) as client:
        told = (await client.hosts.GetHost(host_pb.GetHostRequest())).sandbox
        _, usual = await client.run("say x", step="usual")
        _, narrow = await client.run("say x", step="narrow", memory_bytes=100 * MIB)
        wide = await client.refused(client.start_of("say x", step="wide", memory_bytes=301 * MIB))
        tiny = await client.refused(client.start_of("say x", step="tiny", memory_bytes=MIB))

    assert told.memory_bytes == 300 * MIB
    assert told.memory_mode in {"cgroup v1", "cgroup v2", "watchdog"}
    assert (told.memory_mode == "watchdog") is (find_cgroups(short_path) is None)
    for finished, most in ((usual, 300), (narrow, 100)):
        assert finished.attestation.checks[-2].startswith(f"memory: at most {most} MiB in all")
    assert "start.memory_bytes: must be above 0 and at most" in wide.message
    assert "start.memory_bytes: must be at least" in tiny.message


@pytest.mark.long
async def test_the_doctor_tells_what_bounds_memory(tmp_path: Path) -> None:
    (tmp_path / "host.toml").write_text(f"[limits]\nmemory_bytes = {512 * MIB}\n")
    told: list[str] = []
    await examine((), told.append, tmp_path / "host.toml")

    (line,) = [line for line in told if "limits.memory_bytes" in line]
    assert "memory: at most 512 MiB for an attempt (limits.memory_bytes)" in line
    assert "(cgroup v" in line or "(watchdog)" in line
