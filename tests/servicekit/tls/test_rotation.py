"""Certificates are replaced while a service serves. Keeps K3."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.tls.credentials import WatchedFiles, require_own
from servicekit.tls.diagnosis import Caller, trusted_facts
from servicekit.tls.files import TlsError, TlsFiles, write_whole
from servicekit.tls.identity import Kind
from servicekit.tls.issuing.authority import Request
from tests.kit.tls_servers import ALPHA, ANN, BETA, CALLING, ENDED, ID, SERVING, Pool, Servers, running_servers


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path)


@pytest.fixture
def servers(pool: Pool) -> Iterator[Servers]:
    with running_servers(pool.folder) as running:
        yield running


def caller(pool: Pool, files: TlsFiles, name: str) -> Caller:
    material = files.read()
    return Caller(pool.ca.certificate_pem + pool.other.certificate_pem, material.certificate, material.key, name)


def shown_at(address: str, by: Caller) -> int:
    facts = trusted_facts(address, by)
    assert facts is not None
    return facts.serial


def test_a_server_shows_a_new_certificate_from_the_next_connection_on(pool: Pool, servers: Servers) -> None:
    for address, request, by in (
        (servers.host(pool.files("alpha", ALPHA)), ALPHA, caller(pool, pool.files("calling", CALLING), "")),
        (servers.conductor(pool.files("study", SERVING)), SERVING, caller(pool, pool.files("ann", ANN), "")),
    ):
        named = Caller(by.ca, by.certificate, by.key, request.identity.server_name)
        name = request.label
        before = shown_at(address, named)
        assert before == pool.serials[name]

        pool.files(name, request)
        renewed = shown_at(address, named)
        (pool.folder / f"{name}-key.pem").write_bytes(b"half a file")
        torn = shown_at(address, named)
        pool.files(name, BETA)
        of_another_member = shown_at(address, named)
        again = pool.files(name, request)

        assert renewed != before
        assert (torn, of_another_member) == (renewed, renewed)
        assert shown_at(address, named) == pool.serials[name]
        assert again.ca.exists()


def test_a_stream_outlives_the_change_and_a_new_ca_counts_for_the_next_connection(pool: Pool, servers: Servers) -> None:
    files = pool.files("study", SERVING)
    address, ann, new_ann = servers.conductor(files), pool.files("ann", ANN), pool.files("ann2", ANN, of=pool.other)

    def channel(own: TlsFiles) -> grpc.Channel:
        material = own.read()
        trusted = pool.ca.certificate_pem + pool.other.certificate_pem
        credentials = grpc.ssl_channel_credentials(trusted, material.key, material.certificate)
        return grpc.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)])

    with channel(ann) as old, channel(new_ann) as new:
        watched = health_pb2_grpc.HealthStub(old).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as refused:
            health_pb2_grpc.HealthStub(new).Check(health_pb2.HealthCheckRequest(), timeout=10)
        write_whole(files.ca, pool.other.certificate_pem + pool.ca.certificate_pem)

        answer = health_pb2_grpc.HealthStub(new).Check(health_pb2.HealthCheckRequest(), timeout=10, wait_for_ready=True)

        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert watched.is_active()
        watched.cancel()
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_service_refuses_at_its_start_what_its_peers_would_refuse(
    pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(request: Request, kind: Kind, name: str, usage: str) -> str:
        watched = WatchedFiles(pool.files("tried", request))
        with pytest.raises(TlsError) as error:
            require_own(watched, kind, name, usage)
        return str(error.value)

    nameless = replace(ALPHA, names=("192.168.1.5",))
    assert "is the certificate of conductor://home/host/beta" in refused(BETA, Kind.HOST, "alpha", "serverAuth")
    assert "is the certificate of conductor://home/client/ann" in refused(ANN, Kind.CONDUCTOR, ID, "clientAuth")
    assert "lacks serverAuth" in refused(CALLING, Kind.CONDUCTOR, ID, "serverAuth")
    assert "lacks the DNS name alpha.home.host.invalid" in refused(nameless, Kind.HOST, "alpha", "serverAuth")
    require_own(WatchedFiles(pool.files("good", ALPHA)), Kind.HOST, "alpha", "serverAuth")
    said_nothing = capsys.readouterr().out
    require_own(WatchedFiles(pool.files("ended", ALPHA, after=ENDED)), Kind.HOST, "alpha", "serverAuth")

    assert said_nothing == ""
    assert "certificate_ends" in capsys.readouterr().out
