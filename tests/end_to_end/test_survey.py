"""The ring, once round: a run over two real hosts with the real survey, from CreateRun to its checked report.

Keeps B1 B3 C1 D1 D3 D7 E3 F4 F6 G1 G2 J1 J2 J3.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from conductor.cli.connection import Connection
from conductor.cli.pushing.push import push_workspace
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import run_service_pb2_grpc
from tests.kit.git_server import GitServer, git_server
from tests.kit.services import Pair, running_pair

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

# Lenses quote what they found; analyzers name places, whose lines the conductor takes from the snapshot.
FOUND = {pb.Evidence.STATUS_VERIFIED, pb.Evidence.STATUS_PLACED}
SOURCE = """
import os
import os
import subprocess
import sys
import uuid


def load(path):
    try:
        return open(path).read()
    except Exception:
        pass


def run(name):
    return subprocess.check_output("ls " + name, shell=True)


def compute(text):
    return eval(text)
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    ran = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q")
    (folder / "app.py").write_text(SOURCE)
    (folder / "README.md").write_text("# App\n\nSee [the guide](docs/guide.md) and `tools/missing.sh`.\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "First")
    (folder / "uncommitted.py").write_text(SOURCE.replace("load", "reload"))
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[GitServer]:
    """A server with the repository's commit."""
    place = tmp_path_factory.mktemp("served")
    with git_server(repository.parent, place) as server:
        yield server


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, served: GitServer) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "conductor.toml").write_text(f'[fetch]\nca = "{served.ca}"\n')
    with running_pair(
        folder, extra=("--config", str(folder / "conductor.toml"), "--allow-fetch", f"127.0.0.1:{served.port}")
    ) as pair:
        yield pair


@pytest.fixture(scope="module")
def channel(pair: Pair) -> Iterator[grpc.Channel]:
    with pair.channel() as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> run_service_pb2_grpc.RunServiceStub:
    return run_service_pb2_grpc.RunServiceStub(channel)


@pytest.fixture(scope="module")
def told(stub: run_service_pb2_grpc.RunServiceStub, repository: Path) -> list[pb.WatchRunResponse]:
    asked = json_format.ParseDict(
        {
            "flow": "flows/survey",
            "workspace": {"path": str(repository)},
            "inputs": {"question": "What must be mended first?"},
        },
        pb.CreateRunRequest(),
    )
    run = stub.CreateRun(asked, timeout=60)
    return list(stub.WatchRun(pb.WatchRunRequest(name=run.name), timeout=90))


def test_it_succeeds_on_both_hosts_and_every_agent_was_confined(told: list[pb.WatchRunResponse]) -> None:
    run = told[-1].run
    agents = [step for step in run.steps if step.kind == pb.Step.KIND_AGENT]
    attempts = [attempt for step in agents for attempt in step.attempts]

    assert run.state == pb.Run.STATE_SUCCEEDED, run.failure
    # Analyzers that no host has are left out, and told.
    assert {step.state for step in run.steps} <= {pb.Step.STATE_SUCCEEDED, pb.Step.STATE_EXCLUDED}
    assert {attempt.host for attempt in attempts} == {"alpha", "beta"}
    assert all(attempt.confinement.uid > 0 for attempt in attempts)
    assert all("network: none" in attempt.confinement.checks for attempt in attempts)
    assert all(
        attempt.confinement.snapshot_fingerprint_before == attempt.confinement.snapshot_fingerprint_after != ""
        for attempt in attempts
    )


def test_both_hosts_streamed_words_and_no_position_is_missing(told: list[pb.WatchRunResponse]) -> None:
    run = told[-1].run
    places = {attempt.id: attempt.host for step in run.steps for attempt in step.attempts}
    spoke = {places[message.output.attempt] for message in told if message.HasField("output")}
    positions = [message.sequence for message in told if not message.HasField("progress")]

    assert spoke == {"alpha", "beta"}
    assert positions == list(range(1, len(positions) + 1))


def test_every_citation_was_checked_and_stands(
    stub: run_service_pb2_grpc.RunServiceStub, told: list[pb.WatchRunResponse], repository: Path
) -> None:
    run = told[-1].run
    findings = stub.ListFindings(pb.ListFindingsRequest(parent=run.name), timeout=10).findings

    assert {"app.py", "uncommitted.py"} <= {evidence.path for found in findings for evidence in found.evidence}
    assert {found.status for found in findings} == FOUND
    for evidence in (evidence for found in findings for evidence in found.evidence):
        lines = (repository / evidence.path).read_text().splitlines()
        assert evidence.quote == "\n".join(lines[evidence.start_line - 1 : evidence.end_line])


