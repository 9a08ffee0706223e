"""The list of revoked certificates: signed by the CA, only ever newer, and taken up while a service runs. Keeps K3."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.files import TlsError, TlsFolder, read_bounded, write_whole
from servicekit.tls.issuing.authority import Authority
from servicekit.tls.revocations import (
    RevocationFile,
    Revoked,
    WatchedRevocations,
    read_list,
)
from tests.servicekit.tls.pools import ALPHA, ANN, CA, NOW, POOL, issued

NEW_CA = Authority.make(POOL, NOW)
OLD_SERIAL = CA.certificate.serial_number


def list_of(*serials: int, number: int = 1, ca: Authority = CA) -> bytes:
    return ca.sign_list([Revoked(serial, ANN.identity, NOW) for serial in serials], number, NOW)


def refuses(watched: WatchedRevocations, serial: int) -> bool:
    facts = facts_of(read_certificates(issued(ANN).certificate)[0])
    return watched.why_refused(dataclasses.replace(facts, serial=serial)) == "was revoked"


@pytest.fixture
def folder(tmp_path: Path) -> TlsFolder:
    made = TlsFolder.of(tmp_path)
    made.prepare()
    write_whole(made.ca, CA.certificate_pem)
    return made


def test_a_list_tells_serials_its_number_and_the_hosts_that_must_not_be_dialled() -> None:
    pem = CA.sign_list([Revoked(5, ALPHA.identity, NOW), Revoked(6, ANN.identity, NOW), Revoked(7, None, NOW)], 3, NOW)

    read = read_list(pem, CA.certificate_pem, "it")
    assert (read.number, read.serials, read.hosts) == (3, {5, 6, 7}, {ALPHA.identity})
    assert [each.identity for each in read.entries] == [ALPHA.identity, ANN.identity, None]


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "is no list"),
        (b"\x00" * 100, "is no list"),
        (CA.certificate_pem, "is no list"),
        (list_of(1)[:-60] + b"-----END X509 CRL-----\n", "is no list"),
        (list_of(1, ca=NEW_CA), "signed by no CA that is trusted here"),
        (b"a" * 1_100_000, "more than 1024 KiB"),
    ],
)
def test_a_list_that_no_trusted_ca_signed_is_refused(pem: bytes, why: str) -> None:
    with pytest.raises(TlsError, match=why):
        read_list(pem, CA.certificate_pem, "it")


def test_a_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicekit.tls.revocations.MAX_REVOKED", 2)

    assert read_list(list_of(1, 2), CA.certificate_pem, "it").serials == {1, 2}
    with pytest.raises(TlsError, match="is no list"):
        read_list(list_of(1, 2, 3), CA.certificate_pem, "it")


def test_only_a_newer_list_is_taken_from_another_machine(folder: TlsFolder) -> None:
    assert RevocationFile.of(folder).accept(list_of(1, 2, number=2)).serials == {1, 2}
    for stale in (list_of(1, number=1), list_of(number=2)):
        assert RevocationFile.of(folder).accept(stale).serials == {1, 2}
    with pytest.raises(TlsError):
        RevocationFile.of(folder).accept(list_of(number=9, ca=NEW_CA))

    assert RevocationFile.of(folder).read().serials == {1, 2}
    assert RevocationFile.of(folder).accept(list_of(1, 2, 3, number=3)).number == 3


def test_a_list_of_the_new_ca_ends_the_trust_in_the_former_one_and_never_the_other_way(folder: TlsFolder) -> None:
    both = NEW_CA.certificate_pem + CA.certificate_pem
    write_whole(folder.ca, both)

    RevocationFile.of(folder).accept(CA.sign_list([Revoked(NEW_CA.certificate.serial_number, None, NOW)], 1, NOW))
    assert read_bounded(folder.ca) == both
    RevocationFile.of(folder).accept(NEW_CA.sign_list([Revoked(OLD_SERIAL, None, NOW)], 2, NOW))

    assert read_bounded(folder.ca) == NEW_CA.certificate_pem
    assert RevocationFile.of(folder).read().serials == {OLD_SERIAL}


def test_a_running_service_takes_a_new_list_up_and_keeps_what_it_has_when_the_file_is_spoilt(folder: TlsFolder) -> None:
    watched = WatchedRevocations(RevocationFile.of(folder))
    assert not refuses(watched, 1)

    write_whole(folder.revoked, list_of(1, number=2))
    assert refuses(watched, 1)
    for spoilt in (b"", list_of(number=1), list_of(number=3, ca=NEW_CA)):
        write_whole(folder.revoked, spoilt)
        assert refuses(watched, 1)
    folder.revoked.unlink()
    assert refuses(watched, 1)
    write_whole(folder.revoked, list_of(7, number=3))
    assert (refuses(watched, 1), refuses(watched, 7)) == (False, True)


def test_an_open_connection_does_not_outlive_the_trust_in_the_ca_of_its_certificate(folder: TlsFolder) -> None:
    """A thief of the former CA's key may hold one, with a certificate of an unknown serial."""
    facts = facts_of(read_certificates(issued(ANN).certificate)[0])
    write_whole(folder.ca, NEW_CA.certificate_pem + CA.certificate_pem)
    watched = WatchedRevocations(RevocationFile.of(folder))
    elsewhere = WatchedRevocations(RevocationFile(folder.revoked, folder.path.parent / "operator.pem"))

    assert watched.why_refused(facts) == ""
    write_whole(folder.ca, NEW_CA.certificate_pem)
    assert watched.why_refused(facts) == "is of a CA that is trusted no longer"
    assert watched.why_refused(dataclasses.replace(facts, authority=b"")) != ""
    assert elsewhere.why_refused(facts) == "", "an operator's PKI may have CAs in between"


def test_a_service_does_not_start_with_a_list_that_cannot_be_used(folder: TlsFolder) -> None:
    write_whole(folder.revoked, b"hello")

    with pytest.raises(TlsError, match=r"crl\.pem is no list of revoked certificates"):
        WatchedRevocations(RevocationFile.of(folder))


def test_an_old_list_holds_all_the_same(folder: TlsFolder) -> None:
    """A conductor that is away for long must not close the pool, nor open it."""
    write_whole(folder.revoked, CA.sign_list([Revoked(1, None, NOW)], 1, NOW - timedelta(days=4_000)))

    assert RevocationFile.of(folder).read().serials == {1}
