"""A real sandbox with a spec's mounts, files and resources: they are there, and nothing of them can be changed. Keeps D2, E3."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from agenthost.agent_specs import Agent, find_agents
from agenthost.models.settings import read_models
from agenthost.system.socket_path import short_path
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.running_host import make_repository, open_host
from tests.fakes.chat import models
from tests.fakes.model_server import ModelServer

pytestmark = pytest.mark.processes

SPEC = """
name = "looker"
description = "Looks at what it was given."
argv = ["/bin/sh", "/opt/agent/look.sh"]
install = "."
dialect = "text"
mounts = {tools = "tools"}
files = {".tool/settings.json" = '{"url": "{model_url}"}'}
resources = {open_files = 2048}
"""
LOOK = """
cat >/dev/null
cat /opt/tools/word "$HOME/.tool/settings.json"
echo changed >"$HOME/.tool/settings.json" && echo "home is writable"
echo changed 2>/dev/null >/opt/tools/word || echo "tools are not"
echo changed 2>/dev/null >/opt/new || echo "opt is not"
ulimit -n
"""


async def test_an_agent_finds_its_mounts_and_files_and_cannot_change_the_hosts(
    short_path: Path, repository: Path
) -> None:
    agents = short_path / "agents"
    (agents / "tools").mkdir(parents=True)
    (agents / "tools" / "word").write_text("from the mount\n")
    (agents / "looker.toml").write_text(SPEC)
    (agents / "look.sh").write_text(LOOK)
    async with open_host(short_path, repository, agents_dirs=(agents,)) as client:
        conversation, finished = await client.run(agent="looker")

    lines = conversation.said("answer").splitlines()
    assert lines[0] == "from the mount"
    assert json.loads(lines[1].removesuffix("home is writable")) == {"url": "http://127.0.0.1:8787"}
    assert lines[-3:] == ["tools are not", "opt is not", "2048"]
    assert (agents / "tools" / "word").read_text() == "from the mount\n"
    assert "writable: only /home/agent, /tmp, /dev/shm" in finished.attestation.checks


async def test_a_mount_that_is_not_there_makes_the_agent_unavailable(short_path: Path, repository: Path) -> None:
    agents = short_path / "agents"
    agents.mkdir()
    (agents / "looker.toml").write_text(SPEC)
    async with open_host(short_path, repository, agents_dirs=(agents,)) as client:
        agent = client.host.agents["looker"]

    assert "mounts.tools names" in agent.unavailable_reason


async def test_a_socket_in_a_mount_makes_the_agent_unavailable(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "looker.toml").write_text(SPEC)
    (tmp_path / "look.sh").write_text(LOOK)
    with socket.socket(socket.AF_UNIX) as door, short_path(tmp_path / "tools", "door") as path:
        door.bind(path)

    reason = (await find_agents((tmp_path,)))["looker"].unavailable_reason
    assert f"{tmp_path}/tools/door is a socket, which leads out" in reason


@pytest.mark.parametrize("folder", ["tools/deep", "."])
async def test_a_named_pipe_in_a_mount_makes_the_agent_unavailable(tmp_path: Path, folder: str) -> None:
    """A read-only mount does not keep an agent from writing into one, and a process of the host may read it."""
    (tmp_path / "tools" / "deep").mkdir(parents=True)
    (tmp_path / "looker.toml").write_text(SPEC)
    (tmp_path / "look.sh").write_text(LOOK)
    assert (await find_agents((tmp_path,)))["looker"].available
    os.mkfifo(tmp_path / folder / "door")

    assert "is a named pipe, which leads out" in (await find_agents((tmp_path,)))["looker"].unavailable_reason


@pytest.mark.parametrize("place", ["loop", "~no-such-user/x"])
async def test_a_mount_that_leads_nowhere_makes_its_own_agent_unavailable_and_no_other(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "looker.toml").write_text(SPEC.replace('"tools"}', f'"{place}"}}'))
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5_000)
    found = await find_agents((tmp_path,))

    assert str(tmp_path / "looker.toml") in found["looker"].unavailable_reason
    assert found["deep"].unavailable_reason
    assert found["scripted"].available


def lay_looker(agents: Path) -> Path:
    """Lays the agent that looks at its mounts, and returns the folder that it mounts."""
    tools = agents / "tools"
    tools.mkdir(parents=True)
    (tools / "word").write_text("as proven\n")
    (agents / "looker.toml").write_text(SPEC)
    (agents / "look.sh").write_text(LOOK)
    return tools


def swap(folder: Path) -> None:
    folder.rename(folder.with_name("proven"))
    folder.mkdir()
    (folder / "word").write_text("another\n")


async def test_an_agent_whose_mount_was_swapped_is_disabled_until_it_is_proven_again(
    short_path: Path, repository: Path
) -> None:
    """Keeps E3 E6: a proof counts for the folder that it was made with, not for whatever has its name later."""
    tools = lay_looker(short_path / "agents")
    async with open_host(short_path, repository, agents_dirs=(short_path / "agents",)) as client:
        swap(tools)
        refusal = await client.refused(client.start_of(agent="looker"))
        disabled = client.host.agents["looker"].unavailable_reason
        spawned = client.spawns()
        checked = await client.hosts.CheckAgent(host_pb.CheckAgentRequest(agent="looker"))
        conversation, _ = await client.run(agent="looker")

    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "AGENT_UNAVAILABLE")
    assert f"{tools} is another folder than the one that was proven" in disabled
    assert spawned == []
    assert checked.available
    assert conversation.said("answer").startswith("another\n")


async def test_a_mount_that_is_swapped_during_the_launch_lets_no_agent_go(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shim compares what lies in the sandbox, with the gate still closed: so nothing can come in between."""
    tools = lay_looker(short_path / "agents")
    async with open_host(short_path, repository, agents_dirs=(short_path / "agents",)) as client:
        looks = client.host.refuse_moved

        def swap_after_the_look(agent: Agent) -> None:
            looks(agent)
            swap(tools)

        monkeypatch.setattr(type(client.host), "refuse_moved", lambda _, agent: swap_after_the_look(agent))
        _, finished = await client.run(agent="looker")

        assert client.spawns() == []
    assert (finished.outcome, finished.reason) == (pb.Finished.OUTCOME_REFUSED, "SANDBOX_REFUSED")
    assert "does not hold: /opt/tools: the folder that was proven" in finished.message


