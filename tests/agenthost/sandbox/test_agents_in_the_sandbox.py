"""Checks from outside what an agent gets, what it does not get, and that nothing of it is left."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.running_host import Client, execution_id, open_host, sandbox_tree
from tests.kit.attempts import replace_bwrap
from tests.kit.processes import are_gone, processes_with
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

TOY = """\
name = "toy"
description = "Shouts its prompt."
argv = ["/bin/sh", "-c", "tr a-z A-Z; echo problem >&2; echo $TONE", "{loudness}"]
dialect = "text"
prompt = "stdin"
version_command = ["/bin/sh", "-c", "echo toy 1.2; echo more"]
requires = ["tr"]
enforcement = "cannot write at all"
features = []
network = "none"
input = false

[environment]
allow = ["LANG"]

[environment.set]
TONE = "loud"

[parameters.loudness]
pattern = "[a-z]+"
default = "full"
"""


async def test_a_cancel_takes_the_whole_tree_with_it(client: Client) -> None:
    """Keeps D6: double forks in sessions of their own, which ignore the polite signal."""
    script = ("ignore TERM", "fork 3", "say ready", "hang")
    async with client.open(start=client.start_of(*script, cancel_grace="0.2s")) as conversation:
        await conversation.until_said("ready")
        tree = await sandbox_tree(client)
        await conversation.send(cancel=pb.Cancel(reason="enough"))
        finished = await conversation.finish()
    await until(lambda: are_gone(tree))

    assert finished.outcome == pb.Finished.OUTCOME_CANCELLED
    assert len(tree) >= 6


async def test_an_agent_that_ends_takes_its_tree_with_it(client: Client) -> None:
    """Keeps D6."""
    async with client.open(start=client.start_of("fork 2", "say ready", "echo-input 1")) as conversation:
        await conversation.until_said("ready")
        tree = await sandbox_tree(client)
        await conversation.send(input=pb.Input(input_sequence=1, text="end"))
        finished = await conversation.finish()
    await until(lambda: are_gone(tree))

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_an_attempt_without_a_conductor_ends_as_orphaned(client: Client) -> None:
    """Keeps D6."""
    start = client.start_of("say ready", "hang", orphan_timeout="0.5s")
    async with client.open(start=start) as conversation:
        await conversation.until_said("ready")
        tree = await sandbox_tree(client)
    await until(lambda: are_gone(tree))
    async with client.open(resume=pb.Resume(execution=start.execution)) as again:
        finished = await again.finish()

    assert finished.reason == "ORPHANED"


async def test_an_attached_stream_keeps_the_lease(client: Client) -> None:
    start = client.start_of("say ready", "sleep 1.5", "say still here", orphan_timeout="0.5s")
    async with client.open(start=start) as conversation:
        finished = await conversation.finish()

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert conversation.said("answer") == "ready\nstill here\n"


async def test_neither_prompt_nor_the_hosts_environment_shows(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps D8."""
    monkeypatch.setenv("SECRET_OF_THE_HOST", "keep-to-yourself")
    async with client.open(start=client.start_of("env", "argv", "say needle-in-prompt", "hang")) as conversation:
        await conversation.until_said("needle-in-prompt")
        shown = processes_with("needle-in-prompt")
        environments = [
            Path(f"/proc/{pid}/environ").read_bytes() for pid in await sandbox_tree(client) if _is_readable(pid)
        ]
        await conversation.send(cancel=pb.Cancel())
        await conversation.finish()

    assert shown == []
    assert environments
    assert not any(b"keep-to-yourself" in environment for environment in environments)
    assert "keep-to-yourself" not in conversation.said("answer")
    assert "HOME=/home/agent" in conversation.said("answer")


def _is_readable(pid: int) -> bool:
    try:
        Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return True


async def test_what_an_agent_tries_beyond_reading_is_refused_and_counted(client: Client) -> None:
    tries = ("write /workspace/x", "write /etc/x", "read /etc/shadow", "connect 127.0.0.1 22")
    conversation, finished = await client.run(*tries, "read README.md", "write /tmp/x")

    answer = conversation.said("answer").splitlines()
    assert all("done" not in line for line in answer[:4])
    assert "# Hello" in conversation.said("answer")
    assert answer[-1] == "write /tmp/x: done"
    assert finished.denial_count == 4
    assert finished.attestation.snapshot_fingerprint_before == finished.attestation.snapshot_fingerprint_after


