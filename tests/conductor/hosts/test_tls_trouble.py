"""Wrong certificates between a conductor and a host, over real sockets: what `conductor hosts` says. Keeps K3."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conductor.hosts.channels import HostChannels
from conductor.hosts.liveness import TLS_FAILED
from conductor.hosts.tls_trouble import tls_trouble
from servicekit.tls.credentials import WatchedFiles
from tests.kit.tls_servers import ALPHA, BETA, CALLING, EARLY, ENDED, SERVING, Pool, running_servers

Addresses = dict[str, str]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return Pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="module")
def hosts(pool: Pool) -> Iterator[Addresses]:
    """Hosts, by what is wrong with them."""
    with running_servers(pool.folder) as servers:
        yield {
            "good": servers.host(pool.files("alpha", ALPHA)),
            "without TLS": servers.host(None),
            "ended": servers.host(pool.files("alpha-ended", ALPHA, after=ENDED)),
            "early": servers.host(pool.files("alpha-early", ALPHA, after=EARLY)),
            "another": servers.host(pool.files("beta", BETA)),
            "of another CA": servers.host(pool.files("alpha-foreign", ALPHA, of=pool.other)),
            "trusting another CA": servers.host(pool.files("alpha-stranger", ALPHA, ca=pool.other)),
        }


@pytest.fixture(scope="module")
def conductors(pool: Pool) -> dict[str, WatchedFiles | None]:
    """The certificates of conductors, by what is wrong with them."""
    return {
        "good": WatchedFiles(pool.files("calling", CALLING)),
        "ended": WatchedFiles(pool.files("calling-ended", CALLING, after=ENDED)),
        "early": WatchedFiles(pool.files("calling-early", CALLING, after=EARLY)),
        "for serving": WatchedFiles(pool.files("calling-serving", SERVING)),
        "nothing": None,
    }


TROUBLES = [
    ("good", "without TLS", "speaks no TLS at 127.0.0.1:", "agenthost join alpha.agenthost"),
    ("good", "ended", "its certificate ended at", "conductor certs host alpha --address 127.0.0.1:"),
    ("good", "early", "its certificate begins at", "date -u"),
    (
        "good",
        "another",
        "shows the certificate of host 'beta', not of host 'alpha'",
        "agenthost join alpha.agenthost",
    ),
    ("good", "of another CA", "its certificate is of another CA", "agenthost join alpha.agenthost"),
    ("good", "trusting another CA", "refuses this conductor's certificate", "agenthost join alpha.agenthost"),
    ("ended", "good", "this conductor's certificate ended at", "conductor certs renew"),
    ("early", "good", "this conductor's certificate begins at", "date -u"),
    ("for serving", "good", "this conductor's certificate is not for calling", "conductor certs renew"),
    ("nothing", "good", "and this conductor has no certificates", "conductor certs init"),
]


@pytest.mark.parametrize(("conductor", "host", "sentence", "command"), TROUBLES)
def test_each_trouble_is_one_sentence_with_the_command_that_mends_it(  # noqa: PLR0917 - a row of the table
    conductor: str,
    host: str,
    sentence: str,
    command: str,
    conductors: dict[str, WatchedFiles | None],
    hosts: Addresses,
) -> None:
    told = tls_trouble("alpha", hosts[host], conductors[conductor])

    assert sentence in told
    assert command in told
    assert "\n" not in told
    assert ("the clock here says" in told) == ("ended" in told or "begins" in told)


@pytest.mark.parametrize(("conductor", "host"), [row[:2] for row in TROUBLES])
async def test_what_grpc_says_of_each_makes_the_conductor_look_for_the_cause(
    conductor: str, host: str, conductors: dict[str, WatchedFiles | None], hosts: Addresses
) -> None:
    channels = HostChannels(conductors[conductor])
    channel = channels.open("alpha", hosts[host])
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    await channel.close()

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert TLS_FAILED.search(failed.value.details() or ""), failed.value.details()
    assert await channels.explain("alpha", hosts[host])


def test_no_trouble_is_told_where_there_is_none(
    conductors: dict[str, WatchedFiles | None], hosts: Addresses, tmp_path: Path
) -> None:
    assert tls_trouble("alpha", hosts["good"], conductors["good"]) == ""
    assert tls_trouble("alpha", hosts["without TLS"], None) == ""
    assert tls_trouble("alpha", "127.0.0.1:1", conductors["good"]) == ""
