"""A real sandbox with a spec's mounts, files and resources: they are there, and nothing of them can be changed. Keeps D2, E3."""

import json
from pathlib import Path

import pytest

from tests.agenthost.running_host import open_host

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
