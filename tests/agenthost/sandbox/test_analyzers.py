"""Analyzers in the real sandbox: ruff as it ships, and one of an operator's own. Keeps D14."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.running_host import Client, open_host
from tests.kit.repositories import UserRepository

pytestmark = pytest.mark.processes

FILES = {
    "app.py": "print(undefined)\n",
    "ruff.toml": "exclude = ['*']\n",  # a repository cannot silence its judge
    "tool": "#!/usr/bin/env python3\n\nprint(undefined)\n",
    "vendor/other.py": "print(undefined)\n",
}
OWN = """
name = "own"
description = "Finds each TODO."
argv = ["{python}", "-I", "-S", "/opt/agent/own.py", "{result}", "{files}"]
install = "."
dialect = "sarif"
[analyzer]
files = ["*.md"]
result = "file"
"""
PROGRAM = """
import json, os, sys
try:
    open("/workspace/written", "w")
except OSError as error:
    text = f"{os.getcwd()}: {error.strerror}"
place = {"artifactLocation": {"uri": sys.argv[2]}, "region": {"startLine": 1}}
result = {"ruleId": "T1", "message": {"text": text}, "locations": [{"physicalLocation": place}]}
with open(sys.argv[1], "w") as file:
    json.dump({"runs": [{"results": [result]}]}, file)
"""


def places(result: Mapping[str, Any]) -> set[tuple[str, str, int, str]]:
    return {
        (finding["rule"], place["path"], place["start_line"], place["quote"])
        for finding in result["findings"]
        for place in finding["evidence"]
    }


async def judged(client: Client, agent: str) -> dict[str, Any]:
    conversation, finished = await client.run("look", agent=agent, step=agent)
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    return dict(json.loads(finished.result_json))


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return UserRepository.make(tmp_path / "code", **FILES).folder


async def test_an_analyzer_judges_the_snapshot_inside_the_sandbox(short_path: Path, code: Path) -> None:
    agents = short_path / "agents"
    agents.mkdir()
    (agents / "own.toml").write_text(OWN)
    (agents / "own.py").write_text(PROGRAM)
    (agents / "gone.toml").write_text(OWN.replace('"own"', '"gone"').replace("install", 'program = "no-tool"\ninstall'))
    async with open_host(short_path, code, agents_dirs=(agents,)) as client:
        ruff, own = await judged(client, "ruff"), await judged(client, "own")
        told = {agent.name: agent for agent in (await client.hosts.GetHost(host_pb.GetHostRequest())).agents}

    assert {place for place in places(ruff) if place[0] == "ruff:F821"} == {
        ("ruff:F821", "app.py", 1, ""),
        ("ruff:F821", "tool", 3, ""),
    }
    assert ruff["coverage"]["judged"] == {"Python": 3}  # src/app.py is the third
    assert ruff["coverage"]["tool"] == f"ruff {told['ruff'].version}"
    assert set(told["ruff"].features) == {"findings", "places"}
    assert own["findings"][0]["claim"] == "/tmp/analyzer: Read-only file system"
    assert places(own) == {("own:T1", "README.md", 1, "")}
    assert "program names 'no-tool', which is in none of" in told["gone"].unavailable_reason
