"""CI mode as a pipeline meets it: a report on stdout and nothing else, and an exit code that judges the run. Keeps K8."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conductor.cli.main import main
from tests.kit.flows import plain_workspace
from tests.kit.processes import processes_with
from tests.kit.repositories import UserRepository
from tests.kit.services import Pair, running_pair
from tests.kit.waiting import wait_until

Command = Callable[..., subprocess.CompletedProcess[str]]
FLOW = """
title: Two reviewers
steps:
  - id: reads
    agent:
      agents: [scripted]
      prompt: "#scripted\\nfinding high readme.txt 2 2 A line\\nfinding medium readme.txt 9 9 An invented place"
  - id: asks
    on_failure: ON_FAILURE_CONTINUE
    agent: {agents: [scripted], prompt: "#scripted\\nsay {{ inputs.question }}\\nexit {{ 3 if inputs.question == 'die' else 0 }}"}
"""
MOVED = """
title: One finding
steps: [{{id: reads, agent: {{agents: [scripted], prompt: "#scripted\\nfinding high readme.txt {line} {line} A line{more}"}}}}]
"""
HANGING = 'title: Hangs\nsteps: [{id: hangs, agent: {agents: [scripted], prompt: "#scripted\\nsay begin\\nhang"}}]\n'

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("ci")
    (folder / "two.yaml").write_text(FLOW)
    plain_workspace(folder / "work")
    with running_pair(folder, hosts=("alpha",)) as running:
        yield running


@pytest.fixture
def conductor(pair: Pair, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process: a new one would take longer than what the command does."""
    monkeypatch.setenv("CONDUCTOR_ADDRESS", pair.address)
    monkeypatch.chdir(pair.folder)

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = main(list(arguments))
        return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())

    return call


@pytest.fixture
def flow(tmp_path: Path) -> str:
    plain_workspace(tmp_path / "work")
    (tmp_path / "two.yaml").write_text(FLOW)
    return str(tmp_path / "two.yaml")


@pytest.mark.parametrize(
    ("question", "options", "code"),
    [
        ("live", ("--fail-on", "critical"), 0),
        ("live", ("--fail-on", "high"), 5),
        ("die", ("--fail-on", "critical"), 6),
    ],
)
def test_the_exit_code_judges_what_was_found_and_what_was_not_looked_at(
    question: str, options: tuple[str, ...], code: int, conductor: Command
) -> None:
    done = conductor("run", "two.yaml", "work", "--question", question, *options)

    assert done.returncode == code, done.stderr
    assert ("asks failed: AGENT_EXIT_NONZERO" in done.stderr) == (question == "die")
    assert ("\n  high  A line  readme.txt:2  verified" in done.stderr) == (code == 5)


def test_findings_are_listed_by_severity_and_by_how_they_were_judged(conductor: Command) -> None:
    assert conductor("run", "two.yaml", "work", "--question", "live").returncode == 0
    everything, lines = conductor("findings", "last"), conductor("findings", "last", "--output", "json").stdout

    assert [line.split()[0] for line in everything.stdout.splitlines()] == ["high", "medium"]
    assert re.search(r"in full: +conductor report \w{26}", everything.stderr)
    assert [json.loads(line)["status"] for line in lines.splitlines()] == ["STATUS_VERIFIED", "STATUS_MISSING"]
    assert conductor("findings", "last", "--severity", "high").stdout.startswith("high  A line")
    assert conductor("--output", "json", "findings", "last", "--status", "missing").stdout.count("\n") == 1
    assert conductor("diff", "last", "last").stdout.startswith("0 new findings, 0 fixed, 2 still there\n  high  A line")
    assert "no such findings" in conductor("findings", "last", "--status", "moved").stderr