@pytest.fixture
def pushed(channel: grpc.Channel, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pb.Workspace:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    workspace = push_workspace(Connection(channel), pb.Workspace(path=str(repository)))
    workspace.path = "/home/anna/app"  # of the caller's machine
    return workspace


def test_a_pushed_workspace_gives_the_same_snapshot_with_the_same_verified_findings(
    stub: run_service_pb2_grpc.RunServiceStub,
    told: list[pb.WatchRunResponse],
    pushed: pb.Workspace,
) -> None:
    """Keeps J5."""
    run = stub.CreateRun(pb.CreateRunRequest(flow="flows/survey", workspace=pushed), timeout=60)
    end = list(stub.WatchRun(pb.WatchRunRequest(name=run.name), timeout=90))[-1].run
    findings, own = (
        stub.ListFindings(pb.ListFindingsRequest(parent=name), timeout=10).findings
        for name in (run.name, told[-1].run.name)
    )

    assert end.state == pb.Run.STATE_SUCCEEDED
    assert end.snapshot == told[-1].run.snapshot
    assert end.workspace == pb.Workspace(
        path="/home/anna/app",
        mode=pb.Workspace.MODE_WORKING_TREE,
        scope=pb.Workspace.SCOPE_WHOLE,
        snapshot=pushed.snapshot,
    )
    assert {found.status for found in findings} == FOUND
    assert [found.title for found in findings] == [found.title for found in own]


def test_a_repository_is_fetched_by_its_url_once_for_each_request_and_a_retry_keeps_its_snapshot(
    stub: run_service_pb2_grpc.RunServiceStub, served: GitServer, repository: Path
) -> None:
    """Keeps J5."""
    url = served.url(f"{repository.name}/.git")
    asked = pb.CreateRunRequest(flow="flows/survey", workspace=pb.Workspace(url=url), request_id=str(uuid.uuid4()))
    runs = [stub.CreateRun(asked, timeout=60) for _ in range(2)]
    end = list(stub.WatchRun(pb.WatchRunRequest(name=runs[0].name), timeout=90))[-1].run
    # What a run shows of its workspace can be asked for again.
    planned = stub.PlanRun(
        pb.PlanRunRequest(run=pb.CreateRunRequest(flow="flows/survey", workspace=end.workspace)), timeout=60
    )
    requests = len(served.asked)
    again = stub.RetryRun(pb.RetryRunRequest(name=end.name, all=True), timeout=60)

    assert runs[0].name == runs[1].name
    assert planned.run.snapshot == end.snapshot
    assert end.state == pb.Run.STATE_SUCCEEDED
    assert (end.workspace.url, end.workspace.path, end.workspace.mode) == (url, "", pb.Workspace.MODE_COMMIT)
    assert (again.snapshot, again.workspace) == (end.snapshot, end.workspace)
    assert len(served.asked) == requests


def test_a_url_of_a_host_that_is_not_allowed_is_refused(pair: Pair, repository: Path) -> None:
    asked = (
        ["run", "survey", "https://anna:secret@git.example.org/app.git"],
        ["run", "survey", "https://git.example.org/app.git"],
    )
    told = [
        subprocess.run(
            [sys.executable, "-m", "conductor.cli", *words],
            capture_output=True,
            text=True,
            env={**os.environ, "CONDUCTOR_ADDRESS": pair.address},
            check=False,
        )
        for words in asked
    ]

    assert "must not hold a user or a password" in told[0].stderr
    assert "nothing is fetched from git.example.org" in told[1].stderr
    assert "--allow-fetch git.example.org" in told[1].stderr
    assert "secret" not in told[0].stderr + pair.conductor.log.read_text()


def test_the_report_says_what_was_found_and_how_it_was_confined(
    stub: run_service_pb2_grpc.RunServiceStub, told: list[pb.WatchRunResponse]
) -> None:
    run = told[-1].run
    report = stub.GetReport(pb.GetReportRequest(name=run.name), timeout=10)
    findings = stub.ListFindings(pb.ListFindingsRequest(parent=run.name), timeout=10).findings

    assert all(found.title in report.markdown for found in findings)
    assert run.snapshot.commit in report.markdown
    assert "bubblewrap" in report.markdown
    assert len(json_format.MessageToDict(report.json)["findings"]) == len(findings)


def test_what_was_said_can_be_read_again_in_bytes(
    stub: run_service_pb2_grpc.RunServiceStub, told: list[pb.WatchRunResponse]
) -> None:
    for step in told[-1].run.steps:
        for attempt in step.attempts:
            outputs = [message.output for message in told if message.output.attempt == attempt.id]
            live = "".join(each.text for each in outputs if each.channel == pb.Output.CHANNEL_ANSWER)
            asked = pb.ReadOutputRequest(name=step.name, attempt=attempt.id)
            assert "".join(piece.text for piece in stub.ReadOutput(asked, timeout=10)) == live


def test_the_repository_is_as_it_was(told: list[pb.WatchRunResponse], repository: Path) -> None:
    """Keeps J3."""
    assert told
    assert git(repository, "status", "--porcelain") == "?? uncommitted.py\n"
    assert git(repository, "worktree", "list").count("\n") == 1
    assert git(repository, "for-each-ref").count("\n") == 1
    assert told[-1].run.snapshot.dirty_paths == ["uncommitted.py"]
