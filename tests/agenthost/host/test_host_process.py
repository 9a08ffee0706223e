"""A host as a process: how it begins, how it ends, and what survives its death."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from agenthost.agent_specs import BUILT_IN
from agenthost.attempt.folder import AttemptFolders, StoredStart
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.host_process import client_of, serving, start_host
from tests.agenthost.running_host import CONDUCTOR, execution_id, sandbox_tree
from tests.kit.processes import are_gone
from tests.kit.waiting import until

pytestmark = pytest.mark.processes


async def test_port_zero_becomes_a_port_that_is_told(tmp_path: Path, repository: Path) -> None:
    async with (
        serving(tmp_path / "data", "127.0.0.1:0") as host,
        client_of(host, tmp_path / "data", repository) as client,
    ):
        told = await client.hosts.GetHost(host_pb.GetHostRequest())
    code = await host.end()

    assert told.name == "test"
    assert not host.target.endswith(":0")
    assert code == 0


async def test_a_host_on_the_socket_of_another_is_refused_in_one_sentence(short_path: Path) -> None:
    """Keeps K5."""
    listen = f"unix:{short_path}/host.sock"
    async with serving(short_path / "data", listen):
        second = await start_host(short_path / "other", listen)

        assert await second.end(0) == 1
    said = "".join(second.lines)
    assert "another process listens" in said
    assert "Traceback" not in said
    assert not (short_path / "other").exists()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ""])
async def test_an_address_that_reaches_beyond_the_machine_is_refused(tmp_path: Path, listen: str) -> None:
    """Keeps K3 as far as this part goes; every such address is refused in `tests/servicekit/test_addresses.py`."""
    host = await start_host(tmp_path, listen)

    assert await host.end(0) == 1
    assert "listen" in host.lines[0]
    assert "Traceback" not in "".join(host.lines)


async def test_a_host_that_may_open_too_few_files_is_refused_and_told_what_to_raise(short_path: Path) -> None:
    """With 48 to 64 of them, its proof of the sandbox broke with "Invalid argument"."""
    command = [
        sys.executable,
        "-m",
        "agenthost.cli",
        "serve",
        "--listen",
        f"unix:{short_path}/s",
        "--data",
        short_path,
        "--name",
        "x",
    ]
    limited = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *map(str, command)]
    ended = await asyncio.to_thread(subprocess.run, limited, capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 1
    assert "may open 64 files; a host needs 128" in ended.stderr
    assert "ulimit -Hn" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_second_host_on_the_same_data_or_socket_says_so_and_ends(short_path: Path) -> None:
    async with serving(short_path / "data", f"unix:{short_path}/s") as first:
        same_data = await start_host(short_path / "data", "127.0.0.1:0")
        same_socket = await start_host(short_path / "other", f"unix:{short_path}/s")
        codes = (await same_data.end(0), await same_socket.end(0))
        assert first.process.returncode is None

    assert codes == (1, 1)
    assert "another agenthost uses" in same_data.lines[0]
    assert "another process listens" in "".join(same_socket.lines)


async def test_a_second_host_on_the_same_port_says_so_and_ends(short_path: Path) -> None:
    async with serving(short_path / "one", "127.0.0.1:0") as first:
        second = await start_host(short_path / "two", first.target)
        assert await second.end(0) == 1

    said = [line.rstrip() for line in second.lines if line.strip()]
    assert said[-1] == "  agenthost serve --listen ADDRESS takes another"
    assert said[-2] == f"agenthost: another process listens on {first.target}"
    assert "add_port" not in "".join(said)
    assert not (short_path / "two").exists()


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--end-agents-on-stop",))], ids=["Ctrl-C", "option"]
)
async def test_a_stop_that_is_to_end_the_agents_tells_it_and_leaves_no_process(
    short_path: Path, repository: Path, number: int, options: tuple[str, ...]
) -> None:
    """Keeps I6 for who wants everything to end."""
    data = short_path / "data"
    async with (
        serving(data, f"unix:{short_path}/s", *options) as host,
        client_of(host, data, repository) as client,
        client.open(
            start=client.start_of("ignore TERM", "fork 2", "say ready", "hang", cancel_grace="0.2s")
        ) as conversation,
    ):
        await conversation.until_said("ready")
        tree = await sandbox_tree(client)
        host.process.send_signal(number)
        finished = await conversation.finish()
        code = await host.end(0)
    await until(lambda: are_gone(tree))

    # Only the host asked for its end: that is no cancel, and the step is tried again.
    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_FAILED, "HOST_STOPPED")
    assert "is stopping" in finished.message
    assert code == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_host_that_was_killed_or_stopped_takes_its_attempts_up_again(
    short_path: Path, repository: Path, number: int
) -> None:
    """Keeps I3 on the host's side, and I6: same process, same frames, nothing twice."""
    data, listen = short_path / "data", f"unix:{short_path}/s"
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        start = client.start_of("say one", "reason two", "echo-input 2")
        async with client.open(start=start, epoch=5) as first:
            await first.send(input=pb.Input(input_sequence=1, text="before"))
            await first.until_said("before")
        tree = await sandbox_tree(client)
        await host.end(number)
    assert not are_gone(tree[:1])
    async with serving(data, listen) as again, client_of(again, data, repository) as client:
        async with client.open(resume=pb.Resume(execution=start.execution), epoch=4) as stale:
            refusal = await stale.refusal()
        async with client.open(start=start, epoch=5) as second:
            for number_of_input in (1, 2):
                await second.send(input=pb.Input(input_sequence=number_of_input, text="after"))
            await second.finish()
        spent = await client.refused(start, epoch=5)
        spawned = client.spawns()
    had = len(first.frames)

    assert refusal.reason == "EPOCH_SUPERSEDED"
    assert [frame.SerializeToString() for frame in second.frames[:had]] == [
        frame.SerializeToString() for frame in first.frames
    ]
    assert second.said("answer") == "one\ninput: before\ninput: after\n"
    assert spent.reason == "EXECUTION_EXISTS"
    assert len(spawned) == 1


