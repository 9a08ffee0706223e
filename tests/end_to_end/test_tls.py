"""A conductor and a host that speak by TLS alone, seen from outside. Keeps K3."""

import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest

from conductor.v1 import pool_service_pb2, pool_service_pb2_grpc, run_service_pb2_grpc
from conductor.v1.run_service_pb2 import Run, WatchRunRequest
from tests.kit import flows
from tests.kit.services import Pair
from tests.kit.tls_pair import client_bundle, running_tls_pair

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


def test_a_host_and_its_conductor_take_no_call_without_a_certificate(pair: Pair) -> None:
    listen = pair.hosts["alpha"].arguments[5]
    for address in (pair.address, listen):
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
            pool_service_pb2_grpc.PoolServiceStub(channel).ListHosts(pool_service_pb2.ListHostsRequest(), timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
