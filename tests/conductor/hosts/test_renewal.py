"""A conductor with the CA renews its own certificates and those of its hosts, whose keys never leave them. Keeps K3."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from agenthost.api.conductors import pool_door
from agenthost.api.host_servicer import HostServicer
from agenthost.api.renewal import CertificateRenewal
from agenthost.v1 import host_service_pb2 as pb
from agenthost.v1 import host_service_pb2_grpc
from conductor.hosts.channels import HostChannel, HostChannels
from conductor.hosts.renewal import Renewal
from conductor.maintenance.certificates.attendance import Attendance
from conductor.maintenance.certificates.pool import PoolCertificates, make_pool
from conductor.maintenance.certificates.register import read_register
from servicekit.addresses import Address
from servicekit.server import Server
from servicekit.statuses import read_refusal
from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.credentials import WatchedFiles
from servicekit.tls.files import TlsFolder, locked, read_bounded
from servicekit.tls.issuing.authority import Authority, host_request, make_signing_request, read_signing_request
from servicekit.tls.issuing.bundle import read_bundle
from servicekit.tls.issuing.joining import join
from servicekit.tls.revocations import RevocationFile, WatchedRevocations

ID = "0123456789abcdef0123456789"


class World:
    """A conductor with the CA and a host, whose certificates end in 20 days."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC)
        then = self.now - timedelta(days=70)
        self.data, self.own, self.host = folder / "c", TlsFolder.of(folder / "c"), TlsFolder.of(folder / "h")
        make_pool(self.own, "home", "study", (), then)
        certificates = PoolCertificates(self.own, then)
        certificates.equip(ID)
        data = certificates.host("alpha", ("127.0.0.1:7420",)).data
        join(read_bundle(data, "alpha.agenthost", then), self.host)
        self.attendance = Attendance(self.data, ID)
        self.address = ""

    def days_left(self, folder: TlsFolder) -> int:
        end = facts_of(read_certificates(folder.serving().checked().certificate)[0]).not_after
        return round((end - self.now) / timedelta(days=1))

    @asynccontextmanager
    async def dialling(self) -> AsyncIterator[HostChannel]:
        channel = HostChannels(WatchedFiles(self.own.calling())).open("alpha", self.address)
        assert isinstance(channel, HostChannel)
        try:
            yield channel
        finally:
            await channel.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    revocations = WatchedRevocations(RevocationFile.of(made.host))
    door = pool_door(made.host.serving(), "alpha", revocations)
    servicer = HostServicer(None, None, None, revocations, renewal=CertificateRenewal(made.host))  # type: ignore[arg-type]
    registration = (host_service_pb2_grpc.add_HostServiceServicer_to_server, servicer)
    address = Address.parse("127.0.0.1:0")
    server = await Server.start(address, [registration], service="agenthost", admit=door.admit, tls=door.credentials)
    made.address = server.address.text
    try:
        yield made
    finally:
        await server.stop(0)


async def test_what_ends_within_thirty_days_is_renewed_once(world: World) -> None:
    renewal = Renewal(world.attendance.renew_own, world.attendance.sign)
    key = read_bounded(world.host.serving().key)
    async with world.dialling() as channel:
        channel.end = (world.now + timedelta(days=40)).timestamp()
        await renewal.renew([channel])
        early = world.days_left(world.host)
        channel.end = (world.now + timedelta(days=20)).timestamp()
        await renewal.renew([channel])
        renewed = read_bounded(world.host.serving().certificate)
        await renewal.renew([channel])
        async with world.dialling() as another:  # it is served to new connections
            await host_service_pb2_grpc.HostServiceStub(another).RenewCertificate(pb.RenewCertificateRequest())  # type: ignore[call-overload]

    assert (early, world.days_left(world.host), world.days_left(world.own)) == (20, 90, 90)
    assert read_bounded(world.host.serving().certificate) == renewed
    assert read_bounded(world.host.serving().key) != key
    assert channel.next_look == 0.0
    entries = [entry for entry in read_register(world.own).entries if entry.name == "alpha"]
    assert [entry.addresses for entry in entries] == [("127.0.0.1:7420",)] * 2
    assert facts_of(read_certificates(renewed)[0]).serial == entries[-1].serial


async def test_a_host_takes_no_certificate_but_its_own_of_its_ca_for_its_newest_key(world: World) -> None:
    other_ca, now = Authority.make("home", world.now), world.now
    ca = PoolCertificates(world.own, now).authority
    before = world.host.serving().read()
    async with world.dialling() as channel:
        stub = host_service_pb2_grpc.HostServiceStub(channel)  # type: ignore[call-overload]

        async def refused(make: object) -> str:
            request = (await stub.RenewCertificate(pb.RenewCertificateRequest())).signing_request
            pem = make(read_signing_request(request))  # type: ignore[operator]
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stub.RenewCertificate(pb.RenewCertificateRequest(certificate=pem))
            return read_refusal(error.value).message

        alpha, beta = host_request("home", "alpha"), host_request("home", "beta")
        foreign = read_signing_request(make_signing_request("alpha")[1])
        told = [
            await refused(lambda key: other_ca.issue(alpha, now, key).certificate),
            await refused(lambda key: ca.issue(beta, now, key).certificate),
            await refused(lambda _: ca.issue(alpha, now, foreign).certificate),
            await refused(lambda key: ca.issue(alpha, now - timedelta(days=71), key).certificate),
            await refused(lambda key: ca.issue(alpha, now + timedelta(days=9), key).certificate),
            await refused(lambda key: ca.issue(alpha, now, key).certificate + ca.certificate_pem),
            await refused(lambda _: b"hello"),
        ]

    for text, why in zip(
        told, ("no CA", "another name", "newest request", "later", "valid now", "comes with others", "PEM"), strict=True
    ):
        assert why in text
    assert world.host.serving().read() == before


async def test_a_spoilt_folder_is_told_and_ends_nothing(world: World) -> None:
    renewal = Renewal(world.attendance.renew_own, world.attendance.sign)
    world.own.serving().certificate.write_bytes(b"spoilt")
    world.own.issued.write_bytes(b"{}")
    with capture_logs() as logs:
        async with world.dialling() as channel:
            channel.end = (world.now + timedelta(days=20)).timestamp()
            await renewal.renew([channel])
            await renewal.renew([channel])

    assert [line["event"] for line in logs if "renewed" in line["event"]] == [
        "certificate_not_renewed",
        "host_not_renewed",
    ]


def test_nothing_is_signed_for_strangers_for_the_revoked_or_while_the_ca_is_replaced(tmp_path: Path) -> None:
    from conductor.maintenance.certificates import rotation
    from conductor.maintenance.certificates.renewal import find_certificates, revoke
    from servicekit.tls.files import TlsError

    world = World(tmp_path)
    _, request = make_signing_request("beta")
    for host, wrong, why in (("beta", request, "no certificate of this CA"), ("alpha", b"hello", "no request to sign")):
        with pytest.raises(TlsError, match=why):
            world.attendance.sign(host, wrong)
    with locked(world.own.path):
        certificates = PoolCertificates(world.own, world.now)
        revoke(certificates, find_certificates(certificates.register, "alpha", world.now))
    with pytest.raises(TlsError, match="no certificate of this CA"):
        world.attendance.sign("alpha", request)
    with locked(world.own.path):
        rotation.begin(PoolCertificates(world.own, world.now))
    with pytest.raises(TlsError, match="is being replaced"):
        world.attendance.sign("alpha", request)
    assert world.attendance.renew_own() is None
