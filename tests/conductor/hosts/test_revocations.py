"""The list of revoked certificates reaches hosts, and by way of them other conductors. Keeps K3."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from agenthost.api.conductors import pool_door
from agenthost.api.host_servicer import HostServicer
from agenthost.v1 import host_service_pb2 as pb
from agenthost.v1 import host_service_pb2_grpc
from conductor.hosts.channels import HostChannel, HostChannels
from conductor.hosts.revocations import RevocationExchange
from servicekit.addresses import Address
from servicekit.server import Server
from servicekit.statuses import read_refusal
from servicekit.tls.credentials import WatchedFiles
from servicekit.tls.files import TlsFolder, read_bounded, write_whole
from servicekit.tls.issuing.authority import Authority, Issued, conductor_requests, host_request
from servicekit.tls.revocations import RevocationFile, Revoked, WatchedRevocations

POOL = "home"
ALPHA = host_request(POOL, "alpha")


class World:
    """A CA, a host that serves, and conductors that dial it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        self.ca = Authority.make(POOL, self.now)
        self.address = ""
        self.issued: dict[str, Issued] = {}
        self._write(self.host, self.ca.issue(ALPHA, self.now), self.host.serving().certificate)
        for name in ("a", "b"):
            _, calling = conductor_requests(POOL, name, name * 26, ())
            self.issued[name] = self.ca.issue(calling, self.now)
            self._write(self.conductor(name), self.issued[name], self.conductor(name).calling().certificate)

    @property
    def host(self) -> TlsFolder:
        return TlsFolder.of(self.folder / "h")

    def conductor(self, name: str) -> TlsFolder:
        return TlsFolder.of(self.folder / name)

    def _write(self, folder: TlsFolder, issued: Issued, certificate: Path) -> None:
        folder.prepare()
        write_whole(folder.ca, self.ca.certificate_pem)
        write_whole(certificate, issued.certificate)
        write_whole(certificate.with_name(f"{certificate.stem}-key.pem"), issued.key)

    def revoke(self, folder: TlsFolder, number: int, *revoked: Revoked, ca: Authority | None = None) -> None:
        write_whole(folder.revoked, (ca or self.ca).sign_list(revoked, number, self.now))

    def numbers(self) -> list[int]:
        """Returns the numbers of the lists of the host and of both conductors."""
        return [RevocationFile.of(each).read().number for each in (self.host, self.conductor("a"), self.conductor("b"))]

    @asynccontextmanager
    async def dialling(self, name: str) -> AsyncIterator[tuple[HostChannels, HostChannel, RevocationExchange]]:
        """Dials the host as a conductor does."""
        folder = self.conductor(name)
        exchange = RevocationExchange(POOL, RevocationFile.of(folder))
        channels = HostChannels(WatchedFiles(folder.calling()), exchange)
        channel = channels.open("alpha", self.address)
        assert isinstance(channel, HostChannel)
        try:
            yield channels, channel, exchange
        finally:
            await channel.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    revocations = WatchedRevocations(RevocationFile.of(made.host))
    door = pool_door(made.host.serving(), "alpha", revocations)
    servicer = HostServicer(None, None, None, revocations)  # type: ignore[arg-type] # it asks for nothing else
    registration = (host_service_pb2_grpc.add_HostServiceServicer_to_server, servicer)
    address = Address.parse("127.0.0.1:0")
    server = await Server.start(address, [registration], service="agenthost", admit=door.admit, tls=door.credentials)
    made.address = server.address.text
    try:
        yield made
    finally:
        await server.stop(0)


async def test_a_revocation_reaches_the_host_and_by_way_of_it_another_conductor(world: World) -> None:
    world.revoke(world.conductor("a"), 3, Revoked(77, None, world.now))

    async with world.dialling("a") as (_, channel, exchange), world.dialling("b") as (_, other, others):
        await exchange.exchange([channel])
        assert world.numbers() == [3, 3, 0]
        await others.exchange([other])
        assert world.numbers() == [3, 3, 3]
        world.revoke(world.conductor("b"), 2)  # as from an old copy of its folder
        await exchange.exchange([channel])
        assert world.numbers()[:2] == [3, 3]


