"""The README is true: it names what is there, what it names is there, and what it shows to copy works as it stands."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agenthost.core.admission.agent_spec import parse_spec
from tests.services import Service, wait_for

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
# Paths are written from the root, in backticks or as links; in the tree they stand below their folder's line.
FOLDERS = "agenthost|conductor|protos|flows|tests|deploy|benchmarks|simulation"
NAMED = re.compile(rf"`((?:{FOLDERS})/[\w./-]*\w)`")
LINKED = re.compile(r"\]\(([^)#:]+)\)")
ANCHORED = re.compile(r"\]\(#([^)]+)\)")


def block(info: str) -> str:
    """What stands in the fenced block with this info string."""
    found = re.search(rf"^```{info}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None, info
    return found[1]


def test_every_path_that_is_named_exists() -> None:
    named = {*NAMED.findall(README), *LINKED.findall(README)}

    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_anchor_has_its_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(ANCHORED.findall(README)) - slugs == set()


def test_every_command_of_dev_is_named_and_exists() -> None:
    listed = subprocess.run([ROOT / "dev"], capture_output=True, text=True, check=True).stdout
    there = set(re.findall(r"^  (\w+)", listed, re.MULTILINE))

    assert {"setup", "demo", "test", "check", "bench"} <= there
    assert set(re.findall(r"\./dev (\w+)", README)) == there


class Example:
    """The README's flow, persona, agent and program, written where an operator would put them."""

    def __init__(self, folder: Path) -> None:
        self.agents, self.workspace = folder / "agents", folder / "workspace"
        self.config = folder / "config"
        self.flow = self.config / "conductor" / "flows" / "debt.yaml"
        persona = self.config / "conductor" / "personas" / "sceptic.md"
        for path, text in (
            (self.flow, block("yaml readme flow")),
            (persona, block("markdown readme persona")),
            (self.agents / "todo.toml", block("toml readme agent")),
            (self.agents / "todo.py", block("python readme program")),
            (self.workspace / "app.py", "def load():\n    return 1  # TODO: read the file\n"),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return Example(tmp_path)


def conductor(*arguments: str, config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conductor.cli", *arguments]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(config)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


@pytest.fixture
def address(example: Example, tmp_path: Path) -> Iterator[str]:
    """A conductor with one host that has the example's agent."""
    socket, host = f"unix:{tmp_path}/c.sock", f"unix:{tmp_path}/h.sock"
    hosting = ["--listen", host, "--data", str(tmp_path / "h"), "--name", "alpha", "--agents-dir", str(example.agents)]
    conducting = ["--listen", socket, "--data", str(tmp_path / "c"), "--host", f"alpha={host}"]
    services = [
        Service(["agenthost.cli", "serve", *hosting], tmp_path / "h.log"),
        Service(["conductor.cli", "serve", *conducting], tmp_path / "c.log", {"XDG_CONFIG_HOME": str(example.config)}),
    ]
    try:
        for service in services:
            service.start()
        wait_for(lambda: "  ready  " in conductor("--address", socket, "hosts", config=example.config).stdout)
        yield socket
    finally:
        for service in reversed(services):
            service.stop()


@pytest.mark.timeout(120)
def test_the_example_of_flow_persona_and_agent_works_as_it_stands(example: Example, address: str) -> None:
    done = conductor("--address", address, "run", "debt", str(example.workspace), config=example.config)

    assert done.returncode == 0, done.stderr
    assert "Left to do in app.py" in done.stdout
    assert "every citation was verified" in done.stdout
    told = conductor("--address", address, "--output", "json", "runs", config=example.config).stdout
    shown = conductor("--address", address, "show", json.loads(told)["name"], "todo", config=example.config).stdout
    assert "You believe code, not comments." in shown


def test_the_example_agent_s_settings_are_those_of_a_spec() -> None:
    import tomllib

    assert parse_spec(tomllib.loads(block("toml readme agent"))).name == "todo"