@pytest.mark.long
def test_a_finding_of_the_baseline_counts_no_more_wherever_its_lines_move(conductor: Command, pair: Pair) -> None:
    """Keeps F11: the same finding twice is dismissed the second time; what is stale is told; a broken file names its line."""
    known, run = (
        pair.folder / "known.yaml",
        ("run", "moved.yaml", "moved", "--fail-on", "medium", "--baseline", "known.yaml"),
    )
    plain_workspace(pair.folder / "moved")
    (pair.folder / "moved.yaml").write_text(MOVED.format(line=2, more=""))
    assert conductor("run", "moved.yaml", "moved").returncode == 0
    written = conductor("baseline", "write", "last", "known.yaml", "--reason", "a fixture")
    (pair.folder / "moved" / "readme.txt").write_text("zero\nand\none\ntwo\nthree\n")
    (pair.folder / "moved.yaml").write_text(MOVED.format(line=4, more="\\nfinding medium readme.txt 5 5 It came"))
    new, sarif = conductor(*run), conductor(*run, "--format", "sarif", "--include-dismissed")
    marked = conductor(*run, "--format", "json")
    (pair.folder / "moved.yaml").write_text(MOVED.format(line=4, more=""))
    passed = conductor(*run)
    (pair.folder / "moved.yaml").write_text(
        MOVED.replace("finding high readme.txt {line} {line} A line", "say so").format(more="")
    )
    gone = conductor(*run)
    again = conductor("baseline", "write", "last", "known.yaml")
    known.write_text("version: 1\nfindings:\n  - fingerprint: abc\n")
    broken = conductor(*run)

    assert written.stdout == "known.yaml: 1 finding, 1 of them new; 0 removed that are gone\n"
    assert (new.returncode, passed.returncode, gone.returncode, broken.returncode) == (5, 0, 0, 2)
    assert "\n  medium  It came  readme.txt:5" in new.stderr
    assert "1 finding of the baseline left out" in passed.stderr
    suppressed = [each.get("suppressions") for each in json.loads(sarif.stdout)["runs"][0]["results"]]
    assert max(map(str, suppressed)).count("a fixture") == 1
    assert [each.get("dismissed") for each in json.loads(marked.stdout)["findings"]] == ["a fixture", None]
    assert "1 entry of the baseline matches nothing any more" in gone.stderr
    assert "0 of them new; 1 removed" in again.stdout
    assert "known.yaml:3: `reason` must say why" in broken.stderr


def test_a_limit_that_drops_findings_makes_a_run_incomplete(conductor: Command, pair: Pair) -> None:
    merged = (
        FLOW.replace("invented", "second").replace("9 9", "1 1")
        + "  - {id: merged, needs: [reads], fold: {merge: {max_findings: 1}}}\n"
    )
    (pair.folder / "capped.yaml").write_text(merged)
    done = conductor("run", "capped.yaml", "work", "--question", "live", "--fail-on", "critical")

    assert done.returncode == 6, done.stderr
    assert "\n  merged: 1 finding left out by its limit\n" in done.stderr


def test_a_branch_cannot_dismiss_what_it_brings(conductor: Command, pair: Pair) -> None:
    """Keeps F11: in a diff scope the baseline is that of the base revision, and what lies outside the change does not count."""
    repository = UserRepository.make(pair.folder / "branch", **{"readme.txt": "one\ntwo\nthree\n"})
    repository.git("branch", "base")
    repository.write("new.txt", "a line\nanother\n")
    told = "finding high new.txt 1 1 It came\\nfinding high readme.txt 2 2 It was there"
    (pair.folder / "branch.yaml").write_text(
        MOVED.replace("finding high readme.txt {line} {line} A line{more}", told).format()
    )
    known = repository.folder / "known.yaml"
    judged = ("run", "branch.yaml", "branch", "--since", "base", "--fail-on", "high", "--baseline", str(known))
    assert conductor("run", "branch.yaml", "branch").returncode == 0
    assert conductor("baseline", "write", "last", str(known), "--reason", "hide it").returncode == 0
    repository.commit("the change")
    hidden = conductor(*judged)

    assert hidden.returncode == 5, hidden.stderr
    assert "2 entries of" in hidden.stderr
    assert "It came" in hidden.stderr.rpartition("✘ 1 finding")[2]
    assert "It was there" not in hidden.stderr.rpartition("✘ 1 finding")[2]


@pytest.mark.long
def test_a_pipeline_needs_no_service_and_gets_the_report_alone(flow: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "CONDUCTOR_ADDRESS": "unix:/nowhere.sock"}
    options = ("--question", "die", "--ephemeral", "--format", "json", "--fail-on", "high", "--data", "kept")
    command = [sys.executable, "-m", "conductor.cli", "run", flow, "work", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path, check=False
    )

    assert done.returncode == 5, done.stderr
    assert {finding["title"] for finding in json.loads(done.stdout)["findings"]} == {"A line", "An invented place"}
    assert "look at it again:  conductor up --data kept" in done.stderr
    assert processes_with(str(tmp_path)) == []
    assert (tmp_path / "kept" / "conductor").is_dir()


@pytest.mark.long
def test_an_interrupted_pipeline_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    flow, err = tmp_path / "hanging.yaml", tmp_path / "err"
    flow.write_text(HANGING)
    command = [
        sys.executable,
        "-m",
        "conductor.cli",
        "run",
        str(flow),
        str(plain_workspace(tmp_path / "w")),
        "--ephemeral",
    ]
    with err.open("wb") as errors:
        process = subprocess.Popen(command, stderr=errors, stdout=subprocess.PIPE, start_new_session=True)
    wait_until(lambda: " │ begin" in err.read_text() or process.poll() is not None, 60)
    place = re.search(r"/\S+/conductor-run-\w+", " ".join(_lines_of(process.pid)))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, b"")
    assert place is not None
    assert processes_with(place[0]) == []
    assert not Path(place[0]).exists()


def _lines_of(parent: int) -> list[str]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in children]
