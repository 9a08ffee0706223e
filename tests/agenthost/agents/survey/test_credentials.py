import base64
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from agenthost.agents.survey.delivery import credentials
from agenthost.agents.survey.delivery.credentials import find_credentials, find_ending_certificates
from agenthost.agents.survey.finding import Finding

Looker = Callable[..., list[Finding]]

# Bait is put together here, so that no scanner takes this file for the real thing.
GITHUB_TOKEN = "gh" + "p_" + "aB3dE6gH1jK4mN7pQ0sT2vW5yZ8bC9fD2gJx"
AWS_ID = "AK" + "IA" + "Q7ZLM2XW5NDRT3VB"
AWS_SECRET = "x9Kd82+LmQpZ0aYvRt5uWc7eBn1fGh3jKl4oPq6S"
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + ("MIIEpAIBAAKCAQEA" * 4 + "\n") * 6


def test_credentials_are_told_by_format_and_randomness(look: Looker) -> None:
    files = {
        "deploy/settings.py": f"TOKEN = '{GITHUB_TOKEN}'\n",
        "deploy/aws.ini": f"id = {AWS_ID}\nsecret = {AWS_SECRET}\n",
        "deploy/server.pem": KEY,
    }
    found = look(find_credentials, files)
    assert sorted(item.rule for item in found) == ["lens:committed-key", "lens:committed-token", "lens:committed-token"]
    assert not any(GITHUB_TOKEN in item.title for item in found)


def test_a_key_that_a_document_declares_to_be_for_tests_is_left_alone(look: Looker) -> None:
    (found,) = look(find_credentials, {"res/server.pem": KEY, "docs/manual.md": "Use res/server.pem.\n"})
    assert (found.rule, found.evidence[0].path) == ("lens:committed-key", "res/server.pem")
    security = 'Certificates in "res/keys" are only meant for test environments.\n'
    files = {"res/keys/a.pem": KEY, "SECURITY.md": security, "res/server.pem": "", "docs/manual.md": ""}
    assert look(find_credentials, files) == []


def test_a_key_that_is_called_insecure_is_left_alone(look: Looker) -> None:
    files = {
        "a/insecure_rsa": KEY,
        "b/server.pem": KEY,
        "c/d.pem": KEY,
        "README.md": "Ships c/d.pem, an insecure key.\n",
    }
    assert [item.evidence[0].path for item in look(find_credentials, files)] == ["b/server.pem"]


def test_placeholders_tests_and_lonely_ids_are_no_credentials(look: Looker) -> None:
    files = {
        "a.py": "TOKEN = 'gh" + "p_" + "x" * 36 + "'\n",
        "b.py": f"TOKEN = '{GITHUB_TOKEN}'  # example\n",
        "c.ini": f"id = {AWS_ID}\n",
        "tests/fixtures/key.pem": KEY,
        "load/extractor/site.py": f"KEYS = '{AWS_ID}', '{AWS_SECRET}'\n",
        "README.md": f"`{GITHUB_TOKEN}`\n",
        "d.py": "PATTERN = '-----BEGIN RSA " + "PRIVATE KEY-----'\n",
    }
    assert look(find_credentials, files) == []


def certificate(*times: bytes) -> str:
    """Writes the two times of a certificate among other bytes, as PEM has them."""
    block = base64.encodebytes(bytes(200) + b"".join(times) + bytes(200)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{block}-----END CERTIFICATE-----\n"


BEGIN, SOON = b"\x17\x0d" + b"200101000000Z", b"\x17\x0d" + b"270217003823Z"
LONG_AGO = b"\x17\x0d" + b"220217003823Z"
LATE = b"\x18\x0f" + b"20510217003823Z"


def test_a_certificate_that_ends_within_a_year_of_the_newest_commit_is_told(
    look: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = datetime(2026, 8, 3, tzinfo=UTC)
    monkeypatch.setattr(credentials, "newest_commit", lambda: int(newest.timestamp()))
    soon = certificate(BEGIN, SOON)
    files = {
        "tests/client.pem": f"of a client\n{soon}",
        "tests/expired.pem": soon,
        "tests/server.crt": certificate(BEGIN, LATE),
        "tests/broken.crt": soon.replace("A", "A="),
        "tests/old.crt": certificate(BEGIN, LONG_AGO),
        "examples/tls/server.pem": soon,
    }

    (found,) = look(find_ending_certificates, files)

    assert (found.rule, found.evidence[0].start_line) == ("lens:ending-certificate", 2)
    assert found.title == "the certificate in tests/client.pem ends on 2027-02-17"

    later = datetime(2027, 8, 3, tzinfo=UTC)
    monkeypatch.setattr(credentials, "newest_commit", lambda: int(later.timestamp()))
    assert ("lens:ended-certificate", "the certificate in tests/client.pem ended on 2027-02-17") in [
        (one.rule, one.title) for one in look(find_ending_certificates, files)
    ]

    monkeypatch.setattr(credentials, "newest_commit", lambda: 0)
    assert look(find_ending_certificates, files) == []
