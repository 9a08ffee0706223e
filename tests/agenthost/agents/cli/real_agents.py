"""The agents that others make, installed under .cache/agents, and hosts that run one against a model on loopback. For tests."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agenthost.models.settings import read_models
from agenthost.packages.prefix import VARIABLE, installed_lock, shipped_lock
from tests.agenthost.running_host import Client, make_repository, open_host
from tests.fakes.model_server import ModelServer
from tests.fakes.scripted_model import Call, ScriptedModel, Step

HOME = Path(__file__).parents[4] / ".cache" / "agents"
ASKED_FOR = "TEST_AGENTS"  # set by `./dev test --agents`


@dataclass(frozen=True)
class RealAgent:
    """An agent with its own names of what it can do."""

    name: str
    read: str
    write: str
    shell: str
    path: str = "file_path"
    model: str = "default"
    api: str = "openai"
    grep: str = "grep_search"

    def reading(self, path: str) -> Call:
        return Call(self.read, {self.path: path})

    def writing(self, path: str) -> Call:
        return Call(self.write, {self.path: path, "content": "x"})

    def running(self, command: str) -> Call:
        return Call(self.shell, {"command": command, "description": "x", "is_background": False})

    def searching(self, pattern: str) -> Call:
        return Call(self.grep, {"pattern": pattern})


@dataclass(frozen=True)
class Codex(RealAgent):
    """codex reads and writes by commands."""

    def reading(self, path: str) -> Call:
        return self.running(f"cat {path}")

    def writing(self, path: str) -> Call:
        return self.running(f"apply_patch '*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch'")

    def running(self, command: str) -> Call:
        return Call(self.shell, {"cmd": command})

    def searching(self, pattern: str) -> Call:
        return self.running(f"rg {pattern} /workspace || grep -rn {pattern} /workspace")


AGENTS = (
    RealAgent("claude", "Read", "Write", "Bash", model="anthropic", api="anthropic", grep="Grep"),
    Codex("codex", "", "", "exec_command"),
    RealAgent("gemini", "read_file", "write_file", "run_shell_command", model="gemini", api="gemini"),
    RealAgent("opencode", "read", "write", "bash", path="filePath", grep="grep"),
    RealAgent("pi", "read", "write", "bash", path="path", grep="grep"),
    RealAgent("qwen", "read_file", "write_file", "run_shell_command"),
)


def _why_not(name: str) -> str:
    if ASKED_FOR not in os.environ:
        return f"the real {name} runs with ./dev test --agents"
    if installed_lock(HOME / name) != shipped_lock(name):
        return f"{name} is not installed: ./dev setup --agents needs npm and its registry"
    return ""


def each_agent() -> Sequence[Any]:
    """A parameter for each agent; those that are not there are skipped by name."""
    return [
        pytest.param(
            agent, id=agent.name, marks=[pytest.mark.skip(reason=why)] if (why := _why_not(agent.name)) else []
        )
        for agent in AGENTS
    ]


@asynccontextmanager
async def host_with(
    agent: RealAgent, folder: Path, *steps: Step, repository: Path | None = None, **settings: Any
) -> AsyncIterator[tuple[Client, ModelServer, ScriptedModel]]:
    """A host whose only model follows these steps."""
    script = ScriptedModel(*steps)
    async with ModelServer.serving() as server:
        server.reply = script
        endpoints = read_models({agent.model: {"url": server.url, "api": agent.api, "model": "stub-model"}})
        work = repository or make_repository(folder / "work")
        async with open_host(folder, work, models=endpoints, **settings) as client:
            assert client.host.agents[agent.name].available, client.host.agents[agent.name].unavailable_reason
            yield client, server, script


def start_of(agent: RealAgent, **fields: Any) -> Mapping[str, Any]:
    return {"agent": agent.name, "prompt": "Say what is in README.md.", **fields}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(HOME))
