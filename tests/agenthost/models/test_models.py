"""Agents with a model, as a conductor sees them: a host with `[models.NAME]`, the scripted agent, a model on loopback.

Keeps E8: the endpoint is reachable and nothing else is. Every sandbox here is also proven with its door (E6).
"""

import asyncio
import signal
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agenthost.agent_specs import BUILT_IN
from agenthost.config import load_settings
from agenthost.doctor import examine
from agenthost.errors import ConfigurationError
from agenthost.models.settings import read_models
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.host_process import client_of, serving
from tests.agenthost.running_host import Client, open_host
from tests.fakes.model_server import Answer, ModelServer

pytestmark = pytest.mark.processes

KEY = "sk-the-real-key-of-this-test"


def write_agents(folder: Path, *models: str) -> Path:
    """The scripted agent once more for each model, under that model's name."""
    folder.mkdir()
    spec = (BUILT_IN / "scripted.toml").read_text()
    spec = spec.replace('install = "."', f'install = "{BUILT_IN}"')
    for model in models:
        with_model = spec.replace('network = "none"', f'network = "model"\nmodel = "{model}"')
        (folder / f"{model}.toml").write_text(with_model.replace('"scripted"', f'"{model}"'))
    return folder


@asynccontextmanager
async def host_of(
    folder: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> AsyncIterator[Client]:
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    models = read_models({"thinker": {"url": model.url, "key_env": "KEY_OF_THE_TEST"}})
    agents = write_agents(folder / "agents", "thinker", "stranger")
    async with open_host(folder, repository, agents_dirs=(agents,), models=models) as client:
        yield client


async def test_an_agent_reaches_its_model_and_nothing_else(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "fetch POST /v1/chat/completions {}", "fetch POST /v1/files x", "connect 192.0.2.1 443", "connect 127.0.0.1 8788",
        "connect 169.254.169.254 80", "resolve example.com", "env", "argv",
    )  # fmt: skip
    async with ModelServer.serving() as model, host_of(short_path, repository, monkeypatch, model) as client:
        conversation, finished = await client.run(*script, f"connect 127.0.0.1 {model.port}", agent="thinker")
    said = conversation.said("answer")

    assert "fetch POST /v1/chat/completions: 200\n" in said
    assert "fetch POST /v1/files: 403\n" in said
    assert [line for line in said.splitlines() if line.startswith(("connect", "resolve")) and ": done" in line] == []
    assert said.count("connect ") == 4
    assert [asked.headers["authorization"] for asked in model.asked] == [f"Bearer {KEY}"]
    assert KEY not in said
    assert "OPENAI_BASE_URL=http://127.0.0.1:8787/v1" in said
    assert (finished.usage.input_tokens, finished.usage.output_tokens) == (11, 7)
    assert (finished.model_use.requests, finished.model_use.refused) == (1, 1)
    assert finished.model_use.statuses == {200: 1}
    assert "network: model thinker, through 127.0.0.1:8787 alone" in finished.attestation.checks


async def test_an_agent_without_a_model_finds_no_door(client: Client) -> None:
    conversation, finished = await client.run("fetch POST /v1/chat/completions {}")

    assert conversation.said("answer") == "fetch POST /v1/chat/completions: ConnectionRefusedError\n"
    assert "network: none" in finished.attestation.checks


async def test_an_agent_whose_model_this_host_has_not_is_unavailable_and_says_what_to_do(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelServer.serving() as model, host_of(short_path, repository, monkeypatch, model) as client:
        told = {agent.name: agent for agent in (await client.hosts.GetHost(host_pb.GetHostRequest())).agents}
        refusal = await client.refused(client.start_of("say x", agent="stranger"))

    assert "[models.stranger]" in told["stranger"].unavailable_reason
    assert refusal.reason == "AGENT_UNAVAILABLE"
    assert model.asked == []


async def test_an_agent_that_would_be_given_a_models_key_is_unavailable(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    agents = write_agents(short_path / "agents", "thinker")
    spec = agents / "thinker.toml"
    spec.write_text(spec.read_text() + '\n[environment]\nallow = ["KEY_OF_THE_TEST"]\n')
    models = read_models({"thinker": {"url": "https://models.example", "key_env": "KEY_OF_THE_TEST"}})
    async with open_host(short_path, repository, agents_dirs=(agents,), models=models) as client:
        told = {agent.name: agent for agent in (await client.hosts.GetHost(host_pb.GetHostRequest())).agents}

    assert "KEY_OF_THE_TEST" in told["thinker"].unavailable_reason


async def test_a_rate_limit_is_told_with_the_end(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelServer.serving() as model, host_of(short_path, repository, monkeypatch, model) as client:
        model.answers.append(Answer(429, {"retry-after": "300"}, (b"{}",)))
        _, finished = await client.run("usage 5 6", "fetch POST /v1/chat/completions {}", "exit 1", agent="thinker")

    assert finished.model_use.statuses == {429: 1}
    assert (finished.model_use.rate_limited, finished.model_use.retry_after.seconds) == (1, 300)
    # Nothing was metered, so what the agent tells of itself is all there is.
    assert finished.usage.input_tokens == 5
    assert (finished.reason, finished.exit_code) == ("RATE_LIMITED", 1)
    assert "wait for 300 s" in finished.message


async def test_a_stream_of_a_model_reaches_the_conductor_while_it_is_spoken(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = asyncio.Event()
    async with ModelServer.serving() as model, host_of(short_path, repository, monkeypatch, model) as client:
        pieces = (b"data: first\n\n", more, b"data: second\n\n")
        model.answers.append(Answer(headers={"content-type": "text/event-stream"}, pieces=pieces))
        start = client.start_of("fetch POST /v1/chat/completions {}", agent="thinker")
        async with client.open(start=start) as conversation:
            await conversation.until_said("data: first")
            assert "second" not in conversation.said("answer")
            more.set()
            finished = await conversation.finish()

    assert "data: second" in conversation.said("answer")
    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_host_that_goes_cuts_no_agent_off_its_model(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Keeps rule 12."""
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    data, listen = short_path / "data", f"unix:{short_path}/s"
    agents = write_agents(short_path / "agents", "thinker")
    config = short_path / "host.toml"
    more = asyncio.Event()
    async with ModelServer.serving() as model:
        config.write_text(f'[models.thinker]\nurl = "{model.url}"\nkey_env = "KEY_OF_THE_TEST"\n')
        options = ("--config", str(config), "--agents-dir", str(agents))
        model.answers.append(Answer(pieces=(b"{first", more, b"second}")))
        async with serving(data, listen, *options) as host, client_of(host, data, repository) as client:
            start = client.start_of(
                "fetch POST /v1/chat/completions {}", "fetch POST /v1/chat/completions {}", agent="thinker"
            )
            async with client.open(start=start) as first:
                await first.until_said("{first")
            await host.end(number)
            assert KEY not in "".join(host.lines)
        async with serving(data, listen, *options) as again, client_of(again, data, repository) as client:
            more.set()
            async with client.open(resume=pb.Resume(execution=start.execution)) as second:
                finished = await second.finish()
            gateway = gateway_of(data)
            await again.end()
        await ended(gateway)

    assert "{firstsecond}" in second.said("answer").replace("\n", "")
    assert len(model.asked) == 2
    assert (finished.usage.input_tokens, finished.outcome) == (11, pb.Finished.OUTCOME_SUCCEEDED)


def gateway_of(data: Path) -> int:
    """The process that holds the gateway's lock."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "fd/3").readlink() == data / "gateway.lock":
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError("no gateway runs")


async def ended(pid: int) -> None:
    while Path(f"/proc/{pid}").exists():
        await asyncio.sleep(0.01)


async def test_a_wrong_model_keeps_the_host_from_starting_and_no_key_is_shown(tmp_path: Path) -> None:
    """Keeps K5."""
    (tmp_path / "host.toml").write_text(f'[models.main]\nurl = "https://x.example"\nkey_env = "{KEY}"\n')
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tmp_path / "host.toml", {"listen": "unix:/x", "data": str(tmp_path), "name": "x"})

    assert "models.main.key_env" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('key_env = "NOT_THERE_AT_ALL"', "NOT_THERE_AT_ALL is empty or missing"),
        ('key_file = "{folder}/open"', "chmod 600"),
        ('key_file = "{folder}/absent"', "No such file"),
        ('key_file = "{folder}/odd"', "printable ASCII"),
        ('ca_file = "{folder}/absent"', "cannot use models.main.ca_file"),
    ],
)
def test_a_key_that_cannot_be_had_is_told_with_its_remedy(tmp_path: Path, table: str, complaint: str) -> None:
    for name, text, mode in (("open", KEY, 0o644), ("odd", f"{KEY}\n{KEY}", 0o600)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    text = f'url = "https://x.example"\n{table}'.replace("{folder}", str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        read_models({"main": tomllib.loads(text)})

    assert complaint in str(caught.value)
    assert KEY not in str(caught.value)


def test_settings_that_are_shown_show_no_key(tmp_path: Path) -> None:
    """Keeps K5."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "key").chmod(0o600)
    (model,) = read_models({"main": {"url": "https://x.example", "key_file": str(tmp_path / "key")}}).values()

    assert model.key == KEY
    assert KEY not in repr(model)


@pytest.mark.long
async def test_the_doctor_names_agents_that_are_only_not_installed_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path))
    told: list[str] = []
    await examine((), told.append)

    names = "claude, codex, gemini, opencode, pi, qwen"
    assert f"○ not installed: {names}; to have one:  agenthost agents install NAME" in told
    assert not any("agent claude" in line for line in told)


@pytest.mark.long
async def test_the_doctor_tells_of_models_without_their_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps K5."""
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    agents = write_agents(tmp_path / "agents", "thinker", "stranger")
    config = tmp_path / "host.toml"
    config.write_text(
        '[models.thinker]\nurl = "https://models.example/x"\nkey_env = "KEY_OF_THE_TEST"\nprovider_tools = ["web_search"]\n'
        'request_fields = ["config"]\n'
    )
    told: list[str] = []
    await examine((agents,), told.append, config)
    text = "\n".join(told)

    assert "model thinker: openai at https://models.example:443/x, with the key from KEY_OF_THE_TEST" in text
    assert "  the provider may run on its side: web_search" in told
    assert "  also open in requests: config" in told
    assert "agent thinker 1, in a sandbox that held" in text
    assert "needs the model 'stranger'" in text
    assert "has only thinker: add [models.stranger]" in text
    assert KEY not in text
