"""A host's door lets in conductors of its own pool, and no other caller. Keeps K3."""

from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.statuses import read_refusal
from servicekit.tls.credentials import channel_credentials
from servicekit.tls.files import TlsFiles
from tests.kit.tls_servers import ALPHA, ANN, BETA, CALLING, EARLY, ENDED, SERVING, Pool, running_servers

STRANGER = replace(CALLING.identity, pool="another")
# Of a PKI that gives a certificate every usage.
CLIENT_FOR_ALL = replace(BETA, usage="clientAuth")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return Pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="module")
def callers(pool: Pool) -> dict[str, TlsFiles]:
    return {
        "a conductor": pool.files("calling", CALLING),
        "a client": pool.files("ann", ANN),
        "a host with a certificate for calling": pool.files("beta", CLIENT_FOR_ALL),
        "a conductor of another pool": pool.files("stranger", replace(CALLING, identity=STRANGER)),
        "a revoked conductor": pool.files("revoked", CALLING),
        "a host": pool.files("alpha-stolen", ALPHA),
        "what a conductor serves with": pool.files("serving", SERVING),
        "a conductor of another CA": pool.files("foreign", CALLING, of=pool.other),
        "a conductor whose certificate ended": pool.files("ended", CALLING, after=ENDED),
        "a conductor whose certificate begins later": pool.files("early", CALLING, after=EARLY),
    }


@pytest.fixture(scope="module")
def address(pool: Pool, callers: dict[str, TlsFiles]) -> Iterator[str]:
    assert callers
    with running_servers(pool.folder) as servers:
        yield servers.host(pool.files("alpha", ALPHA), {pool.serials["revoked"]})


@pytest.mark.parametrize(
    ("caller", "code", "reason", "message"),
    [
        ("a conductor", "OK", "", ""),
        ("a client", "PERMISSION_DENIED", "ROLE_NOT_ALLOWED", "this is the client 'ann'"),
        ("a host with a certificate for calling", "PERMISSION_DENIED", "ROLE_NOT_ALLOWED", "this is the host 'beta'"),
        (
            "a conductor of another pool",
            "UNAUTHENTICATED",
            "UNAUTHENTICATED",
            "of the pool 'another', and this is 'home'",
        ),
        ("a revoked conductor", "UNAUTHENTICATED", "UNAUTHENTICATED", "was revoked"),
        ("a host", "UNAVAILABLE", "", ""),
        ("what a conductor serves with", "UNAVAILABLE", "", ""),
        ("a conductor of another CA", "UNAVAILABLE", "", ""),
        ("a conductor whose certificate ended", "UNAVAILABLE", "", ""),
        ("a conductor whose certificate begins later", "UNAVAILABLE", "", ""),
    ],
)
def test_conductors_of_the_pool_alone_are_let_in(  # noqa: PLR0917 - a row of the table
    caller: str, code: str, reason: str, message: str, callers: dict[str, TlsFiles], address: str
) -> None:
    options = [("grpc.ssl_target_name_override", ALPHA.identity.server_name), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(address, channel_credentials(callers[caller].read()), options) as channel:
        try:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            met = ("OK", "", "")
        except grpc.RpcError as error:
            refusal = read_refusal(error)
            met = (refusal.code, refusal.reason, refusal.message)

    assert met[:2] == (code, reason)
    assert message in met[2]
