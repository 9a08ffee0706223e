"""Starting and stopping the whole conductor as a process. Keeps I5 I6 K3 K4 K5."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conductor.v1 import run_service_pb2 as pb
from servicekit.channels import open_channel
from tests.conductor.running_conductor import agent_step, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.waiting import until

pytestmark = pytest.mark.processes


@asynccontextmanager
async def process(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "conductor.cli", "serve", "--data", str(folder / "data"), *arguments]
    started_ = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield started_
    finally:
        if started_.returncode is None:
            started_.kill()
        await started_.communicate()


async def ends_with(folder: Path, *arguments: str) -> tuple[int, str]:
    async with process(folder, *arguments) as it, asyncio.timeout(30):
        output, _ = await it.communicate()
        return it.returncode or 0, output.decode()


async def until_serving(target: str) -> None:
    async with open_channel(target) as channel, asyncio.timeout(30):
        stub = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service="conductor.v1.RunService")
        answer = await stub.Check(asked, wait_for_ready=True)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def listening(folder: Path) -> Sequence[str]:
    return ("--listen", f"unix:{folder}/c.sock")


async def test_it_stops_on_request_in_order_and_with_success(tmp_path: Path) -> None:
    """Keeps I6; a host that is down delays neither the start nor the end."""
    config = tmp_path / "c.toml"
    config.write_text(f'[logs]\nformat = "json"\n[hosts]\ndown = "unix:{tmp_path}/down.sock"\n')
    async with process(tmp_path, *listening(tmp_path), "--config", str(config)) as it:
        await until_serving(f"unix:{tmp_path}/c.sock")
        it.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(it.communicate(), 20)

    assert it.returncode == 0
    events = [json.loads(line)["event"] for line in output.decode().splitlines()]
    assert [event for event in events if event.startswith("service")] == [
        "service_started",
        "service_stopping",
        "service_stopped",
    ]
    assert not (tmp_path / "c.sock").exists()


async def test_a_second_conductor_on_one_database_says_so_and_exits(tmp_path: Path) -> None:
    """Keeps I5."""
    async with process(tmp_path, *listening(tmp_path)):
        await until_serving(f"unix:{tmp_path}/c.sock")
        code, output = await ends_with(tmp_path, "--listen", f"unix:{tmp_path}/other.sock")
        assert code == 1
        assert "another conductor" in output.lower()
        await until_serving(f"unix:{tmp_path}/c.sock")


@pytest.mark.long
async def test_a_second_conductor_on_one_address_says_so_and_exits(tmp_path: Path) -> None:
    async with process(tmp_path, *listening(tmp_path)):
        await until_serving(f"unix:{tmp_path}/c.sock")
        code, output = await ends_with(tmp_path / "other", *listening(tmp_path))
        assert code == 1
        assert "listens on" in output
        assert "Traceback" not in output
        assert not (tmp_path / "other").exists()
        await until_serving(f"unix:{tmp_path}/c.sock")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--listen", "0.0.0.0:7070"), "TLS"),
        (("--listen", "nonsense"), "not an address"),
        (("--listen", "127.0.0.1:0", "--host", "x"), "NAME=ADDRESS"),
        (("--listen", "127.0.0.1:0", "--root", "/no/such/folder"), "not a directory"),
    ],
)
async def test_a_wrong_setting_ends_it_with_one_line(arguments: Sequence[str], part: str, tmp_path: Path) -> None:
    """Keeps K3 and K5."""
    code, output = await ends_with(tmp_path, *arguments)

    assert code == 1
    assert part in output
    assert "Traceback" not in output


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async with running_conductor(tmp_path):
        pass
    path = tmp_path / "data" / "conductor.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    before = path.read_bytes()
    code, output = await ends_with(tmp_path, *listening(tmp_path))

    assert code == 1
    assert "newer" in output
    assert path.read_bytes() == before


async def test_a_run_goes_on_where_it_was_when_the_conductor_comes_back(tmp_path: Path) -> None:
    """Keeps I3: the agent ran all the while, was started once, and not a byte is missing."""
    host = ExecutionHost((started(), said("before ")))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = await it.create(agent_step("s"))
        watch = it.runs.WatchRun(pb.WatchRunRequest(name=run.name))
        seen = []
        while not (message := await watch.read()).HasField("output"):
            seen.append(message)
        seen.append(message)
    (execution,) = host.executions.values()
    execution.tell(said("between "))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        execution.tell(said("after"), finished())
        rest = await it.watch(run.name, seen[-1].resume_token)
        text = "".join(each.output.text for each in [*seen, *rest])
        whole = await it.watch(run.name)

    assert text == "before between after"
    assert len(host.spawned) == 1
    assert execution.is_released
    assert [message.sequence for message in whole] == list(range(1, len(whole) + 1))
    assert whole[-1].run.state == pb.Run.STATE_SUCCEEDED


async def test_an_attempt_that_ended_while_the_conductor_was_away_counts(tmp_path: Path) -> None:
    host = ExecutionHost((started(),))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = await it.create(agent_step("s"))
        await until(lambda: bool(host.executions))
    (execution,) = host.executions.values()
    execution.tell(said("done"), finished())
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        assert (await it.settled(run.name)).state == pb.Run.STATE_SUCCEEDED
        await until(lambda: execution.is_released)


async def test_a_host_that_forgot_everything_loses_the_attempt_and_the_step_is_tried_again(tmp_path: Path) -> None:
    host = ExecutionHost((started(),))
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        step = agent_step("s")
        step.agent.max_attempts = 2
        run = await it.create(step)
        await until(lambda: bool(host.executions))
    empty = ExecutionHost((started(), finished()))
    async with running_conductor(tmp_path, hosts={"alpha": empty}) as it:
        ended = await it.settled(run.name)

    assert ended.state == pb.Run.STATE_SUCCEEDED
    assert [attempt.state for attempt in ended.steps[0].attempts] == [
        pb.Attempt.STATE_LOST,
        pb.Attempt.STATE_SUCCEEDED,
    ]


async def test_children_beside_open_streams_come_to_no_harm(tmp_path: Path) -> None:
    """Keeps grpc.md's rule 1: the fork handlers of gRPC are off before it is imported."""
    assert os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "0"
    async with running_conductor(tmp_path, hosts={"alpha": ExecutionHost((started(),))}) as it:
        run = await it.create(agent_step("s"))
        watch = it.runs.WatchRun(pb.WatchRunRequest(name=run.name))
        await watch.read()
        for _ in range(20):
            children = [await asyncio.create_subprocess_exec("true") for _ in range(10)]
            assert [await child.wait() for child in children] == [0] * 10
        watch.cancel()
        assert (await it.runs.GetRun(pb.GetRunRequest(name=run.name))).name == run.name


async def test_calls_while_it_stops_are_told_so(tmp_path: Path) -> None:
    async with running_conductor(tmp_path) as it:

        async def list_for_ever() -> None:
            while True:
                await it.runs.ListRuns(pb.ListRunsRequest())

        it.stop.set()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await list_for_ever()

    # CANCELLED is gRPC's own word for a call that reaches a server between its last handler and its goodbye.
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
