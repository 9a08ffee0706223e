"""The revoked certificates of the pool, for callers: lists them, and revokes by the CA in the conductor's data folder.

What the folder holds is the truth: `conductor certs` works on the same files, under the same lock. The library that reads
certificates is loaded by the first call.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from conductor.errors import NotFoundError, PreconditionError
from servicekit.calls.callers import current_caller
from servicekit.tls.files import TlsError, TlsFolder, locked

if TYPE_CHECKING:
    from servicekit.tls.identity import Identity

CERTIFICATES_UNUSABLE = "CERTIFICATES_UNUSABLE"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Revocation:
    """A revoked certificate. `member` is a URI; empty for that of a former CA."""

    serial: str
    member: str
    time: float


class CertificateBook:
    """Reads and changes what is revoked."""

    def __init__(self, data: Path, ca: Path | None = None) -> None:
        self._folder = TlsFolder.of(data)
        self._ca = ca or self._folder.ca

    async def listed(self) -> tuple[list[Revocation], int]:
        """Returns the revoked certificates by serial, and the number of the list."""
        with _unusable():
            return await asyncio.to_thread(self._read)

    async def revoke(self, given: str) -> tuple[list[Revocation], int]:
        """Revokes what is meant: a member, or a serial; returns its revoked certificates, and the number of the list."""
        with _unusable():
            revoked, number = await asyncio.to_thread(self._revoke, given)
        _log.info("certificates_revoked", given=given, count=len(revoked), number=number, by=current_caller().identity)
        return revoked, number

    def _read(self) -> tuple[list[Revocation], int]:
        from servicekit.tls.revocations import RevocationFile  # noqa: PLC0415

        listed = RevocationFile(self._folder.revoked, self._ca).read()
        return _sorted((one.serial, one.identity, one.time) for one in listed.entries), listed.number

    def _revoke(self, given: str) -> tuple[list[Revocation], int]:
        from conductor.maintenance.certificates.pool import PoolCertificates  # noqa: PLC0415
        from conductor.maintenance.certificates.register import read_register  # noqa: PLC0415
        from conductor.maintenance.certificates.renewal import (  # noqa: PLC0415
            MemberNotFoundError,
            find_certificates,
            revoke,
        )

        read_register(self._folder)  # it says best what is missing
        with locked(self._folder.path):
            certificates = PoolCertificates(self._folder, datetime.now(UTC))
            try:
                meant = find_certificates(certificates.register, given, certificates.now)
            except MemberNotFoundError as error:
                raise NotFoundError("certificate", given, hint=f"{error}: conductor certs list") from error
            register = revoke(certificates, meant)
        serials = {entry.serial for entry in meant}
        entries = [entry for entry in register.entries if entry.serial in serials and entry.revoked]
        found = ((entry.serial, register.identity_of(entry), entry.revoked or certificates.now) for entry in entries)
        return _sorted(found), register.version


@contextmanager
def _unusable() -> Iterator[None]:
    try:
        yield
    except TlsError as error:
        raise PreconditionError(CERTIFICATES_UNUSABLE, str(error), hint=error.hint) from error


def _sorted(found: "Iterable[tuple[int, Identity | None, datetime]]") -> list[Revocation]:
    made = (Revocation(f"{serial:040x}", who.uri if who else "", time.timestamp()) for serial, who, time in found)
    return sorted(made, key=lambda one: one.serial)