async def test_the_value_of_a_variable_is_never_a_path_of_the_host(short_path: Path, repository: Path) -> None:
    agents = short_path / "agents"
    agents.mkdir()
    (agents / "teller.toml").write_text(TELLER)
    async with open_host(short_path, repository, agents_dirs=(agents,)) as client:
        conversation, _ = await client.run(agent="teller")

    assert conversation.said("answer") == "{tree}\n"


TELLER = """
name = "teller"
description = "Tells a variable."
argv = ["/bin/sh", "-c", "cat >/dev/null; echo $PLACE"]
environment = {set = {PLACE = "{tree}"}}
"""
HIDING = """
name = "seeker"
description = "Looks for what it must not see."
argv = ["/bin/sh", "-c", "cat >/dev/null; ls -A .tool; cat tool.json README.md; echo x 2>/dev/null >.tool/new || echo sealed"]
hides = [".tool", "tool.json", "absent"]
"""


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A repository that holds an agent's configuration: a folder and a file."""
    work = make_repository(tmp_path / "work")
    (work / ".tool").mkdir()
    (work / ".tool" / "plugin.js").write_text("evil()")
    (work / "tool.json").write_text("evil")
    commit(work)
    return work


async def test_an_agent_does_not_see_what_its_spec_hides(short_path: Path, configured: Path) -> None:
    """Keeps E5: for an agent that would run what it finds there."""
    (short_path / "agents").mkdir()
    (short_path / "agents" / "seeker.toml").write_text(HIDING)
    async with open_host(short_path, configured, agents_dirs=(short_path / "agents",)) as client:
        conversation, finished = await client.run(agent="seeker")

    assert conversation.said("answer") == "# Hello\n\nA line to quote.\nsealed\n"
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED
    assert "writable: only /home/agent, /tmp, /dev/shm" in finished.attestation.checks


async def test_a_link_where_something_must_be_hidden_refuses_the_attempt(short_path: Path, configured: Path) -> None:
    (configured / "tool.json").unlink()
    (configured / "tool.json").symlink_to("README.md")
    commit(configured)
    (short_path / "agents").mkdir()
    (short_path / "agents" / "seeker.toml").write_text(HIDING)
    async with open_host(short_path, configured, agents_dirs=(short_path / "agents",)) as client:
        refusal = await client.refused(client.start_of(agent="seeker"))

        assert client.spawns() == []
    assert "must not see 'tool.json' of this snapshot, and that is a link" in refusal.message


def commit(work: Path) -> None:
    for arguments in (("add", "--force", "."), ("commit", "--quiet", "-m", "more")):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
        subprocess.run(["git", "-C", work, *identity, *arguments], check=True)


CONFIGURED = """
name = "configured"
description = "Has a file that no parser of ours knows, with the name of its model."
argv = ["/bin/sh", "-c", "cat >/dev/null; cat ~/settings.ini"]
network = "model"
model = "default"
files = {"settings.ini" = "model = {model}"}
parameters = {model = {pattern = ".*", default = ""}}
"""


@pytest.mark.parametrize("listed", ["small:8b", "small; unsafe = yes"])
async def test_a_name_that_a_server_lists_cannot_write_into_the_configuration_of_an_agent(
    short_path: Path, repository: Path, listed: str
) -> None:
    agents = short_path / "agents"
    agents.mkdir()
    (agents / "configured.toml").write_text(CONFIGURED)
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = models({"id": listed})
        endpoints = read_models({"default": {"url": model.url}})
        async with open_host(short_path, repository, agents_dirs=(agents,), models=endpoints) as client:
            if " " in listed:
                refusal = await client.refused(client.start_of(agent="configured"))
                assert "start.parameters[model]" in str(refusal.violations)
                assert client.spawns() == []
            else:
                conversation, _ = await client.run(agent="configured")
                assert conversation.said("answer") == f"model = {listed}"
