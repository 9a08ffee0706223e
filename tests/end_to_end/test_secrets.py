"""Secrets of a repository, and of a host: found, cited and verified, and nowhere to be read. Keeps E10 F4."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.v1 import run_service_pb2 as pb
from conductor.v1.run_service_pb2_grpc import RunServiceStub
from tests.kit import flows
from tests.kit.repositories import UserRepository
from tests.kit.services import Pair, running_pair

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ3lM6"
MASKED = "ghp_[redacted:github-token]"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_pair(tmp_path_factory.mktemp("pair"), hosts=("alpha",)) as running:
        yield running


@pytest.fixture(scope="module")
def stub(pair: Pair) -> Iterator[RunServiceStub]:
    with pair.channel() as channel:
        yield RunServiceStub(channel)


def to_its_end(stub: RunServiceStub, request: pb.CreateRunRequest) -> list[pb.WatchRunResponse]:
    return list(stub.WatchRun(pb.WatchRunRequest(name=stub.CreateRun(request, timeout=60).name), timeout=90))


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.mark.long
def test_a_committed_token_is_found_and_verified_and_never_repeated(
    stub: RunServiceStub, pair: Pair, tmp_path: Path
) -> None:
    user = UserRepository.make(tmp_path / "project")
    user.write("deploy.py", f'import os\n\nTOKEN = "{TOKEN}"  # for releases\n')
    user.commit("deploy")
    told = to_its_end(stub, pb.CreateRunRequest(flow="flows/survey", workspace=pb.Workspace(path=str(user.folder))))
    run = told[-1].run
    found = stub.ListFindings(pb.ListFindingsRequest(parent=run.name), timeout=10).findings
    places = [place for one in found for place in one.evidence if place.path == "deploy.py" and MASKED in place.quote]
    report = stub.GetReport(pb.GetReportRequest(name=run.name), timeout=10)

    assert run.state == pb.Run.STATE_SUCCEEDED
    assert {place.status for place in places} == {pb.Evidence.STATUS_VERIFIED}
    assert places[0].quote == f'TOKEN = "{MASKED}"  # for releases'
    assert MASKED in report.markdown
    assert not [message for message in told if TOKEN in str(message)]
    assert TOKEN not in report.markdown + str(report.json)
    assert not files_with(TOKEN, pair.folder / "conductor")


def test_a_token_in_pieces_is_masked_in_every_channel_while_words_flow(
    stub: RunServiceStub, pair: Pair, tmp_path: Path
) -> None:
    pieces = [TOKEN[at : at + 5] for at in range(0, len(TOKEN), 5)]
    directives = [
        "token It is:",
        *(f"token {piece}" for piece in pieces),
        "token , he said.",
        f"log {TOKEN}",
        f"reason {TOKEN}",
        f"stderr {TOKEN}",
        f"deny {TOKEN}",
        f'json {{"type": "tool_call", "id": "1", "name": "read", "arguments": {{"token": "{TOKEN}"}}}}',
        f'json {{"type": "tool_result", "id": "1", "failed": false, "text": "{TOKEN}"}}',
        f'json {{"type": "unknown", "text": "{TOKEN}"}}',
    ]
    workspace = flows.plain_workspace(tmp_path / "w")
    told = to_its_end(stub, flows.request(workspace, flows.scripted("s", *directives)))
    said: dict[int, str] = {}
    for output in (message.output for message in told if message.HasField("output")):
        said[output.channel] = said.get(output.channel, "") + output.text

    assert said[pb.Output.CHANNEL_ANSWER] == f"It is:{MASKED}, he said."
    assert len(said) == 4
    for text in said.values():
        assert MASKED in text
        assert TOKEN[8:] not in text
