"""An admin revokes certificates over the API, as `conductor certs revoke` does in the conductor's folder. Keeps K3."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conductor.cli.main import main
from conductor.maintenance.certificates.register import Entry, read_register
from conductor.v1 import access_service_pb2 as pb
from servicekit.tls.files import TlsFolder
from servicekit.tls.revocations import RevocationFile
from tests.conductor.running_conductor import Running, refusal, running_conductor

pytestmark = pytest.mark.processes


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_conductor(tmp_path) as running:
        yield running


def data_of(running: Running) -> Path:
    return running.workspace.with_name("data")


def certs(running: Running, *words: str) -> None:
    assert main(["certs", *words, "--data", str(data_of(running))]) == 0


def entries(running: Running, name: str) -> list[Entry]:
    return [entry for entry in read_register(TlsFolder.of(data_of(running))).entries if entry.name == name]


async def revoke(running: Running, certificate: str) -> pb.RevokeCertificateResponse:
    return await running.access.RevokeCertificate(pb.RevokeCertificateRequest(certificate=certificate))


async def test_certificates_are_revoked_and_listed_by_page(it: Running, tmp_path: Path) -> None:
    await asyncio.to_thread(certs, it, "init", "--pool", "home")
    for name in ("ann", "bob", "cid"):
        out = str(tmp_path / name)
        await asyncio.to_thread(certs, it, "client", name, "--role", "viewer", "--out", out)
    serials = {name: f"{entries(it, name)[0].serial:040x}" for name in ("ann", "bob", "cid")}

    ann = await revoke(it, "client/ann")
    again = await revoke(it, "ann")
    bob = await revoke(it, serials["bob"][:12])
    first = await it.access.ListRevocations(pb.ListRevocationsRequest(page_size=1))
    second = await it.access.ListRevocations(pb.ListRevocationsRequest(page_token=first.next_page_token))

    assert [(one.serial, one.member) for one in ann.revocations] == [(serials["ann"], "conductor://home/client/ann")]
    assert list(again.revocations) == list(ann.revocations)
    assert (ann.number, again.number, bob.number, first.number) == (1, 1, 2, 2)
    listed = [*first.revocations, *second.revocations]
    assert [one.serial for one in listed] == sorted([serials["ann"], serials["bob"]])
    assert abs(listed[0].revoke_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds() < 60
    assert second.next_page_token == ""
    assert RevocationFile.of(TlsFolder.of(data_of(it))).read().serials == {int(one.serial, 16) for one in listed}


async def test_what_cannot_be_revoked_is_refused_with_its_reason(it: Running) -> None:
    nothing = await it.access.ListRevocations(pb.ListRevocationsRequest())
    without = await refusal(revoke(it, "ann"))
    await asyncio.to_thread(certs, it, "init")
    unknown = await refusal(revoke(it, "ann"))
    own = await refusal(revoke(it, "conductor"))
    empty = await refusal(revoke(it, ""))
    (TlsFolder.of(data_of(it)).revoked).write_bytes(b"hello")
    damaged = await refusal(it.access.ListRevocations(pb.ListRevocationsRequest()))

    assert (list(nothing.revocations), nothing.number) == ([], 0)
    assert [(told.code, told.reason) for told in (without, unknown, own, empty, damaged)] == [
        ("FAILED_PRECONDITION", "CERTIFICATES_UNUSABLE"),
        ("NOT_FOUND", "CERTIFICATE_NOT_FOUND"),
        ("FAILED_PRECONDITION", "CERTIFICATES_UNUSABLE"),
        ("INVALID_ARGUMENT", "INVALID_REQUEST"),
        ("FAILED_PRECONDITION", "CERTIFICATES_UNUSABLE"),
    ]
    assert "conductor certs init" in without.hint
    assert "certs renew conductor" in own.hint
