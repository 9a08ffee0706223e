"""Installing and removing an agent's packages, with a program in npm's place. The real npm serves `./dev setup --agents`."""

import json
import os
from pathlib import Path

import pytest

from agenthost.agent_specs import find_agents
from agenthost.core.models.facts import ListedModel, ModelFacts
from agenthost.errors import ConfigurationError
from agenthost.models.settings import read_models
from agenthost.packages import npm
from agenthost.packages.prefix import prefix_of

pytestmark = pytest.mark.processes


# Makes what the real npm would: the programs that the links lead to; and remembers how it was called.
NPM = """#!/bin/sh
[ -z "$FAIL" ] || { echo "npm error $FAIL" >&2; exit 1; }
echo "$@" > called
env > environment
for arch in x64 arm64; do
  mkdir -p node_modules/@anthropic-ai/claude-code-linux-$arch
  echo program > node_modules/@anthropic-ai/claude-code-linux-$arch/claude
done
for names in x64/vendor/x86_64 arm64/vendor/aarch64; do
  mkdir -p node_modules/@openai/codex-linux-$names-unknown-linux-musl/bin
  echo program > node_modules/@openai/codex-linux-$names-unknown-linux-musl/bin/codex
done
"""
MODELS = {"anthropic": {"url": "http://127.0.0.1:9", "api": "anthropic"}}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "npm").write_text(NPM.replace("$FAIL", f"$(cat {tmp_path}/fail 2>/dev/null)"))
    (programs / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path / "agents"))
    monkeypatch.setenv("OPENAI_API_KEY", "not for npm")
    return tmp_path


async def reason(name: str) -> str:
    return (await find_agents((), read_models(MODELS)))[name].unavailable_reason


async def test_the_model_comes_from_the_flow_then_from_its_endpoint_then_from_the_spec() -> None:
    await npm.install("claude")

    async def asked(model: dict[str, str], parameters: dict[str, str]) -> str:
        agent = (await find_agents((), read_models({"anthropic": MODELS["anthropic"] | model})))["claude"]
        return agent.argv(parameters)[agent.argv(parameters).index("--model") + 1]

    assert await asked({}, {}) == "claude-sonnet-4-5"
    assert await asked({"model": "opus"}, {}) == "opus"
    assert await asked({"model": "opus"}, {"model": "haiku"}) == "haiku"


async def test_an_agent_that_needs_a_models_name_says_where_to_put_it(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agenthost.agent_specs.missing", lambda _: "")
    program = prefix_of("qwen") / "bin" / "node"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    url = {"url": "http://127.0.0.1:9"}
    unnamed, named = [
        (await find_agents((), read_models({"default": table})))["qwen"]
        for table in (url, {**url, "model": "qwen3:8b"})
    ]

    silent = unnamed.knowing(ModelFacts(is_asked=True, problem="it cannot be reached"))
    listing = unnamed.knowing(ModelFacts(is_asked=True, models=(ListedModel("small"),)))

    assert "its endpoint does not answer: it cannot be reached" in silent.unavailable_reason
    assert "add model = 'NAME' to [models.default]" in silent.unavailable_reason
    assert unnamed.available  # until its endpoint was asked
    assert listing.environment()["OPENAI_MODEL"] == "small"
    assert named.environment()["OPENAI_MODEL"] == "qwen3:8b"


async def test_an_agent_is_unavailable_until_it_is_installed_and_says_the_command() -> None:
    assert await reason("claude") == "install it: agenthost agents install claude"

    await npm.install("claude")
    assert await reason("claude") == ""

    assert await npm.remove("claude")
    assert not await npm.remove("claude")
    assert await reason("claude") == "install it: agenthost agents install claude"


async def test_no_script_of_a_package_runs_and_its_work_is_done_for_it() -> None:
    folder = await npm.install("claude")

    assert (folder / "called").read_text().startswith("ci --ignore-scripts ")
    assert "OPENAI_API_KEY" not in (folder / "environment").read_text()
    assert os.access(folder / "bin" / "claude", os.X_OK)
    assert (folder / "bin" / "claude").readlink().parts[0] == ".."


@pytest.mark.parametrize(("processor", "named"), [("x86_64", "x64"), ("aarch64", "arm64")])
async def test_a_link_leads_to_the_program_of_this_processor(
    processor: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: processor)
    program = ((await npm.install("codex")) / "bin" / "codex").resolve(strict=True)

    assert f"codex-linux-{named}/vendor/{processor}-unknown-linux-musl/" in str(program)


async def test_an_installation_that_fails_says_why_and_leaves_what_was_there(machine: Path) -> None:
    (machine / "fail").write_text("EINTEGRITY")
    with pytest.raises(ConfigurationError, match="EINTEGRITY"):
        await npm.install("claude")

    assert list((machine / "agents").iterdir()) == []


async def test_another_release_than_the_tested_one_is_refused_and_replaced() -> None:
    folder = await npm.install("claude")
    (folder / "installed.json").write_text(json.dumps({"lock": "of an earlier release"}))
    (folder / "old").touch()

    assert await reason("claude") == f"{folder} holds another release of it: agenthost agents install claude"
    assert await npm.install("claude") == folder == prefix_of("claude")
    assert not (folder / "old").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["claude"]


async def test_without_npm_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConfigurationError, match="npm was not found"):
        await npm.install("claude")


async def test_a_processor_without_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ConfigurationError, match="with glibc on x64 or arm64, and this is riscv64"):
        await npm.install("claude")


async def test_what_a_link_in_its_place_names_is_left_alone(tmp_path: Path) -> None:
    prefix, others = prefix_of("claude"), tmp_path / "others"
    others.mkdir()
    (others / "installed.json").write_text("{}")
    prefix.parent.mkdir()
    prefix.symlink_to(others)
    assert await npm.remove("claude")
    assert not prefix.is_symlink()

    prefix.symlink_to(others)
    await npm.install("claude")

    assert [one.name for one in prefix.parent.iterdir()] == ["claude"]
    assert (others / "installed.json").read_text() == "{}"
    assert await npm.remove("claude")
    assert not await npm.remove("claude")
