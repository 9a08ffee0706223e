"""The examples of README and docs work as they stand: written where a reader would put them, run as a reader would."""

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from agenthost.core.admission.agent_spec import parse_spec
from agenthost.core.models.endpoint import parse_endpoint
from tests.docs.pages import DOCS, README, page
from tests.fakes.chat import models
from tests.fakes.model_server import Answer, ModelServer
from tests.kit.services import Service, free_port
from tests.kit.waiting import wait_until

CODE = """import json


def load(text):
    try:
        return eval(text)  # TODO: read the file
    except ValueError:
        pass
"""
FINDINGS = {
    "findings": [
        {
            "severity": "high",
            "title": "load() runs its input as code",
            "evidence": [("app.py", 6, "return eval(text)")],
        },
        {"severity": "medium", "title": "The cache is never cleared", "evidence": [("app.py", 2, "cache = {}")]},
    ]
}
STAND_IN = "agents/semgrep/bin/python"
SARIF_WRITER = """#!/bin/sh
for file in "$@"; do :; done
place='{"artifactLocation": {"uri": "'"$file"'"}, "region": {"startLine": 6}}'
result='{"ruleId": "eval", "level": "error", "message": {"text": "It runs text."}, "locations": [{"physicalLocation": '"$place"'}]}'
echo '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "semgrep"}}, "results": ['"$result"']}]}'
"""

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def written(files: dict[str, str], folder: Path) -> Path:
    """Writes the files of a page into a folder, beside some code to look at, and returns it."""
    for name, text in {**files, "code/app.py": CODE}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def conductor(*arguments: str, folder: Path, address: str = "") -> subprocess.CompletedProcess[str]:
    """Calls the command line in a folder, with a configuration of its own."""
    command = [sys.executable, "-m", "conductor.cli", *arguments]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "CONDUCTOR_ADDRESS": address}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=environment, check=False)


@contextmanager
def serving(folder: Path, *host_extra: str) -> Iterator[str]:
    """Runs a conductor and one host with the agents of the folder `agents`; yields the address."""
    socket, host = f"unix:{folder}/c.sock", f"unix:{folder}/h.sock"
    hosting = ["--listen", host, "--data", str(folder / "h"), "--name", "alpha", "--agents-dir", str(folder / "agents")]
    conducting = ["--listen", socket, "--data", str(folder / "c"), "--host", f"alpha={host}"]
    services = [
        Service(["agenthost.cli", "serve", *hosting, *host_extra], folder / "h.log"),
        Service(["conductor.cli", "serve", *conducting], folder / "c.log", {"XDG_CONFIG_HOME": str(folder / "config")}),
    ]
    try:
        for service in services:
            service.start()
        wait_until(lambda: "  ready  " in conductor("hosts", folder=folder, address=socket).stdout)
        yield socket
    finally:
        for service in reversed(services):
            if service.process is not None:
                service.stop()


def spoken(text: str) -> Answer:
    """Returns an answer that comes word by word, as OpenAI's API streams it."""
    words = re.findall(r"\s*\S+|\s+$", text)
    pieces = [{"choices": [{"delta": {"content": word}}]} for word in words]
    lines = [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces]
    usage = {"choices": [], "usage": {"prompt_tokens": 500, "completion_tokens": 120}}
    ends = [b"data: " + json.dumps(usage).encode() + b"\n\n", b"data: [DONE]\n\n"]
    return Answer(headers={"content-type": "text/event-stream"}, pieces=[*lines, *ends])


def answer_of_a_model() -> str:
    """Returns what a model might answer to the contracts `evidence` and `output`: one quote is real, one made up."""
    findings = [
        {
            **finding,
            "claim": "As the quote shows.",
            "category": "risk",
            "evidence": [
                {"path": path, "start_line": line, "end_line": line, "quote": quote}
                for path, line, quote in finding["evidence"]
            ],
        }
        for finding in FINDINGS["findings"]
    ]
    return f"I looked at load() and at the cache.\n```json\n{json.dumps({'findings': findings})}\n```\n"


