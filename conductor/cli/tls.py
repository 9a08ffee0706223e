"""The certificates of this command line: which files are given, and what a channel needs of them.

A bundle, or three PEM files; `--tls-ca` alone for callers with a token. Without any of them a conductor is dialled without TLS.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import click

from conductor.cli.text.failure import NOT_AUTHORISED, CommandError
from servicekit.tls.files import TlsError, read_bounded


@dataclass(slots=True)
class TlsChoice:
    """The files that are given, as text of the command line."""

    bundle: str = ""
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""

    def read(self) -> "ClientTls | None":
        """Reads the files; None where none is given. Raises a CommandError where they cannot be used."""
        pem = (self.tls_ca, self.tls_cert, self.tls_key)
        if self.bundle and any(pem):
            raise CommandError(
                f"--bundle and {_options(*pem)} are given, and the bundle holds certificates of its own",
                lines=("give one of both; CONDUCTOR_BUNDLE counts as --bundle",),
            )
        if not self.bundle and not any(pem):
            return None
        if not self.bundle and (not self.tls_ca or bool(self.tls_cert) != bool(self.tls_key)):
            raise CommandError(
                "TLS needs --tls-ca, and --tls-cert with --tls-key where you call with a certificate",
                lines=("or one file for all:  --bundle FILE",),
            )
        try:
            return _read_bundle(self.bundle) if self.bundle else _read_pem(*pem)
        except TlsError as error:
            raise CommandError(str(error), lines=tuple(error.hint.splitlines()), code=NOT_AUTHORISED) from error


def _options(*pem: str) -> str:
    return ", ".join(name for name, given in zip(("--tls-ca", "--tls-cert", "--tls-key"), pem, strict=True) if given)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """What a channel needs. `server_name` is the name that the conductor must show; empty: that of the address."""

    ca: bytes
    certificate: bytes | None = None
    key: bytes | None = None
    server_name: str = ""
    address: str = ""  # of the conductor, where the bundle tells it


@lru_cache(maxsize=4)
def _read_bundle(path: str) -> ClientTls:
    from datetime import UTC, datetime

    from servicekit.tls.identity import conductor_server_name
    from servicekit.tls.issuing.bundle import read_bundle

    bundle = read_bundle(read_bounded(Path(path).expanduser()), path, datetime.now(UTC))
    if bundle.client is None:
        raise TlsError(
            f"{path} is the bundle of the {bundle.identity.kind} '{bundle.identity.name}', which makes no calls",
            hint="make one for yourself:  conductor certs client NAME --role ROLE --out FILE",
        )
    name = conductor_server_name(bundle.identity.pool)
    address = next(iter(bundle.addresses), "")
    return ClientTls(bundle.ca, bundle.client.certificate, bundle.client.key, name, address)


@lru_cache(maxsize=4)
def _read_pem(ca: str, certificate: str, key: str) -> ClientTls:
    from servicekit.tls.certificates import UnreadableError, read_certificates, read_facts
    from servicekit.tls.files import TlsFiles
    from servicekit.tls.identity import conductor_server_name

    if not certificate:
        data = read_bounded(Path(ca).expanduser())
        try:
            read_certificates(data)
        except UnreadableError as error:
            raise TlsError(f"{ca} cannot be used: {error}", hint="name the file with the CA:  --tls-ca FILE") from error
        return ClientTls(data)
    files = TlsFiles(Path(ca).expanduser(), Path(certificate).expanduser(), Path(key).expanduser())
    material = files.checked()
    identity = read_facts(material.certificate).identity
    name = conductor_server_name(identity.pool) if identity else ""
    return ClientTls(material.ca, material.certificate, material.key, name)


def given_tls() -> TlsChoice:
    """Returns the certificates that the command line names; none outside of a command."""
    command = click.get_current_context(silent=True)
    given = getattr(command.obj, "tls", None) if command is not None else None
    return given if isinstance(given, TlsChoice) else TlsChoice()
