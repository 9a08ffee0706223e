"""The real agents at their edges: restarts, files outside, broken streams, a hostile model, a spec of ten lines.

Keeps D11, D13, E11 and I4. They run with `./dev test --agents`.
"""

import asyncio
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from agenthost.catalogue.commands import agents
from agenthost.packages.trials import last_trial
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.agents.cli.real_agents import HOME, RealAgent, each_agent, host_with, installed, start_of
from tests.agenthost.host_process import client_of, serving
from tests.agenthost.running_host import Client, Conversation, make_repository
from tests.docs.pages import page
from tests.fakes.model_server import Answer, Asked, ModelServer
from tests.fakes.scripted_model import Say, ScriptedModel

__all__ = ["installed"]
pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]
EVERY = pytest.mark.parametrize("agent", each_agent())
SECOND = 'And what\n"else" is there?'


@pytest.fixture(autouse=True)
def own_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a command that runs in this process from sending the process's logs to its own stderr, which ends with the test."""
    monkeypatch.setattr("servicekit.logs.configure_logs", lambda *_: None)


def prompt(number: int, text: str) -> pb.Input:
    return pb.Input(input_sequence=number, text=text, kind=pb.Input.KIND_PROMPT)


async def end_of_turn(conversation: Conversation) -> pb.Turn:
    return (await conversation.until(lambda frame: frame.HasField("turn") or frame.HasField("finished"))).turn


@EVERY
async def test_a_daemon_that_is_killed_between_turns_costs_no_turn(agent: RealAgent, short_path: Path) -> None:
    """Keeps I4: the second prompt comes after the restart, to the same process."""
    work = make_repository(short_path / "work")
    data, listen, config = short_path / "data", f"unix:{short_path}/s", short_path / "host.toml"
    async with ModelServer.serving() as server:
        server.reply = ScriptedModel(Say("It says hello."))
        config.write_text(f'[models.{agent.model}]\nurl = "{server.url}"\napi = "{agent.api}"\nmodel = "stub-model"\n')
        async with serving(data, listen, "--config", str(config)) as host, client_of(host, data, work) as client:
            start = client.start_of(**start_of(agent), turns=2)
            async with client.open(start=start) as first:
                await end_of_turn(first)
            await host.end(signal.SIGKILL)
        async with (
            serving(data, listen, "--config", str(config)) as again,
            client_of(again, data, work) as client,
            client.open(start=start) as second,
        ):
            await end_of_turn(second)
            await second.send(input=prompt(1, SECOND))
            turn = await end_of_turn(second)
            await second.send(close=pb.Close())
            finished = await second.finish()
            spawned = client.spawns()

    assert (turn.number, turn.succeeded) == (2, True), second.said("log")
    assert second.said("answer").count("It says hello.") == 2
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert len(spawned) == 1


@EVERY
async def test_a_file_outside_of_the_workspace_stops_no_agent(agent: RealAgent, short_path: Path) -> None:
    """An agent that asked a person for a permit would wait until its clock runs out."""
    steps = (agent.reading("/etc/passwd"), agent.reading("/etc/shadow"), Say("Done."))
    async with host_with(agent, short_path, *steps) as (client, _, model):
        conversation, finished = await client.run(**start_of(agent))

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    assert len(model.results) == 2


@EVERY
async def test_a_stream_that_breaks_once_is_never_a_success_with_its_text_twice(
    agent: RealAgent, short_path: Path
) -> None:
    pause, whole = asyncio.Event(), ScriptedModel(Say("Half an answer and the rest."))
    async with host_with(agent, short_path, Say("Half an answer", wait=pause, breaks_off=True)) as (
        client,
        server,
        broken,
    ):
        thoughts: list[Asked] = []

        def reply(asked: Asked) -> Answer:
            if b'"tools"' in asked.body:
                thoughts.append(asked)
            return (broken if len(thoughts) < 2 else whole)(asked)

        server.reply = reply
        async with client.open(start=client.start_of(**start_of(agent))) as conversation:
            await conversation.until_said("Half")
            pause.set()
            finished = await conversation.finish()

    if finished.outcome == pb.Finished.OUTCOME_SUCCEEDED:
        assert conversation.said("answer").strip() == "Half an answer and the rest."
    else:
        assert finished.reason == "MODEL_STREAM_CUT"


@EVERY
def test_a_hostile_model_gets_nothing_out_of_it_and_the_trial_is_kept(agent: RealAgent) -> None:
    """Keeps E11: each order is given and answered, so none was waited for until a clock ran out."""
    result = CliRunner().invoke(agents, ["check", agent.name], standalone_mode=False)
    trial = last_trial(agent.name)

    assert result.return_value == 0, result.output
    assert "9 of 9 orders reached the agent, and nothing of them was seen outside of the sandbox" in result.output
    assert trial is not None
    assert [order.name for order in trial.orders if not order.has_held or order.is_untried] == []
    assert len(trial.orders) == 9


@pytest.mark.parametrize("agent", [one for one in each_agent() if one.id == "qwen"])
async def test_an_agent_of_the_operators_own_by_the_spec_of_the_docs(agent: RealAgent, short_path: Path) -> None:
    """Keeps D11: ten lines, and the bridge for any agent of the protocol."""
    spec = page("agents").files("agent")["qwen.toml"]
    (short_path / "agents").mkdir()
    own = spec.replace('name = "qwen"', 'name = "own"').replace('install = "."', f'install = "{HOME}/qwen"')
    own = own.replace('argv = ["node",', 'argv = ["/opt/agent/bin/node",').replace('requires = ["node"]\n', "")
    (short_path / "agents" / "own.toml").write_text(own)
    rest = asyncio.Event()
    steps = (
        agent.reading("/workspace/README.md"),
        agent.running("touch /workspace/new"),
        Say("First, the rest.", wait=rest),
    )
    async with host_with(agent, short_path, *steps, agents_dirs=(short_path / "agents",)) as (client, _, model):
        finished = await _said_in_parts(client, rest)

    assert len(spec.strip().splitlines()) <= 10
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert "A line to quote." in model.results[0]
    assert len(model.results) == 2


async def _said_in_parts(client: Client, rest: asyncio.Event) -> pb.Finished:
    async with client.open(start=client.start_of(agent="own", prompt="Say what is in README.md.")) as conversation:
        await conversation.until_said("First,")
        rest.set()
        return await conversation.finish()
