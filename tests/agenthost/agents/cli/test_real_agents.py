"""The real claude, codex, gemini, opencode, pi and qwen in the real sandbox and gateway. Keeps D1, D9, D11, D12, D13 and E5.

They run with `./dev test --agents`; `./dev setup --agents` installs them.
"""

import asyncio
import signal
from pathlib import Path

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.agents.cli.hostile_repository import CALL, make_hostile
from tests.agenthost.agents.cli.real_agents import RealAgent, each_agent, host_with, installed, start_of
from tests.agenthost.host_process import client_of, serving
from tests.agenthost.running_host import make_repository, sandbox_tree
from tests.fakes.model_server import ModelServer
from tests.fakes.scripted_model import Fail, Say, ScriptedModel
from tests.kit.processes import are_gone
from tests.kit.waiting import until

__all__ = ["installed"]
pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]
EVERY = pytest.mark.parametrize("agent", each_agent())
CONTROL = """\
name = "control"
description = "Runs the program of the repository."
argv = ["/workspace/hook.sh"]
network = "model"
model = "MODEL"
"""


def calls(frames: list[pb.ExecuteResponse]) -> list[str]:
    return [frame.tool_call.name for frame in frames if frame.HasField("tool_call")]


@EVERY
async def test_an_answer_is_streamed_and_the_gateway_counts_its_tokens(agent: RealAgent, short_path: Path) -> None:
    rest = asyncio.Event()
    async with (
        host_with(agent, short_path, Say("First, and then the rest.", wait=rest)) as (client, _, _),
        client.open(start=client.start_of(**start_of(agent))) as conversation,
    ):
        await conversation.until_said("First,")
        rest.set()
        finished = await conversation.finish()

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    assert conversation.said("answer").strip() == "First, and then the rest."
    assert finished.usage.input_tokens >= 1_000
    assert finished.usage.output_tokens >= 20


@EVERY
async def test_a_file_is_read_and_told_as_a_call_with_its_result(agent: RealAgent, short_path: Path) -> None:
    steps = (agent.reading("/workspace/README.md"), Say("It says hello."))
    async with host_with(agent, short_path, *steps) as (client, _, model):
        conversation, finished = await client.run(**start_of(agent))

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    assert len(calls(conversation.frames)) == 1
    assert "A line to quote." in model.results[0]
    assert conversation.said("answer").strip() == "It says hello."


@EVERY
async def test_a_write_and_a_shell_write_change_nothing(agent: RealAgent, short_path: Path) -> None:
    steps = (agent.writing("/workspace/new.txt"), agent.running("touch /workspace/newer.txt"), Say("It was refused."))
    async with host_with(agent, short_path, *steps) as (client, _, model):
        conversation, finished = await client.run(**start_of(agent))
        left = [path.name for path in short_path.rglob("new*.txt")]

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    assert len(model.results) == 2
    assert left == []
    proof = finished.attestation
    assert proof.snapshot_fingerprint_before == proof.snapshot_fingerprint_after != ""


@EVERY
async def test_the_repositorys_own_hooks_servers_and_plugins_do_not_run(agent: RealAgent, short_path: Path) -> None:
    """Keeps E5. A spec that runs the repository's program shows that it would have been seen."""
    work = make_hostile(make_repository(short_path / "work"))
    (short_path / "agents").mkdir()
    (short_path / "agents" / "control.toml").write_text(CONTROL.replace("MODEL", agent.model))
    asked = (agent.reading("/workspace/README.md"), agent.searching("quote"), agent.running("/workspace/hook.sh"))
    steps = (*asked, Say("Done."))
    settings = {"repository": work, "agents_dirs": (short_path / "agents",)}
    async with host_with(agent, short_path, *steps, **settings) as (client, server, model):
        conversation, finished = await client.run(**start_of(agent))
        ran = [one.target for one in server.asked if CALL in one.target]
        await client.run(agent="control", step="control", prompt="")
        would_have = [one.target for one in server.asked if CALL in one.target]

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    assert len(model.results) == len(asked)
    assert ran == []
    assert len(would_have) == 1


