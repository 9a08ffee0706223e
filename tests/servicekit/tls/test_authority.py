"""What the pool's own CA signs, as its own library and openssl verify it. Keeps K3."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from servicekit.tls.certificates import CALLING, SERVING, facts_of, read_certificates
from servicekit.tls.files import TlsError
from servicekit.tls.identity import Identity, Kind
from servicekit.tls.issuing.authority import Authority, Issued, Request, client_request, host_request
from tests.servicekit.tls.pools import ALPHA, ANN, CA, CONDUCTOR, NOW, POOL, issued

SERVES, CALLS = CONDUCTOR
EXPECTED = [
    (ALPHA, Identity(POOL, Kind.HOST, "alpha"), "", SERVING, ("alpha.home.host.invalid",)),
    (ANN, Identity(POOL, Kind.CLIENT, "ann"), "operator", CALLING, ()),
    (SERVES, SERVES.identity, "", SERVING, ("conductor.home.invalid", "study.lan", "192.168.1.2")),
    (CALLS, SERVES.identity, "", CALLING, ()),
]


def leaf(one: Issued) -> x509.Certificate:
    return read_certificates(one.certificate)[0]


@pytest.mark.parametrize(("request_", "identity", "role", "usage", "names"), EXPECTED)
def test_a_certificate_says_who_it_is_for_and_may_do_one_thing(
    request_: Request, identity: Identity, role: str, usage: str, names: tuple[str, ...]
) -> None:
    one = issued(request_)
    facts = facts_of(leaf(one))

    assert (facts.identity, facts.role, facts.usages, facts.names) == (identity, role, frozenset({usage}), names)
    assert (facts.serial, facts.is_authority) == (one.serial, False)
    assert (facts.not_before, facts.not_after) == (NOW - timedelta(hours=24), NOW + timedelta(days=90))


def verified(one: Issued, *, name: str = "", ca: Authority = CA, after: timedelta = timedelta()) -> bool:
    """Asks the library's verifier, which is strict: as a server of this name, or as a client."""
    policy = PolicyBuilder().store(Store([ca.certificate])).time(NOW + after)
    try:
        if name:
            policy.build_server_verifier(x509.DNSName(name)).verify(leaf(one), [])
        else:
            policy.build_client_verifier().verify(leaf(one), [])
    except VerificationError:
        return False
    return True


def test_a_verifier_accepts_a_certificate_for_its_name_its_use_and_its_time_only() -> None:
    host, client, other = issued(ALPHA), issued(ANN), Authority.make(POOL, NOW)

    assert verified(host, name="alpha.home.host.invalid")
    assert verified(issued(SERVES), name="conductor.home.invalid")
    assert verified(client)
    assert verified(issued(CALLS))
    assert not verified(host, name="beta.home.host.invalid")
    assert not verified(host), "a stolen host key cannot act as a client"
    assert not verified(client, name="ann")
    assert not verified(host, name="alpha.home.host.invalid", ca=other)
    assert not verified(client, after=timedelta(days=91))
    assert not verified(client, after=timedelta(hours=-25))
    assert verified(client, after=timedelta(hours=-23)), "the clock of another machine may be behind"


@pytest.mark.processes
def test_openssl_agrees(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    (tmp_path / "ca.pem").write_bytes(CA.certificate_pem)

    def accepts(request: Request, purpose: str, *options: str) -> bool:
        file = tmp_path / "leaf.pem"
        file.write_bytes(issued(request).certificate)
        fixed = ["-attime", str(int(NOW.timestamp())), "-x509_strict", "-CAfile", str(tmp_path / "ca.pem")]
        command = ["openssl", "verify", *fixed, "-purpose", purpose, *options, str(file)]
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0

    assert accepts(ALPHA, "sslserver", "-verify_hostname", "alpha.home.host.invalid")
    assert not accepts(ALPHA, "sslserver", "-verify_hostname", "beta.home.host.invalid")
    assert not accepts(ALPHA, "sslclient")
    assert accepts(ANN, "sslclient")
    assert not accepts(ANN, "sslserver")
    assert accepts(SERVES, "sslserver", "-verify_ip", "192.168.1.2")
    assert not accepts(SERVES, "sslclient")


def test_no_certificate_outlives_its_ca() -> None:
    late = CA.certificate.not_valid_after_utc - timedelta(days=1) - NOW

    assert issued(ANN, after=late).not_after == CA.certificate.not_valid_after_utc


@pytest.mark.parametrize("name", ["", "Alpha", "a b", "a.b", "-a", "a" * 41, "ü", "a/b", "a\n"])
def test_a_name_that_a_uri_cannot_hold_is_refused_with_the_rule(name: str) -> None:
    for make in (lambda: host_request(POOL, name), lambda: client_request(name, "ann", "viewer")):
        with pytest.raises(TlsError) as refused:
            make()
        assert "a-z, 0-9 and '-'" in refused.value.hint


def test_a_key_of_another_ca_is_refused() -> None:
    with pytest.raises(TlsError, match="not the key of a CA"):
        Authority.load([CA.certificate], Authority.make(POOL, NOW).key_pem)