async def test_what_was_accepted_and_never_ran_is_run_by_the_next_host(short_path: Path, repository: Path) -> None:
    """Found by `./dev chaos`: killed between the folder and the start of the shim; it costs no attempt."""
    data, listen = short_path / "data", f"unix:{short_path}/s"
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        start = client.start_of("say one")
        await host.end(signal.SIGKILL)
    folders = AttemptFolders(data / "attempts")
    folders.create(start.execution, StoredStart(CONDUCTOR, start.SerializeToString(deterministic=True), ""))
    for name in ("config.json", "spool"):
        (folders.path_of(start.execution) / name).touch()
    async with (
        serving(data, listen) as again,
        client_of(again, data, repository) as client,
        client.open(start=start) as conversation,
    ):
        finished = await conversation.finish()

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert len(client.spawns()) == 1


async def test_a_stopped_host_sends_its_conductors_away_and_leaves_its_agents_running(
    short_path: Path, repository: Path
) -> None:
    """Keeps I6: the status of each stream says "away", what is new is refused, and what ends meanwhile is told later."""
    data, listen = short_path / "data", f"unix:{short_path}/s"
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        start = client.start_of("say one", "sleep 0.5", "say two")
        async with client.open(start=start) as first:
            await first.until_said("one")
            host.process.send_signal(signal.SIGTERM)
            away = await first.refusal()
        code = await host.end(0)
    said = "".join(host.lines)
    await until((data / "attempts" / _only(data / "attempts") / "status.json").exists)
    resume = pb.Resume(execution=start.execution, after_sequence=len(first.frames))
    async with (
        serving(data, listen) as again,
        client_of(again, data, repository) as client,
        client.open(resume=resume) as second,
    ):
        finished = await second.finish()

    assert (away.code, away.reason, code) == ("UNAVAILABLE", "SHUTTING_DOWN", 0)
    assert "agents_left_running" in said
    assert first.said("answer") + second.said("answer") == "one\ntwo\n"
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


def _only(folder: Path) -> str:
    (entry,) = folder.iterdir()
    return entry.name


async def test_an_end_that_was_not_heard_is_told_by_the_next_host(short_path: Path, repository: Path) -> None:
    data, listen = short_path / "data", f"unix:{short_path}/s"
    async with serving(data, listen) as host, client_of(host, data, repository) as client:
        start = client.start_of("say one")
        async with client.open(start=start) as first:
            await first.until(lambda frame: frame.HasField("finished"))
        async with client.open(start=client.start_of("say two", "hang", step="lost")) as lost:
            await lost.until_said("two")
        shim = int(str(client.spawns()[1]["shim"]))
        await host.end(signal.SIGKILL)
    subprocess.run(["kill", "-9", str(shim)], check=True)
    async with serving(data, listen) as again, client_of(again, data, repository) as client:
        async with client.open(resume=pb.Resume(execution=start.execution)) as second:
            await second.until(lambda frame: frame.HasField("finished"))
        last = len(second.frames)
        # Acknowledged before the replay of a new stream knows that this is the end.
        async with client.open(resume=pb.Resume(execution=start.execution, after_sequence=last)) as goodbye:
            await goodbye.send(ack=pb.Ack(sequence=last))
            await goodbye.call.done_writing()
            assert await goodbye.receive() is None
        async with client.open(resume=pb.Resume(execution=execution_id("lost"))) as third:
            gone_with_its_shim = await third.finish()

    assert [frame.SerializeToString() for frame in second.frames] == [
        frame.SerializeToString() for frame in first.frames
    ]
    assert gone_with_its_shim.reason == "SHIM_LOST"
    assert third.said("answer") == "two\n"
    assert list((data / "attempts").iterdir()) == []


