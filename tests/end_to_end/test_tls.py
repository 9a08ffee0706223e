"""A conductor and a host that speak by TLS alone, seen from outside. Keeps K3."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import agenthost.cli
from agenthost.v1 import execution_service_pb2 as execution_pb
from agenthost.v1 import execution_service_pb2_grpc, snapshot_service_pb2_grpc
from agenthost.v1 import snapshot_service_pb2 as snapshot_pb
from conductor.cli.main import main
from conductor.cli.text.failure import NOT_AUTHORISED
from conductor.v1 import pool_service_pb2, pool_service_pb2_grpc, run_service_pb2_grpc, server_service_pb2_grpc
from conductor.v1.run_service_pb2 import GetStepRequest, ReadOutputRequest, Run, WatchRunRequest
from conductor.v1.server_service_pb2 import GetServerInfoRequest
from servicekit.statuses import Refusal, read_refusal
from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.files import TlsFolder, write_whole
from servicekit.tls.issuing.authority import LEAF_LIFE, Authority, conductor_requests
from servicekit.tls.issuing.bundle import Bundle, read_bundle
from tests.kit import flows
from tests.kit.services import Pair
from tests.kit.tls_pair import client_bundle, running_tls_pair, typed
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_tls_pair(tmp_path_factory.mktemp("tls")) as running:
        yield running


def conductor(pair: Pair, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conductor.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=pair.folder, check=False)


def test_a_run_goes_its_whole_way_by_tls(pair: Pair) -> None:
    workspace = flows.plain_workspace(pair.folder / "w")
    with pair.channel() as channel:
        runs = run_service_pb2_grpc.RunServiceStub(channel)
        created = runs.CreateRun(flows.request(workspace, flows.scripted("one", "say a")), timeout=30)
        told = list(runs.WatchRun(WatchRunRequest(name=created.name), timeout=60))

    assert told[-1].run.state == Run.STATE_SUCCEEDED


def test_a_bundle_says_where_the_conductor_is_and_lets_its_holder_in(pair: Pair) -> None:
    client_bundle(pair.folder, "ann", "viewer")

    listed = conductor(pair, "--bundle", "ann", "hosts")

    assert (listed.returncode, listed.stderr) == (0, "")
    assert "alpha" in listed.stdout


def test_a_token_serves_in_the_place_of_a_certificate(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["--bundle", str(pair.folder / "admin"), "tokens", "create", "ci", "--role", "viewer"]) == 0
    token = capsys.readouterr().out.split()[-1]
    ca = ("--address", pair.address, "--tls-ca", str(pair.folder / "conductor" / "tls" / "ca.pem"))
    ended = [main([*ca, "--token", given, "hosts"]) for given in (token, f"{token}x")]
    ended += [main([*ca, "hosts"]), main([*ca[:2], "--token", token, "hosts"])]
    ended.append(main([*ca, "--token", token, "cancel", "0" * 26]))
    told = capsys.readouterr()

    assert ended == [0, NOT_AUTHORISED, NOT_AUTHORISED, NOT_AUTHORISED, NOT_AUTHORISED]
    assert "alpha" in told.out
    for sentence in ("the token that the call brings is not valid here", "brings no token and no client certificate"):
        assert sentence in told.err
    assert "speaks TLS, and you gave no certificates" in told.err
    assert "CancelRun needs the role operator, and token:ci has the role viewer" in told.err
    assert token not in told.err


def test_a_host_and_its_conductor_take_no_call_without_a_certificate(pair: Pair) -> None:
    listen = pair.hosts["alpha"].arguments[5]
    for address in (pair.address, listen):
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
            pool_service_pb2_grpc.PoolServiceStub(channel).ListHosts(pool_service_pb2.ListHostsRequest(), timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def credentials(bundle: Bundle, *, of_server: bool = False) -> grpc.ChannelCredentials:
    pair = bundle.server if of_server else bundle.client
    assert pair is not None
    return grpc.ssl_channel_credentials(bundle.ca, pair.key, pair.certificate)


def test_a_conductor_cannot_act_with_the_id_of_another(pair: Pair) -> None:
    with pair.channel() as channel:
        info = server_service_pb2_grpc.ServerServiceStub(channel).GetServerInfo(GetServerInfoRequest(), timeout=10)
    out = pair.folder / "second"
    typed(["certs", "conductor", "second", "--data", str(pair.folder / "conductor"), "--out", str(out)])
    second = read_bundle(out.read_bytes(), str(out), datetime.now(UTC))
    override = [("grpc.ssl_target_name_override", "alpha.pool.host.invalid")]
    highest = 2**40
    with grpc.secure_channel(pair.hosts["alpha"].arguments[5], credentials(second), override) as channel:
        executions = execution_service_pb2_grpc.ExecutionServiceStub(channel)
        as_another = {"conductor_id": info.conductor_id, "epoch": highest}
        snapshots = snapshot_service_pb2_grpc.SnapshotServiceStub(channel)
        header = snapshot_pb.PushSnapshotRequest(header={"snapshot": "0" * 40, "conductor_id": info.conductor_id})
        own = {"conductor_id": second.identity.name, "epoch": 1}
        resumed = execution_pb.ExecuteRequest(resume={"execution": f"{'a' * 26}-one-1"}, **own)
        refusals = [
            refusal_of(lambda: executions.ListExecutions(execution_pb.ListExecutionsRequest(**as_another), timeout=10)),
            refusal_of(lambda: list(executions.Execute(iter([execution_pb.ExecuteRequest(**as_another)]), timeout=10))),
            refusal_of(lambda: snapshots.PushSnapshot(iter([header]), timeout=10)),
        ]
        unknown = refusal_of(lambda: list(executions.Execute(iter([resumed]), timeout=10)))
        listed = executions.ListExecutions(execution_pb.ListExecutionsRequest(**own), timeout=10)

    assert {(refusal.code, refusal.reason) for refusal in refusals} == {("PERMISSION_DENIED", "OTHER_CONDUCTOR")}
    assert unknown.reason == "EXECUTION_NOT_FOUND"
    assert list(listed.executions) == []
    assert str(highest) not in (pair.folder / "alpha" / "fences.jsonl").read_text()
    test_a_run_goes_its_whole_way_by_tls(pair)


def test_a_stolen_key_of_a_host_lets_nobody_in(pair: Pair) -> None:
    stolen = read_bundle((pair.folder / "alpha.agenthost").read_bytes(), "alpha.agenthost", datetime.now(UTC))
    for address, name in ((pair.hosts["alpha"].arguments[5], "alpha.pool.host.invalid"), (pair.address, "localhost")):
        override = [("grpc.ssl_target_name_override", name)]
        with grpc.secure_channel(address, credentials(stolen, of_server=True), override) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            refused = refusal_of(lambda: health.Check(health_pb2.HealthCheckRequest(), timeout=5))  # noqa: B023
        assert refused.code == "UNAVAILABLE"


def refusal_of(call: Callable[[], object]) -> Refusal:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return read_refusal(refused.value)


@pytest.mark.long
def test_all_certificates_are_renewed_under_a_run_that_loses_nothing(pair: Pair) -> None:
    """The conductor's and the host's certificates and the CA are replaced; words are written all the while."""
    workspace = flows.plain_workspace(pair.folder / "w")
    data = str(pair.folder / "conductor")
    words = [line for number in range(40) for line in (f"say {number}", "sleep 0.3")]
    with pair.channel() as channel:
        runs = run_service_pb2_grpc.RunServiceStub(channel)
        created = runs.CreateRun(flows.request(workspace, flows.scripted("one", *words)), timeout=30)
        watched = runs.WatchRun(WatchRunRequest(name=created.name), timeout=90)
        typed(["certs", "renew", "--data", data, "--all", "--out", str(pair.folder / "renewed")])
        (bundle,) = (pair.folder / "renewed").glob("*alpha*")
        assert agenthost.cli.main(["join", str(bundle), "--data", str(pair.folder / "alpha")]) == 0
        told = list(watched)
        step = runs.GetStep(GetStepRequest(name=f"{created.name}/steps/one"), timeout=10)
        output = "".join(part.text for part in runs.ReadOutput(ReadOutputRequest(name=step.name), timeout=10))

    assert told[-1].run.state == Run.STATE_SUCCEEDED
    assert len(step.attempts) == 1
    assert [int(line) for line in output.splitlines()] == list(range(40))
    assert "certificate_taken_up" in pair.conductor.log.read_text()


@pytest.mark.long
def test_a_conductor_whose_certificate_ends_under_a_run_loses_nothing(pair: Pair) -> None:
    """The host ends its streams and says why; with another certificate they go on where they were."""
    data, words = pair.folder / "conductor", [f"say {number}\nsleep 0.4" for number in range(90)]
    with pair.channel() as channel:
        runs = run_service_pb2_grpc.RunServiceStub(channel)
        pool = pool_service_pb2_grpc.PoolServiceStub(channel)
        created = runs.CreateRun(
            flows.request(flows.plain_workspace(pair.folder / "w"), flows.scripted("one", *words)), timeout=30
        )
        watched = runs.WatchRun(WatchRunRequest(name=created.name), timeout=120)
        give_short_certificate(data, timedelta(seconds=8))

        def problem() -> str:
            return pool.ListHosts(pool_service_pb2.ListHostsRequest(), timeout=10).hosts[0].problem

        wait_until(lambda: "certificate" in problem() and "ended at" in problem(), 40)
        typed(["certs", "renew", "--data", str(data), "--all"])
        told = list(watched)
        step = runs.GetStep(GetStepRequest(name=f"{created.name}/steps/one"), timeout=10)
        output = "".join(part.text for part in runs.ReadOutput(ReadOutputRequest(name=step.name), timeout=10))

    assert told[-1].run.state == Run.STATE_SUCCEEDED
    assert len(step.attempts) == 1
    assert [int(line) for line in output.splitlines()] == list(range(90))


def give_short_certificate(data: Path, life: timedelta) -> None:
    """Gives the conductor a certificate for calling hosts that ends soon."""
    folder = TlsFolder.of(data)
    ca = Authority.load(read_certificates(folder.ca.read_bytes()), folder.ca_key.read_bytes())
    own = facts_of(read_certificates(folder.calling().certificate.read_bytes())[0])
    assert own.identity is not None
    _, calling = conductor_requests(own.identity.pool, "conductor", own.identity.name, ())
    issued = ca.issue(calling, datetime.now(UTC) + life - LEAF_LIFE)
    write_whole(folder.calling().key, issued.key)
    write_whole(folder.calling().certificate, issued.certificate)
