"""Channels to hosts by TLS: calls go on while certificates are replaced, revoked or end. Keeps K3."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conductor.hosts.channels import HostChannels
from conductor.hosts.revocations import RevocationExchange
from servicekit.statuses import read_refusal
from servicekit.tls.credentials import WatchedFiles
from servicekit.tls.files import TlsError
from servicekit.tls.issuing.authority import LEAF_LIFE
from servicekit.tls.revocations import RevocationFile
from tests.kit.tls_servers import ALPHA, CALLING, Pool, Servers, running_servers
from tests.kit.waiting import until

CHECK = health_pb2.HealthCheckRequest()


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path)


@pytest.fixture
def servers(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    monkeypatch.setattr("conductor.hosts.channels.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("servicekit.server.SWEEP_SECONDS", 0.05)
    with running_servers(pool.folder) as running:
        yield running


@asynccontextmanager
async def watching(channels: HostChannels) -> AsyncIterator[None]:
    looking = asyncio.ensure_future(channels.run())
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def test_calls_take_a_new_certificate_up_and_the_old_one_is_needed_no_longer(
    pool: Pool, servers: Servers
) -> None:
    revoked: set[int] = set()
    address = servers.host(pool.files("alpha", ALPHA), revoked)
    channels = HostChannels(WatchedFiles(pool.files("calling", CALLING)))
    channel = channels.open("alpha", address)
    health = health_pb2_grpc.HealthStub(channel)
    async with watching(channels), asyncio.timeout(20):
        stream = health.Watch(CHECK)
        assert (await stream.read()).status == health_pb2.HealthCheckResponse.SERVING
        old = pool.serials["calling"]
        pool.files("calling", CALLING)
        with pytest.raises(asyncio.CancelledError):
            await stream.read()
        revoked.add(old)
        again = health.Watch(CHECK)
        assert (await again.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert (await health.Check(CHECK)).status == health_pb2.HealthCheckResponse.SERVING

        revoked.add(pool.serials["calling"])
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await again.read()
    await channel.close()

    assert read_refusal(ended.value).reason == "UNAUTHENTICATED"
    assert f"the certificate of conductor '{CALLING.identity.name}' was revoked" in read_refusal(ended.value).message


async def test_a_stream_does_not_outlive_the_hosts_certificate(pool: Pool, servers: Servers) -> None:
    address = servers.host(pool.files("alpha", ALPHA, after=timedelta(seconds=1.5) - LEAF_LIFE))
    channels = HostChannels(WatchedFiles(pool.files("calling", CALLING)))
    channel = channels.open("alpha", address)
    health = health_pb2_grpc.HealthStub(channel)
    async with watching(channels), asyncio.timeout(20):
        stream = health.Watch(CHECK)
        assert (await stream.read()).status == health_pb2.HealthCheckResponse.SERVING
        await until(lambda: channels.certificate_end("alpha") is not None)
        with pytest.raises(asyncio.CancelledError):
            await stream.read()
        with pytest.raises(grpc.aio.AioRpcError):
            await health.Check(CHECK)
        problem = await channels.explain("alpha", address)

        pool.files("alpha", ALPHA)
        answer = await health.Check(CHECK, wait_for_ready=True)
    await channel.close()

    assert "its certificate ended at" in problem
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_host_that_is_removed_in_the_middle_of_a_call_stops_nothing_else(pool: Pool, servers: Servers) -> None:
    looked_at, called = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if looked_at.is_set():
            called.set()
            await reader.read()
        looked_at.set()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    files = pool.files("calling", CALLING)
    exchange = RevocationExchange(CALLING.identity.pool, RevocationFile(pool.folder / "crl.pem", files.ca))
    channels = HostChannels(WatchedFiles(files), exchange)
    beta = channels.open("beta", f"127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    alpha: Any = channels.open("alpha", servers.host(pool.files("alpha", ALPHA)))
    async with watching(channels), asyncio.timeout(20):
        await called.wait()
        await beta.close()
        pool.files("calling", CALLING)
        await until(lambda: alpha.generation > 0)
        assert channels.certificate_end("alpha") is not None
    await alpha.close()
    alpha.open_again()
    silent.close()

    assert alpha.generation == 1
    assert channels.certificate_end("alpha") is None


def test_another_machine_is_not_dialled_without_certificates() -> None:
    with pytest.raises(TlsError, match="is another machine, which needs TLS"):
        HostChannels().open("alpha", "192.168.1.5:7420")