async def test_the_log_tells_an_executions_story_and_nothing_of_its_prompt(short_path: Path, repository: Path) -> None:
    """Keeps K4 for logs."""
    data = short_path / "data"
    async with (
        serving(data, f"unix:{short_path}/s", "--log-format", "json") as host,
        client_of(host, data, repository) as client,
    ):
        await client.run("say needle")
        await host.end()
    events = [json.loads(line) for line in host.lines if line]
    story = [event["event"] for event in events if event.get("execution") == execution_id()]

    assert story == ["execution_accepted", "agent_started", "execution_ended", "execution_released"]
    assert {(event["run"], event["step"], event["attempt"]) for event in events if "step" in event} == {
        (execution_id()[:26], "look", "1")
    }
    assert "needle" not in "".join(host.lines)


async def test_watching_tells_the_host_at_once_then_changes_then_that_it_stops(
    short_path: Path, repository: Path
) -> None:
    data = short_path / "data"
    async with serving(data, f"unix:{short_path}/s") as host, client_of(host, data, repository) as client:
        watch = client.hosts.WatchHost(host_pb.WatchHostRequest())
        first = await watch.read()
        proven = first
        while not proven.host.sandbox.available:
            proven = await watch.read()
        async with client.open(start=client.start_of("hang")) as conversation:
            await conversation.until(lambda frame: frame.HasField("started"))
            while (busy := await _next_host(watch)).running == 0:
                pass  # an agent's own proof is told as well
            host.process.send_signal(signal.SIGTERM)
            while (stopping := await _next_host(watch)).state == host_pb.Host.STATE_READY:
                pass
            with pytest.raises(grpc.aio.AioRpcError) as stopped:
                await _read_to_the_end(watch)
        await host.end(0)

    assert first.host.state == host_pb.Host.STATE_READY
    assert {agent.name for agent in first.host.agents} >= {"scripted", "survey"}
    assert busy.running == 1
    assert stopping.state == host_pb.Host.STATE_DRAINING
    assert stopped.value.code() == grpc.StatusCode.UNAVAILABLE


async def _next_host(watch: grpc.aio.UnaryStreamCall) -> host_pb.Host:
    """The next change; heartbeats in between hold no host."""
    while not (response := await watch.read()).HasField("host"):
        pass
    return response.host


async def _read_to_the_end(watch: grpc.aio.UnaryStreamCall) -> None:
    while await watch.read() is not grpc.aio.EOF:
        pass


SPEC = """
name = "borrowed"
description = "Says what it is told."
argv = ["{{python}}", "-I", "-S", "/opt/agent/scripted.py"]
install = "."
prompt = "file"
dialect = "jsonl"
input = true
requires = {requires}
"""


async def test_an_agent_that_became_unusable_keeps_its_running_attempts(short_path: Path, repository: Path) -> None:
    """As after an update, with missing packages and another dialect: what runs goes on, in the dialect that it began in."""
    data, listen, agents = short_path / "data", f"unix:{short_path}/s", short_path / "agents"
    shutil.copytree(BUILT_IN, agents, ignore=shutil.ignore_patterns("*.toml"))
    (agents / "borrowed.toml").write_text(SPEC.format(requires="[]"))
    more = ("--agents-dir", str(agents))
    async with serving(data, listen, *more) as host, client_of(host, data, repository) as client:
        start = client.start_of("say one", "echo-input 1", agent="borrowed")
        async with client.open(start=start) as first:
            await first.until_said("one")
        await host.end(signal.SIGKILL)
    updated = SPEC.format(requires='["no-such-program"]').replace('"jsonl"', '"text"')
    (agents / "borrowed.toml").write_text(updated)
    async with serving(data, listen, *more) as again, client_of(again, data, repository) as client:
        async with client.open(resume=pb.Resume(execution=start.execution)) as second:
            await second.send(input=pb.Input(input_sequence=1, text="after"))
            finished = await second.finish()
        refusal = await client.refused(client.start_of("say two", agent="borrowed", step="other"))

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert second.said("answer") == "one\ninput: after\n"
    assert refusal.reason == "AGENT_UNAVAILABLE"