@EVERY
@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Fail(401), "AUTH_FAILED"),
        (Fail(429, {"retry-after": "1"}), "RATE_LIMITED"),
        (Fail(500), "MODEL_ERROR"),
        (Say("Half an answer", breaks_off=True), "MODEL_STREAM_CUT"),
    ],
    ids=["401", "429", "500", "cut"],
)
async def test_a_failure_of_the_model_is_told_as_what_it_is(
    agent: RealAgent, short_path: Path, step: Fail | Say, reason: str
) -> None:
    async with host_with(agent, short_path, step) as (client, _, _):
        conversation, finished = await client.run(**start_of(agent))

    assert finished.outcome == pb.Finished.OUTCOME_FAILED, conversation.said("answer")
    assert finished.reason == reason
    assert conversation.said("answer").count("Half") <= 1


@EVERY
async def test_a_cancel_in_mid_answer_leaves_no_process(agent: RealAgent, short_path: Path) -> None:
    async with (
        host_with(agent, short_path, Say("First, and then nothing.", wait=asyncio.Event())) as (client, _, _),
        client.open(start=client.start_of(**start_of(agent), cancel_grace="1s")) as conversation,
    ):
        await conversation.until_said("First,")
        tree = await sandbox_tree(client)
        await conversation.send(cancel=pb.Cancel(reason="enough"))
        finished = await conversation.finish()
        await until(lambda: are_gone(tree))

    assert finished.outcome == pb.Finished.OUTCOME_CANCELLED
    assert len(tree) >= 4


@EVERY
async def test_a_daemon_that_is_killed_in_mid_answer_costs_nothing(agent: RealAgent, short_path: Path) -> None:
    """Keeps I4 for agents that others make: the same process, and its whole answer."""
    rest, work = asyncio.Event(), make_repository(short_path / "work")
    data, listen, config = short_path / "data", f"unix:{short_path}/s", short_path / "host.toml"
    async with ModelServer.serving() as server:
        server.reply = ScriptedModel(Say("First, and then the rest.", wait=rest))
        config.write_text(f'[models.{agent.model}]\nurl = "{server.url}"\napi = "{agent.api}"\nmodel = "stub-model"\n')
        async with serving(data, listen, "--config", str(config)) as host, client_of(host, data, work) as client:
            start = client.start_of(**start_of(agent))
            async with client.open(start=start) as first:
                await first.until_said("First,")
            await host.end(signal.SIGKILL)
        rest.set()
        async with (
            serving(data, listen, "--config", str(config)) as again,
            client_of(again, data, work) as client,
            client.open(start=start) as second,
        ):
            finished = await second.finish()
            spawned = client.spawns()

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, second.said("log")
    assert second.said("answer").strip() == "First, and then the rest."
    assert len(spawned) == 1


@EVERY
async def test_a_second_turn_sees_the_first(agent: RealAgent, short_path: Path) -> None:
    """Keeps D13 for agents that others make: one process, one session, usage over both turns."""
    async with (
        host_with(agent, short_path, Say("The first answer.")) as (client, server, _),
        client.open(start=client.start_of(**start_of(agent), turns=2)) as conversation,
    ):
        first = (await conversation.until(lambda frame: frame.HasField("turn"))).turn
        prompt = pb.Input(input_sequence=1, text="Second prompt,\nof two lines.", kind=pb.Input.KIND_PROMPT)
        await conversation.send(input=prompt)
        second = (await conversation.until(lambda frame: frame.turn.number == 2)).turn
        await conversation.send(close=pb.Close())
        finished = await conversation.finish()

    seen = server.asked[-1].body.decode()
    assert "Say what is in README.md." in seen
    assert "The first answer." in seen
    assert "Second prompt,\\nof two lines." in seen
    answer = conversation.said("answer").encode()
    texts = [answer[turn.answer_start : turn.answer_end].decode().strip() for turn in (first, second)]
    assert texts == ["The first answer.", "The first answer."]
    assert (first.succeeded, second.succeeded) == (True, True)
    if first.usage.HasField("input_tokens"):
        assert second.usage.input_tokens == 2 * first.usage.input_tokens
    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_SUCCEEDED, "")
    assert len(client.spawns()) == 1