async def test_a_host_is_asked_again_after_a_while_because_another_conductor_may_have_told_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.dialling("a") as (_, channel, exchange), world.dialling("b") as (_, other, others):
        await others.exchange([other])
        world.revoke(world.conductor("a"), 3, Revoked(77, None, world.now))
        await exchange.exchange([channel])
        await others.exchange([other])
        assert world.numbers() == [3, 3, 0]
        monkeypatch.setattr("conductor.hosts.revocations.ASK_AGAIN_SECONDS", 0.0)
        await others.exchange([other])
        assert world.numbers() == [3, 3, 3]


async def test_a_revoked_conductor_is_refused_from_the_next_call_on(world: World) -> None:
    async with world.dialling("a") as (_, channel, exchange), world.dialling("b") as (_, revoked, _):
        stub = host_service_pb2_grpc.HostServiceStub(revoked)  # type: ignore[call-overload]
        asked = pb.ExchangeRevocationsRequest(number=9)
        assert (await stub.ExchangeRevocations(asked)).number == 0
        world.revoke(world.conductor("a"), 1, Revoked(world.issued["b"].serial, None, world.now))
        await exchange.exchange([channel])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ExchangeRevocations(asked)

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "was revoked" in read_refusal(refused.value).message


async def test_a_list_that_the_pools_ca_did_not_sign_changes_nothing(world: World) -> None:
    forged = Authority.make(POOL, world.now).sign_list([], 9, world.now)

    async with world.dialling("a") as (_, channel, _):
        stub = host_service_pb2_grpc.HostServiceStub(channel)  # type: ignore[call-overload]
        for wrong in (forged, b"hello", b"x" * 2_000_000):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ExchangeRevocations(pb.ExchangeRevocationsRequest(number=9, list=wrong))
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert world.numbers() == [0, 0, 0]


async def test_a_host_that_is_removed_in_the_middle_of_an_exchange_ends_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def hang(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("agenthost.api.conductors.exchange", hang)
    async with world.dialling("a") as (_, channel, exchange):
        exchanging = asyncio.get_running_loop().create_task(exchange.exchange([channel]))
        await asked.wait()
        await channel.close()
        await exchanging
        await exchange.exchange([channel])  # a closed channel is no error either


async def test_a_revoked_host_is_not_dialled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC tells no serial of a server, so its name is refused with any key."""
    monkeypatch.setattr("conductor.hosts.channels.LOOK_SECONDS", 0.01)
    async with world.dialling("a") as (channels, channel, _):
        stub = host_service_pb2_grpc.HostServiceStub(channel)  # type: ignore[call-overload]
        await stub.ExchangeRevocations(pb.ExchangeRevocationsRequest())
        world.revoke(world.conductor("a"), 1, Revoked(5, ALPHA.identity, world.now))
        looking = asyncio.get_running_loop().create_task(channels.run())
        while not channel.is_shut:
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.ExchangeRevocations(pb.ExchangeRevocationsRequest(), timeout=5)
        told = await channels.explain("alpha", world.address)
        looking.cancel()

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert told == "its certificate was revoked; remove it:  conductor hosts remove alpha"


async def test_a_rotation_ends_on_the_host_with_the_new_cas_list(world: World) -> None:
    new = Authority.make(POOL, world.now)
    both = new.certificate_pem + world.ca.certificate_pem
    write_whole(world.host.ca, both)
    write_whole(world.conductor("a").ca, both)
    world.revoke(world.conductor("a"), 1, Revoked(world.ca.certificate.serial_number, None, world.now), ca=new)

    async with world.dialling("a") as (_, channel, exchange):
        await exchange.exchange([channel])

    assert read_bounded(world.host.ca) == new.certificate_pem
