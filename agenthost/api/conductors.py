"""Admits conductors of the host's own pool by their certificates, and refuses clients and other hosts.

A host that listens by TLS has one door for all of its services. What a conductor may do there depends on its id alone: `Fences`
refuse requests with the id of another one.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from servicekit.calls.callers import Admit, Caller
from servicekit.errors import InvalidRequestError, RoleNotAllowedError, UnauthenticatedError, Violation
from servicekit.tls.admission import WhyRefused, check_certificate
from servicekit.tls.certificates import SERVING, UnreadableError, read_facts
from servicekit.tls.credentials import WatchedFiles, require_own, server_credentials
from servicekit.tls.files import State, TlsError, TlsFiles, state_of
from servicekit.tls.identity import Kind
from servicekit.tls.peer import Peers
from servicekit.tls.revocations import WatchedRevocations

CONDUCTOR = "conductor"  # the role of a caller that is one


@dataclass(frozen=True, slots=True)
class PoolDoor:
    """How a host serves by TLS: its credentials, and whom it admits."""

    credentials: grpc.ServerCredentials
    admit: Admit


async def exchange(revocations: WatchedRevocations, number: int, pem: bytes) -> tuple[int, bytes]:
    """Takes a newer list of revoked certificates; returns the number of the host's own, and it too where it is newer."""
    if pem:
        try:
            await asyncio.to_thread(revocations.file.accept, pem)
        except TlsError as error:
            raise InvalidRequestError(Violation("list", str(error)), hint=error.hint) from error
    held = revocations.current.number
    return held, revocations.file.pem() if held > number else b""


def pool_door(files: TlsFiles, host: str, revocations: WatchedRevocations) -> PoolDoor:
    """Reads the certificates of the host of that name; raises TlsError where they cannot be used."""
    watched = WatchedFiles(files)
    require_own(watched, Kind.HOST, host, SERVING)
    return door_of(watched, revocations.why_refused)


class CertificateEnd:
    """Tells when the certificate in a file ends, in seconds since 1970; 0 while it cannot be read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: State = ()
        self._end = 0.0

    def __call__(self) -> float:
        """Returns the end as the file has it now."""
        try:
            if (seen := state_of(self._file)) != self._seen:
                self._end = read_facts(self._file.read_bytes()).not_after.timestamp()
                self._seen = seen
        except (OSError, UnreadableError):
            return 0.0
        return self._end


def door_of(watched: WatchedFiles, why_refused: WhyRefused) -> PoolDoor:
    """Makes a door of certificates that were checked."""
    peers = Peers()

    def admit(_: str, context: Any) -> Caller:
        facts = peers.find(context).certificate
        if facts is None:
            raise UnauthenticatedError("this host takes calls of conductors with certificates alone")
        identity = check_certificate(facts, watched.identity.pool, why_refused)
        if identity.kind is not Kind.CONDUCTOR:
            raise RoleNotAllowedError(
                f"this host takes calls of conductors alone, and this is the {identity.kind} '{identity.name}'",
                hint="ask the conductor:  conductor hosts",
            )
        return Caller(identity.name, "certificate", CONDUCTOR)

    return PoolDoor(server_credentials(watched), admit)
