"""The command line as a person meets it: instant, never a traceback, always the next thing to type. Keeps K2."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from conductor.cli.main import COMMANDS, main

pytestmark = pytest.mark.processes


def _conductor(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conductor.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_help_names_every_command_and_imports_no_grpc() -> None:
    code = "import sys, conductor.cli; conductor.cli.main(['--help']); sys.exit('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "Usage: conductor" in capsys.readouterr().out


def test_a_repository_by_ssh_is_told_the_form_that_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "survey", "git@git.example.org:team/app.git"]) == 2
    assert "a repository is fetched from https://HOST/PATH.git" in capsys.readouterr().err


def test_without_a_conductor_it_says_how_to_start_one(tmp_path: Path) -> None:
    done = _conductor("--address", f"unix:{tmp_path}/none.sock", "runs")

    assert done.returncode == 69
    assert "no conductor answers" in done.stderr
    assert "conductor serve" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_something_that_accepts_connections_and_says_nothing_is_not_taken_for_an_empty_address(tmp_path: Path) -> None:
    address = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen()
        done = _conductor("--address", f"unix:{address}", "doctor")
        shown = _conductor("--address", f"unix:{address}", "runs")

    assert "✘ something listens at" in done.stdout
    assert shown.returncode == 69
    assert "something listens at" in shown.stderr
    assert "start one" not in shown.stderr + done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("run",),
        ("run", "survey", "/nowhere/at/all"),
        ("run", "survey", ".", "--band", "huge"),
        ("run", "survey", ".", "--input", "novalue"),
        ("run", "missing.yaml", "."),
        ("--output", "xml", "runs"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_wrong(arguments: tuple[str, ...]) -> None:
    done = _conductor(*arguments)

    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_a_flow_file_may_name_a_persona_of_the_project_beside_it(tmp_path: Path) -> None:
    """Keeps A8, for files that are run or checked by their path."""
    personas = tmp_path / ".conductor" / "personas"
    personas.mkdir(parents=True)
    (personas / "doubter.md").write_text("---\nname: doubter\ndescription: Doubts.\n---\nYou doubt.\n")
    flow = tmp_path / "debt.yaml"
    flow.write_text("title: t\nsteps:\n  - id: a\n    agent: {agents: [x], persona: doubter, prompt: look}\n")

    assert _conductor("validate", str(flow)).returncode == 0
    (personas / "doubter.md").unlink()
    assert "doubter" in _conductor("validate", str(flow)).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--output", "json", "--address", "unix:{0}/none.sock", "runs"),
        ("runs", "--output", "json", "--address", "unix:{0}/none.sock"),
        ("--address", "unix:/elsewhere.sock", "runs", "--address", "unix:{0}/none.sock"),
    ],
)
def test_shared_options_are_taken_before_a_command_and_behind_it(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = _conductor(*(argument.format(tmp_path) for argument in arguments))

    assert done.returncode == 69
    assert f"no conductor answers at unix:{tmp_path}/none.sock" in done.stderr


def test_validate_prints_an_object_for_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.yaml").write_text("title: t\nsteps: [{id: said, fold: {template: hello}}]\n")
    (tmp_path / "bad.yaml").write_text("title: Broken\nstep: []\n")
    code = main(
        ["validate", *(str(tmp_path / name) for name in ("good.yaml", "bad.yaml", "none.yaml")), "--output", "json"]
    )
    good, bad, none = map(json.loads, capsys.readouterr().out.splitlines())

    assert code == 1
    assert (good["good"], good["problems"]) == (True, [])
    assert (2, "step") in {(each["line"], each["field"]) for each in bad["problems"]}
    assert "No such file" in none["problems"][0]["text"]


@pytest.mark.parametrize(
    "arguments", [["--output", "json", "serve"], ["--output", "json", "up"], ["up", "--output", "json"]]
)
def test_what_prints_no_result_takes_no_output(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "--output" in capsys.readouterr().err


def test_an_argument_in_an_error_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "a\x1b[31m\u202e\u009b2Jb.yaml"]) == 1
    assert main(["run", "survey", ".", "--label", "x\x1b[2J\x07\u202e"]) == 2
    assert main(["fro\x1b[2Jb"]) == 2

    told = "".join(capsys.readouterr())
    assert not set(told) & {"\x1b", "\x07", "\u202e", "\x9b"}


def test_a_file_that_cannot_be_read_does_not_stop_the_check_of_the_next(tmp_path: Path) -> None:
    (tmp_path / "second.yaml").write_text("title: Broken\nstep: []\n")

    done = _conductor("validate", str(tmp_path / "first.yaml"), str(tmp_path / "second.yaml"))

    assert done.returncode == 1
    assert "first.yaml: No such file" in done.stdout
    assert "second.yaml:2: step: " in done.stdout


@pytest.mark.parametrize("redirected", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_shell_closed_is_no_trouble(redirected: str) -> None:
    """K2: some supervisors start programs so."""
    command = f"{sys.executable} -m conductor.cli validate flows/survey.yaml {redirected}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_an_output_that_cannot_be_written_is_one_line() -> None:
    """K2: a disk that is full is no defect of ours, and no traceback."""
    command = f"{sys.executable} -m conductor.cli --version >/dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 1
    assert done.stderr == "conductor: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("flows", "--help"), 141),
        (("validate", "{0}/bad.yaml"), 1),
        (("validate", "{0}/bad.yaml", "--output", "json"), 1),
        (("doctor", "--data", "{0}", "--address", "unix:{0}/none.sock"), 1),
    ],
)
@pytest.mark.parametrize("lost", ["a reader that left", "a full disk"])
def test_a_lost_output_eats_no_verdict(arguments: tuple[str, ...], code: int, lost: str, tmp_path: Path) -> None:
    """K2: `conductor … | true` has no reader."""
    (tmp_path / "bad.yaml").write_text("title: Broken\nstep: []\n")
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    given = (argument.format(tmp_path) for argument in arguments)
    command = [sys.executable, "-m", "conductor.cli", *given]
    stdout = writer if lost == "a reader that left" else full
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    os.close(writer)
    os.close(full)

    assert done.returncode == (code if stdout == writer else 1)
    assert len(done.stderr.splitlines()) == (0 if stdout == writer else 1)


@pytest.mark.parametrize("command", ["validate {0}/good.yaml", "show none --address unix:{0}/none.sock", "frobnicate"])
def test_without_a_reader_of_stderr_the_code_still_tells(command: str, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("title: t\nsteps: [{id: said, fold: {template: hello}}]\n")
    told = command.format(tmp_path)
    line = f"{sys.executable} -m conductor.cli {told} 2>/dev/full; echo $?"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=False)

    assert done.stdout.split()[-1] == {"validate": "0", "show": "69", "frobnicate": "2"}[command.split(maxsplit=1)[0]]
