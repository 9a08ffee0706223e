"""A pool's CA is replaced, and a client revoked, while a run goes on by TLS; seen from outside. Keeps K3."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

import agenthost.cli
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.run_service_pb2 import GetStepRequest, ListRunsRequest, ReadOutputRequest, Run, WatchRunRequest
from servicekit.statuses import read_refusal
from servicekit.tls.certificates import read_certificates
from servicekit.tls.files import TlsFolder
from tests.kit import flows
from tests.kit.services import OPTIONS, Pair
from tests.kit.tls_pair import client_bundle, credentials_of, running_tls_pair, typed
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(180)]
WORDS = 50


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_tls_pair(tmp_path_factory.mktemp("tls")) as running:
        yield running


def conductor(pair: Pair, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conductor.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=pair.folder, check=False)


def talk(pair: Pair, channel: grpc.Channel) -> Run:
    """Starts a run whose agent talks for twenty seconds."""
    workspace = flows.plain_workspace(pair.folder / "w")
    words = [line for number in range(WORDS) for line in (f"say {number}", "sleep 0.4")]
    runs = run_service_pb2_grpc.RunServiceStub(channel)
    run: Run = runs.CreateRun(flows.request(workspace, flows.scripted("one", *words)), timeout=30)
    return run


def test_a_ca_is_replaced_under_a_run_that_loses_nothing(pair: Pair) -> None:
    data, new = str(pair.folder / "conductor"), pair.folder / "new"
    host, own = TlsFolder.of(pair.folder / "alpha"), TlsFolder.of(pair.folder / "conductor")
    with pair.channel() as channel:
        run = talk(pair, channel)
        typed(["certs", "rotate-ca", "--data", data, "--out", str(new)])
        assert agenthost.cli.main(["join", str(new / "alpha.agenthost"), "--data", str(pair.folder / "alpha")]) == 0
        assert conductor(pair, "--bundle", "new/admin.client", "runs").returncode == 0
        typed(["certs", "rotate-ca", "--finish", "--data", data])
        wait_until(lambda: len(read_certificates(host.ca.read_bytes())) == 1, 30)
    former = conductor(pair, "--bundle", "admin", "runs")
    watched = conductor(pair, "--bundle", "new/admin.client", "watch", run.name)
    hosts = conductor(pair, "--bundle", "new/admin.client", "hosts")
    output = conductor(pair, "--bundle", "new/admin.client", "output", run.name, "one")

    assert host.ca.read_bytes() == own.ca.read_bytes()
    assert (former.returncode, "another CA" in former.stderr) == (69, True), former.stderr
    assert watched.returncode == 0, watched.stderr
    assert [int(line) for line in output.stdout.splitlines()] == list(range(WORDS))
    assert "ready" in hosts.stdout
    assert "certificate_taken_up" in pair.conductor.log.read_text()


def test_what_a_revoked_client_watches_ends_and_the_run_goes_on(pair: Pair) -> None:
    ann = client_bundle(pair.folder, "ann", "operator")
    with grpc.secure_channel(pair.address, credentials_of(ann), OPTIONS) as channel:
        runs = run_service_pb2_grpc.RunServiceStub(channel)
        run = talk(pair, channel)
        watched = runs.WatchRun(WatchRunRequest(name=run.name), timeout=90)
        next(watched)
        typed(["certs", "revoke", "ann", "--data", str(pair.folder / "conductor")])
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as ended:
            list(watched)
        seconds = time.monotonic() - began
        with pytest.raises(grpc.RpcError) as refused:
            runs.ListRuns(ListRunsRequest(), timeout=10)

    for error in (ended, refused):
        assert read_refusal(error.value).reason == "UNAUTHENTICATED"
        assert "the certificate of client 'ann' was revoked" in read_refusal(error.value).message
    assert seconds < 12
    with pair.channel() as channel:
        runs = run_service_pb2_grpc.RunServiceStub(channel)
        told = list(runs.WatchRun(WatchRunRequest(name=run.name), timeout=90))
        step = runs.GetStep(GetStepRequest(name=f"{run.name}/steps/one"), timeout=10)
        output = "".join(part.text for part in runs.ReadOutput(ReadOutputRequest(name=step.name), timeout=10))
    assert told[-1].run.state == Run.STATE_SUCCEEDED
    assert len(step.attempts) == 1
    assert [int(line) for line in output.splitlines()] == list(range(WORDS))


def test_what_ends_soon_is_renewed_by_the_services_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool was made 70 days ago."""
    then = datetime.now(UTC) - timedelta(days=70)
    for module in ("pool_folder", "issuing"):
        monkeypatch.setattr(f"conductor.cli.commands.certs.{module}.now", lambda: then)
    with running_tls_pair(tmp_path) as pair:
        wait_until(lambda: "host_renewed" in pair.conductor.log.read_text(), 30)
        listed = conductor(pair, "certs", "list", "--data", "conductor")
        hosts = conductor(pair, "--bundle", "admin", "hosts")

    assert "certificate_renewed" in pair.conductor.log.read_text()
    assert [line.split()[1] for line in listed.stdout.splitlines() if line.startswith("✔")] == ["conductor"] * 2 + [
        "host"
    ]
    assert "1 member to renew" in listed.stderr, "the admin's own bundle is for a person to carry"
    assert "ready" in hosts.stdout