@pytest.mark.long
async def test_the_agent_of_four_files_asks_a_local_model_and_its_quotes_are_checked(tmp_path: Path) -> None:
    folder = written(page("agents").files("model"), tmp_path)
    async with ModelServer.serving() as model:
        model.answers.append(spoken(answer_of_a_model()))
        models = folder / "models.toml"
        models.write_text(models.read_text().replace("http://127.0.0.1:8080", model.url))
        done = await asyncio.to_thread(_ask, folder)

    assert done.returncode == 0, done.stderr
    assert "ask ▸ high  load() runs its input as code  app.py:6  verified" in done.stderr
    (asked,) = model.asked
    assert asked.target == "/v1/chat/completions"
    assert "return eval(text)" in json.loads(asked.body)["messages"][0]["content"]
    assert "620 tokens" in done.stderr


def _ask(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the last line of the example with services of the test's own."""
    line = page("agents").block("sh model run").splitlines()[-1]
    question = re.search(r'--question "(.+)"', line)
    assert question is not None
    assert line.startswith("conductor run ask.yaml ~/src/app ")
    with serving(folder, "--config", str(folder / "models.toml")) as address:
        return conductor("run", "ask.yaml", "code", "--question", question[1], folder=folder, address=address)


async def test_its_services_start_with_the_lines_that_are_shown(tmp_path: Path) -> None:
    folder = written(page("agents").files("model"), tmp_path)
    lines = page("agents").block("sh model run").splitlines()
    host, port = free_port(), free_port()
    starts = [line.replace(":7420", f":{host}").replace(":7410", f":{port}") for line in lines[:2]]
    script = [*starts, "trap 'kill -INT %1 %2; wait' EXIT", f"export CONDUCTOR_ADDRESS=127.0.0.1:{port}"]
    script += ["until conductor doctor; do sleep 0.2; done"]
    async with ModelServer.serving() as model:
        model.facts["/v1/models"] = models({"id": "small"})
        named = folder / "models.toml"
        named.write_text(named.read_text().replace("http://127.0.0.1:8080", model.url))
        done = await asyncio.to_thread(_shell, script, folder)

    assert done.returncode == 0, done.stderr
    assert "all good" in done.stdout


async def test_the_readmes_two_commands_ask_a_local_model(tmp_path: Path) -> None:
    """Keeps A11 and K9."""
    folder = written({}, tmp_path)
    start, ask = README.block("sh up").splitlines()
    assert ask.startswith("conductor run ask ~/src/app ")
    question = ask.partition("--question ")[2].strip('"')
    async with ModelServer.serving() as model:
        listed = models({"id": "small"})
        model.answers.extend((listed, listed, spoken(answer_of_a_model())))
        up = start.replace("http://127.0.0.1:11434", model.url).split()[1:]
        process, address = await begun(folder, *up)
        try:
            done = await asyncio.to_thread(
                conductor, "run", "ask", "code", "--question", question, folder=folder, address=address
            )
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()

    assert done.returncode == 0, done.stderr
    shown = README.text[: README.text.index("## Is it for you?")]
    lines = re.findall(r"^  Answer [▸│] .*$", shown, re.MULTILINE)
    assert len(lines) == 3
    assert [line for line in lines if line not in done.stderr] == []


async def begun(folder: Path, *arguments: str) -> tuple[asyncio.subprocess.Process, str]:
    """Starts `conductor up` and waits until it says how to go on."""
    address = f"127.0.0.1:{free_port()}"
    options = ("--listen", address, "--data", str(folder / "state"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "conductor.cli", *arguments, *options,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    while (line := await process.stderr.readline()) and b"Ctrl-C" not in line:
        pass
    assert line
    return process, address


@pytest.mark.long
def test_the_readmes_line_for_ci_judges_the_findings(tmp_path: Path) -> None:
    """Keeps K8."""
    folder = written({}, tmp_path) / "code"
    token = "ghp_" + hashlib.sha256(b"a token that opens nothing").hexdigest()[:36]
    (folder / "key.py").write_text(f'TOKEN = "{token}"\n')
    dirty = _shell(README.block("sh ci").splitlines(), folder)

    assert dirty.returncode == 5, dirty.stderr
    assert "key.py:1" in (tmp_path / "report.md").read_text()


def _shell(script: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "XDG_CONFIG_HOME": str(folder / "config")}
    command = ["bash", "-c", "\n".join(script)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=90, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes agent, flows and persona of the docs where an operator puts them."""
    files = page("agents").files("agent")
    placed = {f"agents/{name}": text for name, text in files.items() if name.startswith("todo")}
    placed["config/conductor/flows/debt.yaml"] = files["debt.yaml"]
    placed |= page("analyzers").files("analyzer") | {"agents/rules/eval.yaml": "rules: []\n", STAND_IN: SARIF_WRITER}
    placed |= {f"config/conductor/personas/{name}": text for name, text in page("flows").files("persona").items()}
    placed |= {**page("flows").files("flow"), "code/README.md": "# App\n"}
    made = written(placed, tmp_path_factory.mktemp("docs"))
    (made / STAND_IN).chmod(0o755)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as address:
        yield address


def test_the_agent_of_the_docs_finds_with_its_persona_and_its_parameter(folder: Path, address: str) -> None:
    done = conductor("run", "debt", "code", "--label", "of=debt", folder=folder, address=address)
    listed = conductor("--output", "json", "runs", "--label", "of=debt", folder=folder, address=address).stdout
    shown = conductor("show", json.loads(listed)["name"], "todo", folder=folder, address=address).stdout

    assert done.returncode == 0, done.stderr
    assert "Left to do in app.py" in done.stdout
    assert "Quotes checked; conclusions are yours." in done.stdout
    assert "You are a surveyor of code." in shown


def test_the_analyzer_of_the_docs_finds_by_a_spec_alone(folder: Path, address: str) -> None:
    """Keeps D14: a program that writes SARIF stands for semgrep."""
    done = conductor("run", "rules.yaml", "code", "--format", "json", folder=folder, address=address)
    (finding,) = json.loads(done.stdout)["findings"]

    assert done.returncode == 0, done.stderr
    assert (finding["rule"], finding["status"], finding["severity"]) == ("semgrep:eval", "placed", "high")
    assert finding["evidence"][0]["path"] == "app.py"


@pytest.mark.parametrize("name", ["owners.yaml", "rehearsal.yaml", "tour2.yaml"])
def test_flows_of_the_docs_that_need_no_model_run(name: str, folder: Path, address: str) -> None:
    done = conductor("run", name, "code", "--band", "large", folder=folder, address=address)

    assert done.returncode == 0, done.stderr


def test_the_first_flow_asks_a_person_and_goes_on(folder: Path, address: str) -> None:
    """Keeps A5: the tutorial's last flow, as a new user runs it."""
    run = conductor("run", "tour3.yaml", "code", "--detach", folder=folder, address=address).stdout.strip()
    name = f"{run.removeprefix('runs/')}/agree-1"
    wait_until(lambda: name in conductor("gates", folder=folder, address=address).stdout)
    approved = conductor("approve", name, folder=folder, address=address)
    done = conductor("watch", run, folder=folder, address=address)

    assert approved.returncode == 0, approved.stderr
    assert done.returncode == 0, done.stderr
    assert "things to look at, says the survey" in done.stdout


def test_every_flow_of_the_docs_is_good(folder: Path) -> None:
    flows = [*page("flows").files("flow"), "config/conductor/flows/debt.yaml"]
    done = conductor("validate", "--project", ".", *flows, folder=folder)

    assert done.returncode == 0, done.stdout


def test_every_spec_and_model_that_is_shown_is_taken() -> None:
    infos = ("model", "agent", "analyzer")
    specs = [text for each in (README, *DOCS) for info in infos for text in each.files(info).values()]
    tables = [tomllib.loads(text) for text in specs if text.startswith("name = ")]
    models = tomllib.loads(page("agents").block("toml models"))["models"]

    assert [parse_spec(table).name for table in tables] == ["ask", "todo", "qwen", "semgrep"]
    assert parse_endpoint("cloud", models["cloud"]).key_env == "CLOUD_KEY"
