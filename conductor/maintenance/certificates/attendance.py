"""Renews the certificates of a running conductor with the CA, and signs those of its hosts.

Nothing of it happens while the CA is replaced: a person carries the bundles then.
"""

from datetime import UTC, datetime
from pathlib import Path

from conductor.maintenance.certificates.pool import PoolCertificates
from conductor.maintenance.certificates.rotation import is_under_way
from servicekit.tls.certificates import UnreadableError, read_facts
from servicekit.tls.files import TlsError, TlsFolder, locked, read_bounded
from servicekit.tls.issuing.authority import RENEWED_BEFORE


class Attendance:
    """Works on the folder with the CA, as `conductor certs` does. Blocking: call it through a thread."""

    def __init__(self, data: Path, conductor_id: str) -> None:
        self._folder = TlsFolder.of(data)
        self._conductor_id = conductor_id

    @property
    def has_authority(self) -> bool:
        """True where the folder holds the CA."""
        return self._folder.ca_key.exists() and self._folder.issued.exists()

    def renew_own(self) -> datetime | None:
        """Renews the conductor's certificates where they end soon; returns their new end. Raises TlsError."""
        places = (self._folder.serving(), self._folder.calling())
        try:
            ends = [read_facts(read_bounded(place.certificate)).not_after for place in places]
        except UnreadableError as error:
            raise TlsError(f"{self._folder.path}: {error}", hint="conductor certs renew --data DIR") from error
        now = datetime.now(UTC)
        if min(ends) > now + RENEWED_BEFORE:
            return None
        with locked(self._folder.path):
            certificates = PoolCertificates(self._folder, now)
            return None if is_under_way(certificates) else certificates.equip(self._conductor_id)

    def sign(self, host: str, signing_request: bytes) -> bytes:
        """Signs a certificate for a host of the pool. Raises TlsError."""
        with locked(self._folder.path):
            certificates = PoolCertificates(self._folder, datetime.now(UTC))
            if is_under_way(certificates):
                raise TlsError("the pool's CA is being replaced", hint="carry the host's new bundle to it")
            return certificates.sign_host(host, signing_request)