async def test_an_agent_of_a_spec_file_works_with_stdin_closed_behind_its_prompt(
    short_path: Path, repository: Path
) -> None:
    """Keeps D2 and D8: `tr` ends only because its stdin does."""
    agents = short_path / "agents"
    agents.mkdir()
    (agents / "toy.toml").write_text(TOY)
    (agents / "broken.toml").write_text("name = 'broken'\nargv = 3\n")
    (agents / "absent.toml").write_text(TOY.replace('"toy"', '"absent"').replace('"tr"', '"no-such-program"'))
    async with open_host(short_path, repository, agents_dirs=(agents,)) as client:
        start = client.start_of(agent="toy", prompt="make it loud\n")
        async with client.open(start=start) as conversation:
            finished = await conversation.finish()
        refusal = await client.refused(client.start_of(agent="absent", step="other"))
        told = {agent.name: agent for agent in (await client.hosts.GetHost(host_pb.GetHostRequest())).agents}

    assert conversation.said("answer") == "MAKE IT LOUD\nloud\n"
    assert conversation.said("log") == "problem\n"
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert told["toy"].version == "toy 1.2"
    assert [parameter.name for parameter in told["toy"].parameters] == ["loudness"]
    assert "description" in told["broken"].unavailable_reason
    assert "no-such-program" in told["absent"].unavailable_reason
    assert [name for name, agent in told.items() if agent.spec_refused] == ["broken"]
    assert refusal.reason == "AGENT_UNAVAILABLE"


async def test_an_input_for_an_agent_that_takes_none_is_refused(short_path: Path, repository: Path) -> None:
    agents = short_path / "agents"
    agents.mkdir()
    (agents / "toy.toml").write_text(TOY.replace("tr a-z A-Z", "sleep 60"))
    async with (
        open_host(short_path, repository, agents_dirs=(agents,)) as client,
        client.open(start=client.start_of(agent="toy")) as conversation,
    ):
        await conversation.until(lambda frame: frame.HasField("started"))
        await conversation.send(input=pb.Input(input_sequence=1, text="hello"))
        assert (await conversation.refusal()).violations[0][0] == "input"


async def test_without_a_sandbox_every_start_is_refused_and_nothing_is_spawned(client: Client) -> None:
    """Keeps E2."""
    client.host.report = replace(client.host.report, available=False, reason="no user namespaces here")
    refusal = await client.refused(client.start_of("say x"))
    told = await client.hosts.GetHost(host_pb.GetHostRequest())

    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "READ_ONLY_UNAVAILABLE")
    assert "no user namespaces here" in refusal.message
    assert not told.sandbox.available
    assert client.spawns() == []


async def test_a_sandbox_that_does_not_hold_refuses_the_attempt_and_lets_nothing_go(client: Client) -> None:
    """Keeps E2: a bubblewrap that cannot do its work is found out before the agent is let go."""
    use_bwrap(client, "echo cannot >&2; exit 1")
    conversation, finished = await client.run("say x")

    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_REFUSED, "SANDBOX_REFUSED")
    assert finished.message.endswith("(cannot)")
    assert [frame.sequence for frame in conversation.frames] == [1]
    assert client.spawns() == []


async def test_a_sandbox_that_is_killed_before_it_is_ready_is_no_verdict_on_the_machine(client: Client) -> None:
    """Keeps I1: the host's trouble, which a conductor tries again; nothing ran."""
    use_bwrap(client, "kill -KILL $$")
    conversation, finished = await client.run("say x")

    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_REFUSED, "HOST_SETUP_INTERRUPTED")
    assert finished.message.endswith("(the sandbox ended before it was ready, without a message (signal 9))")
    assert [frame.sequence for frame in conversation.frames] == [1]
    assert client.spawns() == []


def use_bwrap(client: Client, script: str) -> None:
    sandbox = client.host.sandbox
    assert sandbox is not None
    client.host.sandbox = replace_bwrap(sandbox, client.data / "bin", f"#!/bin/sh\n{script}\n")


