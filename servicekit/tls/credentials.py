"""Credentials for servers and channels out of certificate files, taken up again when the files change, without a restart.

A changed file counts from the next connection on. Files that do not fit together, as in the middle of a renewal, change nothing:
the service goes on with what it has, and says so once.
"""

import os
import ssl
from datetime import UTC, datetime, timedelta

import grpc
import structlog

from servicekit.tls.certificates import SERVING, read_facts
from servicekit.tls.files import Material, TlsError, TlsFiles, state_of
from servicekit.tls.identity import Identity, Kind

# A service whose certificate ends so soon says so at its start. It starts also with one that has ended: a new one needs no restart.
ENDS_SOON = timedelta(days=14)

_log = structlog.get_logger()


class WatchedFiles:
    """The material of certificate files, and whom they stand for, as it was when they last fitted together."""

    def __init__(self, files: TlsFiles) -> None:
        """Reads the files; raises TlsError where they cannot be used."""
        self.files = files
        self._seen = state_of(*files.paths)
        self._refused: object = None
        self.material, self.identity = _checked(files)

    def refresh(self) -> bool:
        """Reads the files again where they changed; returns whether there is new material."""
        if (now := state_of(*self.files.paths)) in (self._seen, self._refused):
            return False
        try:
            material, _ = _checked(self.files, self.identity)
        except TlsError as error:
            self._refused = now
            _log.warning("certificate_not_taken_up", problem=str(error), hint=error.hint)
            return False
        self._seen, self._refused, self.material = now, None, material
        _log.info("certificate_taken_up", file=str(self.files.certificate))
        return True


def require_own(watched: WatchedFiles, kind: Kind, name: str, usage: str) -> None:
    """Raises TlsError where the certificate is not this service's own, or lacks what the other side looks for."""
    facts, own = read_facts(watched.material.certificate), Identity(watched.identity.pool, kind, name)
    file, hint = watched.files.certificate, watched.files.remedy
    if watched.identity != own:
        raise TlsError(f"{file} is the certificate of {watched.identity.uri}, and this is {own.uri}", hint=hint)
    if usage not in facts.usages:
        raise TlsError(f"{file} cannot be used: its extended key usage lacks {usage}", hint=hint)
    if usage == SERVING and own.server_name not in facts.names:
        raise TlsError(f"{file} cannot be used: it lacks the DNS name {own.server_name}", hint=hint)
    if facts.not_after - datetime.now(UTC) < ENDS_SOON:
        _log.warning("certificate_ends", file=str(file), end=facts.not_after.isoformat(), hint=hint)


def _checked(files: TlsFiles, before: Identity | None = None) -> tuple[Material, Identity]:
    material = files.checked()
    identity = read_facts(material.certificate).identity
    if identity is None:
        what = "it needs one URI as conductor://POOL/host/NAME or conductor://POOL/conductor/ID"
        raise TlsError(f"{files.certificate} names no member of a pool: {what}", hint=files.remedy)
    if before not in (None, identity):
        raise TlsError(f"{files.certificate} is of {identity.uri} now, not of {before.uri}", hint=files.remedy)
    return material, identity


def server_credentials(watched: WatchedFiles) -> grpc.ServerCredentials:
    """Returns credentials of gRPC that require a client certificate of the CA."""

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        return _configuration(watched.material) if watched.refresh() else None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(watched.material),
        fetch,  # type: ignore[arg-type] # None, for no change, is documented
        require_client_authentication=True,
    )


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(material.key, material.certificate)], material.ca)


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    """Returns credentials of gRPC for a channel that shows its certificate."""
    return grpc.ssl_channel_credentials(material.ca, material.key, material.certificate)


def optional_context(material: Material) -> ssl.SSLContext:
    """Returns a server's context that asks for a client certificate, and goes on without one.

    The interceptor checks the dates of a client's certificate, for each call: so its refusal says why, with both clocks.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0  # a resumed session would not show its certificate to a new CA
    context.set_alpn_protocols(["h2"])
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _NO_CHECK_TIME
    context.load_verify_locations(cadata=material.ca.decode("ascii", "replace"))
    load_pair(context, material.certificate, material.key)
    return context


_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Loads a certificate and its key, which Python reads from files alone: here from memory, so that both are of one moment."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
