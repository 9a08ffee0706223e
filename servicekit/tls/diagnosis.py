"""Finds out why a connection by TLS failed, with a handshake of its own: gRPC says no more than "Socket closed" of most causes.

It asks nothing of the server and changes nothing. It waits for a few seconds at most, and blocks meanwhile: a service calls it in a
thread. Where the handshake works, or nothing listens, it finds no trouble: gRPC's own words stand.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from servicekit.tls.certificates import (
    CALLING,
    Facts,
    UnreadableError,
    facts_of,
    is_issued_by,
    read_certificates,
    read_facts,
    read_shown,
)
from servicekit.tls.credentials import load_pair

PROBE_SECONDS = 3.0
# Of OpenSSL, which verifies for Python.
_NOT_YET_VALID, _EXPIRED, _WRONG_USAGE, _OTHER_NAMES = 9, 10, 26, (62, 64)
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})
# The beginning of HTTP/2: a server that lets us in answers it.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


class Trouble(StrEnum):
    """The causes."""

    SERVER_WITHOUT_TLS = "the server speaks no TLS"
    SERVER_WITH_TLS = "the server speaks TLS, and the caller did not"
    SERVER_EXPIRED = "the server's certificate has ended"
    SERVER_EARLY = "the server's certificate is not valid yet"
    SERVER_CA = "the server's certificate is of another CA"
    SERVER_NAME = "the server's certificate is of another name"
    SERVER_USAGE = "the server's certificate is not for serving"
    NO_CERTIFICATE = "the server requires a certificate"
    OWN_EXPIRED = "the caller's certificate has ended"
    OWN_EARLY = "the caller's certificate is not valid yet"
    OWN_USAGE = "the caller's certificate is not for calling"
    OWN_CA = "the server trusts another CA than the caller's"
    OWN_REFUSED = "the server refuses the caller's certificate"


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, the certificates of both sides as far as they are known, and this machine's time."""

    trouble: Trouble
    server: Facts | None
    own: Facts | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """What the caller dials with, in PEM form. `server_name` is the name that the server must show."""

    ca: bytes
    certificate: bytes | None = None
    key: bytes | None = None
    server_name: str = ""


def diagnose(target: str, caller: Caller | None, seconds: float = PROBE_SECONDS) -> Finding | None:
    """Returns the trouble with TLS at `HOST:PORT`; None where there is none to be found. `caller` is None without TLS."""
    probe = _Probe(target, caller, time.monotonic() + seconds)
    try:
        trouble = probe.find()
    except (OSError, UnreadableError, ValueError):
        return None
    if trouble is None:
        return None
    own = read_facts(caller.certificate) if caller and caller.certificate else None
    return Finding(trouble, probe.server_facts(), own, datetime.now(UTC))


def trusted_facts(target: str, caller: Caller, seconds: float = PROBE_SECONDS) -> Facts | None:
    """Returns what the certificate of the server at `HOST:PORT` says; None where there is none that the caller trusts."""
    try:
        with _Probe(target, caller, time.monotonic() + seconds).secured(_context_of(caller)) as connection:
            return read_shown(connection)
    except (OSError, UnreadableError, ValueError):
        return None


class _Probe:
    """Shakes hands, at most twice."""

    def __init__(self, target: str, caller: Caller | None, deadline: float) -> None:
        host, _, port = target.rpartition(":")
        self._place = host.strip("[]"), int(port)
        self._caller = caller
        self._deadline = deadline

    def find(self) -> Trouble | None:
        if self._caller is None:
            return Trouble.SERVER_WITH_TLS if self.server_facts() is not None else None
        try:
            self._shake_hands(_context_of(self._caller))
        except ssl.SSLCertVerificationError as error:
            return _of_server(error.verify_code)
        except (ssl.SSLError, ConnectionError) as error:
            return self._of_refusal(getattr(error, "reason", None) or "")
        return None

    @contextmanager
    def secured(self, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
        """Yields a connection after its handshake, which must be over in time."""
        name = (self._caller.server_name if self._caller else "") or self._place[0]
        left = max(0.05, self._deadline - time.monotonic())
        with (
            socket.create_connection(self._place, timeout=left) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            yield connection

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        """Raises the error of a handshake. A server that refuses a certificate ends the connection after it (TLS 1.3)."""
        with self.secured(context) as connection:
            connection.sendall(_HELLO)
            if not connection.recv(1):
                raise ConnectionResetError

    def server_facts(self) -> Facts | None:
        """Returns what the server's certificate says, trusted or not; None where it shows none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        try:
            with self.secured(context) as connection:
                return read_shown(connection)
        except (OSError, UnreadableError):
            return None

    def _of_refusal(self, reason: str) -> Trouble | None:
        if reason in _NO_TLS:
            return Trouble.SERVER_WITHOUT_TLS
        caller = self._caller
        if caller is None or not caller.certificate:
            return Trouble.NO_CERTIFICATE if self.server_facts() is not None else None
        own, now = read_facts(caller.certificate), datetime.now(UTC)
        if not own.not_before <= now <= own.not_after:
            return Trouble.OWN_EXPIRED if now > own.not_after else Trouble.OWN_EARLY
        if own.usages and CALLING not in own.usages:
            return Trouble.OWN_USAGE
        if "UNKNOWN_CA" in reason or not _is_of(caller.certificate, caller.ca):
            return Trouble.OWN_CA
        return Trouble.OWN_REFUSED if self.server_facts() is not None else None


def _context_of(caller: Caller) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(cadata=caller.ca.decode("ascii", "replace"))
    if caller.certificate and caller.key:
        load_pair(context, caller.certificate, caller.key)
    return context


def _of_server(code: int) -> Trouble:
    if code in _OTHER_NAMES:
        return Trouble.SERVER_NAME
    known = {_EXPIRED: Trouble.SERVER_EXPIRED, _NOT_YET_VALID: Trouble.SERVER_EARLY, _WRONG_USAGE: Trouble.SERVER_USAGE}
    return known.get(code, Trouble.SERVER_CA)


def _is_of(certificate: bytes, authorities: bytes) -> bool:
    own = read_certificates(certificate)[0]
    trusted = [each for each in read_certificates(authorities) if facts_of(each).is_authority]
    return any(is_issued_by(own, each) for each in trusted)
