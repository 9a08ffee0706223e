"""The process table shows neither the prompt of an attempt nor the host's variables, for every agent that ships. Keeps D8."""

import json
import os
import signal
from pathlib import Path

import pytest

from agenthost.agent_specs import BUILT_IN, find_agents, name_of
from agenthost.models.settings import read_models
from agenthost.packages.prefix import MARKER, prefix_of, shipped_lock
from tests.agenthost.running_host import Client, open_host
from tests.fakes.model_server import ModelServer
from tests.kit.processes import tree_of

pytestmark = [pytest.mark.processes, pytest.mark.long]

SHIPPED = tuple(sorted(name_of(path) for path in BUILT_IN.glob("*.toml")))
PROMPT, FOREIGN = "prompt-that-no-table-shows", "variable-that-no-agent-has"
WAITS = "#!/bin/sh\nexec sleep 60\n"  # in the place of a command line agent that is not installed here


def install(name: str, program: str) -> None:
    """Puts a program where an agent's packages would be."""
    prefix = prefix_of(name)
    file = prefix / Path(program).relative_to("/opt/agent")
    file.parent.mkdir(parents=True)
    file.write_text(WAITS)
    file.chmod(0o755)
    (prefix / MARKER).write_text(json.dumps({"lock": shipped_lock(name)}))


async def shown_of(client: Client, agent: str) -> list[str]:
    """Returns the command line and the variables of every process of an attempt, while its agent runs."""
    async with client.open(start=client.start_of(PROMPT, agent=agent, step=agent.replace("-", "_"))) as conversation:
        started = await conversation.until(lambda frame: frame.HasField("started"))
        pid = started.started.attestation.pid
        os.kill(pid, signal.SIGSTOP)  # it stays as it was let go
        processes = [Path(f"/proc/{one}") for one in tree_of(int(str(client.spawns()[-1]["shim"])))]
        shown = [
            (one / name).read_bytes().decode(errors="replace") for one in processes for name in ("cmdline", "environ")
        ]
        os.kill(pid, signal.SIGCONT)
        await conversation.send(cancel={"reason": "seen"})
        await conversation.finish()
    return shown


async def test_no_process_of_any_shipped_agent_shows_its_prompt_or_a_variable_of_the_host(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(short_path / "agents"))
    monkeypatch.setenv("SOME_TOKEN", FOREIGN)
    for agent in (await find_agents(())).values():
        if agent.is_packaged and agent.spec:
            install(agent.name, agent.spec.argv[0])
    async with ModelServer.serving() as model:
        apis = {"default": "openai", "anthropic": "anthropic", "gemini": "gemini"}
        models = read_models({name: {"url": model.url, "api": api, "model": "m"} for name, api in apis.items()})
        async with open_host(short_path, repository, models=models) as client:
            shown = {agent: await shown_of(client, agent) for agent in SHIPPED}

    for agent, texts in shown.items():
        assert len(texts) >= 6, agent  # the shim, bubblewrap, and what is in its sandbox
        assert not [text for text in texts if PROMPT in text or FOREIGN in text], agent
        assert any("/opt/" in text for text in texts), agent  # the agent's own command line was among them
