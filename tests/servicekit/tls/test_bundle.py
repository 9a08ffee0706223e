"""A bundle makes a member of a pool; hostile, damaged and outdated files are refused in one sentence. Keeps K3."""

import dataclasses
import ssl
from collections.abc import Callable
from datetime import timedelta

import pytest

from servicekit.tls.files import TlsError
from servicekit.tls.identity import Kind
from servicekit.tls.issuing.authority import Authority
from servicekit.tls.issuing.bundle import Bundle, read_bundle, write_bundle
from tests.servicekit.tls.pools import ALPHA, ANN, CA, CONDUCTOR, NOW, POOL, bundle_of, issued

HOST = bundle_of(ALPHA)
KEY = HOST[HOST.index(b"-----BEGIN PRIVATE") : HOST.index(b"-----BEGIN CERT")]
OTHER_CA = Authority.make(POOL, NOW)


def read(data: bytes, after: timedelta = timedelta()) -> Bundle:
    return read_bundle(data, "alpha.agenthost", NOW + after)


def test_a_bundle_is_read_as_it_was_written() -> None:
    host, client, conductor = read(HOST), read(bundle_of(ANN)), read(bundle_of(*CONDUCTOR))

    assert (host.identity, host.addresses, host.ca) == (ALPHA.identity, ("192.168.1.5:7420",), CA.certificate_pem)
    assert (host.client, client.server) == (None, None)
    assert (client.role, client.identity.kind) == ("operator", Kind.CLIENT)
    assert (conductor.server is not None, conductor.client is not None) == (True, True)
    assert read(HOST.replace(b"\n", b"\r\n")).identity == ALPHA.identity, "as mail sends it"


def _without(label: bytes) -> bytes:
    start = HOST.index(b"-----BEGIN " + label)
    end = HOST.index(b"-----END " + label, start)
    return HOST[:start] + HOST[HOST.index(b"\n", end) + 1 :]


def _swapped() -> bytes:
    return HOST.replace(KEY, issued(ALPHA).key)


def _with_der(old: bytes, new: bytes) -> bytes:
    """Returns a bundle whose host's certificate has other bytes."""
    leaf = issued(ALPHA)
    der = ssl.PEM_cert_to_DER_cert(leaf.certificate.decode())
    assert old in der
    spoilt = ssl.DER_cert_to_PEM_cert(der.replace(old, new)).encode()
    return write_bundle([(leaf.key, spoilt)], CA.certificate_pem, (), ())


def _of_two_cas() -> bytes:
    one = issued(ALPHA, ca=OTHER_CA)
    return write_bundle([(one.key, one.certificate)], CA.certificate_pem, (), ())


def _signed_by_a_leaf() -> bytes:
    """Returns a bundle whose "CA" is a member's certificate: its key may sign nothing."""
    one = issued(ALPHA)
    return write_bundle([(one.key, one.certificate)], issued(ANN).certificate, (), ())


HOSTILE: list[tuple[Callable[[], bytes], str]] = [
    (lambda: b"", "first line"),
    (lambda: b"\x00\xff" * 50, "not text"),
    (lambda: b"a" * 70_000, "more than 64 KiB"),
    (lambda: HOST.replace(b": 1\n", b": 2\n", 1), "first line"),
    (lambda: HOST[: len(HOST) // 2], "cut off"),
    (lambda: HOST.replace(b"address: ", b"command: ", 1), "line 3 is none of a bundle"),
    (lambda: HOST.replace(b"192.168.1.5:7420", b"1::2"), "line 3 has no address that can be dialled"),
    (lambda: HOST.replace(b"192.168.1.5:7420\n\n-----BEGIN PRIVATE KEY-----\n", b""), "line 3 has no address"),
    (lambda: _with_der(bytes.fromhex("a003020102"), bytes.fromhex("a003020149")), "no certificate in PEM form"),
    (lambda: _with_der(b"conductor://home/host/alpha", b"conductor://home\xffhost/alpha"), "is malformed"),
    (lambda: HOST.replace(b"address: ", b"address: 10.0.0.1:1\n" * 20 + b"address: ", 1), "more than 16 addresses"),
    (lambda: _without(b"PRIVATE KEY"), "no key"),
    (lambda: _without(b"CERTIFICATE"), "no certificate of a host"),
    (lambda: HOST.replace(CA.certificate_pem, b""), "no certificate of a CA"),
    (_swapped, "its key is not that of its certificate"),
    (lambda: HOST + KEY, "a key without its certificate|its key is not that"),
    (lambda: HOST + b"rm -rf /\n", "more than keys and certificates"),
    (lambda: HOST + CA.certificate_pem * 8, "more than keys and certificates"),
    (lambda: HOST.replace(b"MII", b"AAA"), "no certificate in PEM form"),
    (_of_two_cas, "not issued by the CA in it"),
    (_signed_by_a_leaf, "no certificate of a CA"),
    (lambda: bundle_of(ALPHA, ANN), "does not name one host"),
    (lambda: bundle_of(ALPHA, ALPHA), "not those of a host"),
    (lambda: bundle_of(CONDUCTOR[0]), "not those of a conductor: serverAuth"),
    (lambda: bundle_of(dataclasses.replace(ALPHA, usage="clientAuth")), "not those of a host: clientAuth"),
    (lambda: bundle_of(dataclasses.replace(ANN, role="root")), "names no role"),
]


@pytest.mark.parametrize(("make", "why"), HOSTILE)
def test_a_file_that_is_no_bundle_is_refused_with_the_reason_and_the_command(
    make: Callable[[], bytes], why: str
) -> None:
    with pytest.raises(TlsError, match=why) as refused:
        read(make())

    assert str(refused.value).startswith("alpha.agenthost is no usable bundle: ")
    assert "\n" not in str(refused.value)
    assert "MIG" not in str(refused.value), "no part of a key is told"
    assert "conductor certs " in refused.value.hint


def test_a_certificate_that_is_not_valid_now_is_told_with_both_clocks() -> None:
    with pytest.raises(TlsError, match=r"ended on 2027-02-28 12:00 UTC, and it is 2027-03-01 12:00 UTC") as ended:
        read(HOST, timedelta(days=91))
    with pytest.raises(TlsError, match=r"begins on 2026-11-29 12:00 UTC, and it is 2026-11-28 12:00 UTC") as early:
        read(HOST, timedelta(days=-2))

    assert "conductor certs renew host/alpha --out FOLDER" in ended.value.hint
    assert "date -u" in early.value.hint
