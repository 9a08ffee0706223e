"""Which files look like secrets. Keeps J5."""

import pytest

from servicekit.secrets.files import MAX_SCANNED_BYTES, why_secret, why_secret_name

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n"
TOKEN = b"token = ghp_R4nd0mCh4r4ct3rsTh4tL00kR34l12345\n"

BY_NAME = [
    b".env",
    b"deploy/.env",
    b".env.production",
    b"prod.env",
    b"id_rsa",
    b"keys/id_ed25519",
    b".ssh/work",
    b"home/.aws/credentials",
    b".docker/config.json",
    b"release.keystore",
    b"cert.p12",
    b"vault.kdbx",
    b".netrc",
    b".git-credentials",
    b"ID_RSA",
]
NO_SECRET = [
    b".env.example",
    b".env.sample",
    b"src/env.py",
    b"environment.yml",
    b"id_rsa.pub",
    b".ssh/known_hosts",
    b".ssh/work.pub",
    b"tokens.py",
    b"credentials.md",
    b"key.pem",
    b"docs/secrets.md",
]


@pytest.mark.parametrize("path", BY_NAME)
def test_these_names_are_those_of_secrets(path: bytes) -> None:
    assert why_secret_name(path)
    assert why_secret(path, b"")


@pytest.mark.parametrize("path", NO_SECRET)
def test_these_names_are_not(path: bytes) -> None:
    assert why_secret(path, b"text") == ""


@pytest.mark.parametrize("data", [KEY, b"\n" * 2 * MAX_SCANNED_BYTES + KEY, TOKEN, b"\xff\xfe" + TOKEN])
def test_what_a_file_holds_shows_too(data: bytes) -> None:
    assert why_secret(b"notes.txt", data).endswith(" in it")


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2Zm\n",
        b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n",
        b"ghp_your_token_goes_here_please_do\n",
        b"\0" + TOKEN,
        b"x" * MAX_SCANNED_BYTES + TOKEN,
    ],
)
def test_certificates_placeholders_binaries_and_long_texts_are_no_secrets(data: bytes) -> None:
    assert why_secret(b"notes.txt", data) == ""
