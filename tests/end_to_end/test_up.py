"""From nothing to an answer of one's own model in two commands. Keeps A11, D1 and K9."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agenthost.catalogue.obedient import lay_obedient
from tests.agenthost.running_host import make_repository
from tests.fakes.chat import calls, models, refused, words
from tests.fakes.model_server import ModelServer

pytestmark = pytest.mark.processes

KEY = "sk-the-key-of-this-test"
CLI = (sys.executable, "-m", "conductor.cli")


class Up:
    """`conductor up` at work, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.process, self.address = process, address
        self.said = ""

    async def until(self, text: str) -> None:
        assert self.process.stdout is not None
        while text not in self.said:
            line = await self.process.stdout.readline()
            assert line, self.said
            self.said += line.decode()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return await self.process.wait()


@contextlib.asynccontextmanager
async def up(folder: Path, *options: str) -> AsyncIterator[Up]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        *CLI, "up", "--listen", address, "--data", str(folder / "state"), *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Up(process, address)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def conductor(*arguments: str) -> tuple[int, str, str]:
    return await command("conductor.cli", *arguments)


async def command(program: str, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "work")


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_question_is_answered_by_the_model_of_the_one_who_asks(tmp_path: Path, repository: Path) -> None:
    answer = words("It greets,", " README.md:1.")
    async with ModelServer.serving() as model:
        facts = models({"id": "small", "max_model_len": 16_384})
        model.facts["/v1/models"] = facts
        model.answers.extend((facts, calls(("read_file", {"path": "README.md"})), answer))
        async with up(tmp_path, "--model", f"{model.url}/v1") as it:
            await it.until("stop:  Ctrl-C")
            code, out, err = await conductor(
                "--address", it.address, "run", "ask", str(repository), "--question", "What is it?"
            )
            _, listed, _ = await conductor("--address", it.address, "--output", "json", "runs")
            _, shown, _ = await conductor("--address", it.address, "show", json.loads(listed)["name"], "answer")
            _, agents, _ = await conductor("--address", it.address, "agents")
            ended = await it.stop()

    assert (code, ended) == (0, 0), err
    assert "| answer | 1 | reader | small | local |" in out
    assert "model small: 3 requests (3 x 200)" in shown
    assert re.search(r"✔ local +1 .*model default: small, 16384 tokens", agents)
    assert "✔ reader" in it.said
    assert f"✔ model default       {model.url}  small, 16384 tokens" in it.said
    assert "It greets, README.md:1." in out
    assert "The answer names 1 place; it exists." in out
    assert {json.loads(one.body)["model"] for one in model.asked if one.body} == {"small"}


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_without_an_endpoint_it_says_what_to_type_and_a_dead_one_is_told(tmp_path: Path) -> None:
    async with up(tmp_path) as it:
        await it.until("stop:  Ctrl-C")
        assert "conductor up --model http://127.0.0.1:11434/v1" in it.said
        assert "run ask" not in it.said  # nothing could answer
        assert "run survey ." in it.said
        assert await it.stop() == 0
    async with up(tmp_path, "--model", "http://127.0.0.1:1/v1") as it:
        await it.until("stop:  Ctrl-C")
        assert "✘ model default       http://127.0.0.1:1  it cannot be reached (nothing listens there)" in it.said
        assert "first, make the model answer" in it.said
        assert "✘ reader" in it.said
        assert "✔ reader" not in it.said
        code, told, _ = await conductor(
            "--address", it.address, "doctor", "--data", str(tmp_path / "state" / "conductor")
        )
        assert code == 1
        assert "✘ model default on local does not answer" in told


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_of_several_models_one_that_can_chat_is_asked_and_told(tmp_path: Path, repository: Path) -> None:
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = models({"id": "embed-small"}, {"id": "chat-big"})
        model.reply = lambda _: words("It greets.")
        async with up(tmp_path, "--model", model.url) as it:
            await it.until("stop:  Ctrl-C")
            code, _, err = await conductor(
                "--address", it.address, "run", "ask", str(repository), "--question", "What?"
            )
            await it.stop()

    assert code == 0, err
    assert {json.loads(one.body)["model"] for one in model.asked if one.body} == {"chat-big"}
    assert "chat-big (it lists embed-small, chat-big)" in it.said
    assert "agents ask chat-big; to name another:  --model-name NAME" in it.said


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_the_trial_of_an_agent_is_told_over_all_hosts_and_named_in_the_report(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps E11."""
    monkeypatch.setenv("AGENTHOST_AGENTS", str(tmp_path / "home"))
    tmp_path.chmod(0o755)
    spec = lay_obedient(tmp_path / "agents")
    flow = tmp_path / "obey.yaml"
    flow.write_text("title: Obey\nsteps: [{id: obey, agent: {agents: [obedient], prompt: go on}}]\n")
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = models({"id": "small"})
        model.reply = lambda _: words("It greets.")
        async with up(tmp_path, "--model", model.url, "--agents-dir", str(spec.parent)) as it:
            await it.until("stop:  Ctrl-C")
            checked = await command("agenthost.cli", "agents", "check", str(spec))
            told = "no trial"
            while "no trial" in told:  # the host tells it with its next heartbeat
                _, told, _ = await conductor("--address", it.address, "agents", "obedient")
            ran = await conductor("--address", it.address, "run", str(flow), str(repository))
            await it.stop()

    assert checked[0] == 0, checked
    assert "✔ write a file: [Errno 30] Read-only file system" in told
    assert re.search(r"✔ local .*trial held 20", told)
    assert ran[0] == 0, ran
    assert re.search(r"trial by a hostile model: held 20\S+, 9 of 9 orders reached the agent", ran[1])


async def test_what_keeps_a_service_from_starting_is_shown_and_ends_the_command(tmp_path: Path) -> None:
    async with up(tmp_path, "--model", "127.0.0.1:8080") as it:
        await it.until("http://HOST[:PORT]")
        assert await it.process.wait() == 1
    assert "\n  agenthost: --model is '127.0.0.1:8080': it must be http://HOST[:PORT]" in it.said
    assert "host_not_reached" not in it.said  # the other service has nothing to tell about it
    assert not os.path.exists(tmp_path / "state" / "agenthost.sock")  # noqa: PTH110


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_hosted_endpoint_gets_the_key_of_a_variable_and_nothing_keeps_it(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY)
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = models({"id": "small"})
        model.reply = lambda _: words("It greets.")
        options = ("--model", model.url, "--model-name", "small", "--key-env", "KEY_OF_THE_TEST")
        async with up(tmp_path, *options) as it:
            await it.until("stop:  Ctrl-C")
            code, out, err = await conductor(
                "--address", it.address, "run", "ask", str(repository), "--question", "What is it?"
            )
            await it.stop()
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]

    assert code == 0, err
    assert {one.headers["authorization"] for one in (*model.asked, *model.enquiries)} == {f"Bearer {KEY}"}
    assert kept == []
    assert KEY not in out + err + it.said


@pytest.mark.timeout(120)
async def test_a_second_one_over_the_same_data_is_refused_and_leaves_the_firsts_logs(tmp_path: Path) -> None:
    async with up(tmp_path) as first:
        await first.until("stop:  Ctrl-C")
        log = (tmp_path / "state" / "conductor-up" / "agenthost.log").read_text()
        async with up(tmp_path) as second:
            await second.until("another 'conductor up' uses")
            assert await second.process.wait() == 1

        assert (tmp_path / "state" / "conductor-up" / "agenthost.log").read_text() == log


REPEATED = "It greets everybody who comes by, and then it greets them again.\n"


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_an_answer_that_was_cut_is_told_where_it_is_read(tmp_path: Path, repository: Path) -> None:
    """Keeps B5 and F6: the run succeeds, and neither its end, its step nor its report takes a part for the whole."""
    facts = models({"id": "small", "max_model_len": 16_384})
    kinds = {
        "the model repeated itself, and was read no further": words(*[REPEATED] * 50),
        "the model's reply reached its limit of tokens, and the rest is missing": words("It greets", finish="length"),
    }
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = facts
        async with up(tmp_path, "--model", f"{model.url}/v1") as it:
            await it.until("stop:  Ctrl-C")
            ask = ("--address", it.address, "run", "ask", str(repository), "--question", "What is it?")
            for why, answer in kinds.items():
                model.answers.extend((facts, answer))
                code, report, err = await conductor(*ask)
                named = re.search(r"runs/(\w+)", err)
                assert named, err
                _, shown, _ = await conductor("--address", it.address, "show", named[1], "answer")
                assert code == 0, err
                assert f"**This answer is not whole:** {why}." in report
                assert err.count(f"the answer is not whole: {why}") == 2, err  # at the step's end, and at the run's
                assert shown.rstrip().endswith(f"the answer is not whole: {why}")


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_refused_key_is_told_once_and_in_two_sentences(tmp_path: Path, repository: Path) -> None:
    """Keeps D4."""
    facts = models({"id": "small", "max_model_len": 16_384})
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = facts
        async with up(tmp_path, "--model", f"{model.url}/v1") as it:
            await it.until("stop:  Ctrl-C")
            model.answers.extend((facts, refused(401, "no such key")))
            ask = ("--address", it.address, "run", "ask", str(repository), "--question", "What is it?")
            code, report, err = await conductor(*ask)
            named = re.search(r"runs/(\w+)", err)
            assert named, err
            _, logged, _ = await conductor("--address", it.address, "output", named[1], "answer", "--channel", "log")

    why = (
        "The model's endpoint answered with HTTP 401. Check this model's key (key_env or key_file) and its permissions."
    )
    assert code == 1
    assert f"AUTH_FAILED: {why}" in err
    assert "gave up" not in err
    assert "this report is incomplete. Nothing was judged." in report
    assert logged.count("no such key") == 1, logged


@pytest.mark.timeout(120)
async def test_findings_of_a_step_that_asks_for_evidence_alone_are_never_no_findings(
    tmp_path: Path, repository: Path
) -> None:
    """Keeps F12: a list of findings that breaks off is told as not read."""
    facts = models({"id": "small", "max_model_len": 16_384})
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = facts
        model.answers.extend((facts, words('{"findings": [{"severity": "high", "title": ')))
        async with up(tmp_path, "--model", f"{model.url}/v1") as it:
            await it.until("stop:  Ctrl-C")
            ask = ("--address", it.address, "run", "ask", str(repository), "--question", "What is wrong?")
            code, report, err = await conductor(*ask)

    assert code == 0, err
    assert "the findings of 1 answer cannot be read" in err
    assert "its answer holds findings that cannot be read" in report
    assert "no findings" not in (err + report).lower()