def test_no_field_of_a_start_could_widen_what_an_agent_may_do() -> None:
    """Keeps E1: a new field must be added here, too."""
    assert {field.name for field in pb.Start.DESCRIPTOR.fields} == {
        "execution", "agent", "prompt", "snapshot", "parameters", "orphan_timeout", "timeout", "idle_timeout",
        "cancel_grace", "max_output_bytes", "max_answer_bytes", "memory_bytes",
        "first_output_timeout", "turns", "loading_timeout", "traceparent",
    }  # fmt: skip
    words = {word for field in pb.Start.DESCRIPTOR.fields for word in field.name.split("_")}
    assert not words & {"argv", "command", "env", "environment", "network", "path", "mount", "write", "sandbox", "uid"}


async def test_a_killed_shim_is_told_as_such(client: Client) -> None:
    async with client.open(start=client.start_of("say ready", "hang")) as conversation:
        await conversation.until_said("ready")
        tree = await sandbox_tree(client)
        os.kill(tree[0], 9)
        finished = await conversation.finish()
    await until(lambda: are_gone(tree))

    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_FAILED, "SHIM_LOST")


async def test_two_hundred_processes_start_well_beside_an_open_stream(client: Client) -> None:
    """Keeps rule 1 of grpc.md."""
    async with client.open(start=client.start_of("repeat 100000 say x")) as conversation:
        await conversation.until_said("x")

        async def spawn() -> int:
            process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-S", "-c", "")
            return await process.wait()

        codes = [code for _ in range(10) for code in await asyncio.gather(*(spawn() for _ in range(20)))]
        await conversation.send(cancel=pb.Cancel())

    assert codes == [0] * 200


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_reader_that_stands_still_stops_neither_agent_nor_costs_memory(client: Client) -> None:
    """Keeps D10 as far as this part goes: the spool takes what the stream does not."""
    size = 24 * 1024 * 1024
    start = client.start_of("say ready", "echo-input 1", f"flood {size}", max_output_bytes=2 * size, max_answer_bytes=1)
    async with client.open(start=start) as conversation:
        await conversation.until(lambda frame: frame.HasField("output"))
        before = resident_bytes()
        await conversation.send(input=pb.Input(input_sequence=1, text="go"))
        await until(lambda: client.host.running == 0)
        grown = resident_bytes() - before
        finished = await conversation.finish()

    assert finished.exit_code == 0
    assert grown < size // 2
    assert len(conversation.said("log")) == size


async def test_the_spawn_log_tells_which_execution_was_let_go(client: Client) -> None:
    await client.run("say x")

    assert [spawn["execution"] for spawn in client.spawns()] == [execution_id()]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("finding low no/such.py 1 1 A line", "No such file or directory"),
        ("finding low README.md:1 A line", "not enough values to unpack"),
        ("final {no json", "final JSON`: this result."),
    ],
)
async def test_a_scripted_line_that_cannot_be_done_ends_the_agent_with_one_line_in_its_log(
    client: Client, line: str, why: str
) -> None:
    conversation, finished = await client.run("say begin", line, "say never")

    assert (conversation.said("answer"), finished.exit_code) == ("begin\n", 1)
    said = conversation.said("log")
    assert said.startswith(f"cannot do `{line}`: ")
    assert (why in said, said.count("\n")) == (True, 1)


async def test_the_scripted_agent_answers_a_prompt_that_holds_no_scenario(client: Client) -> None:
    async with client.open(start=client.start_of(prompt="\nWhat is this?\nTell me.")) as conversation:
        finished = await conversation.finish()

    assert conversation.said("answer") == "What is this?\n"
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


async def test_a_scripted_finding_quotes_what_stands_there(client: Client) -> None:
    _, finished = await client.run("finding low README.md 3 3 A line", "invent high README.md 1 1 Not there")
    findings = json.loads(finished.result_json)["findings"]

    assert [finding["title"] for finding in findings] == ["A line", "Not there"]
    assert findings[0]["evidence"] == [
        {"path": "README.md", "start_line": 3, "end_line": 3, "quote": "A line to quote."}
    ]
