"""Takes new certificates for the host, for a key that never leaves it. A conductor is trusted with nothing: what counts is the CA.

The key of the newest request is kept in memory until its certificate comes; a restart in between costs another request.
"""

from datetime import UTC, datetime

from servicekit.errors import InvalidRequestError, Violation
from servicekit.tls.certificates import (
    UnreadableError,
    belong_together,
    facts_of,
    is_issued_by,
    read_certificates,
    read_facts,
    read_key,
)
from servicekit.tls.files import TlsError, TlsFolder, locked, read_bounded
from servicekit.tls.issuing.authority import make_signing_request


class CertificateRenewal:
    """Renews the certificate in a host's folder. Blocking: call it through a thread."""

    def __init__(self, folder: TlsFolder) -> None:
        self._folder = folder
        self._key = b""

    def request(self) -> bytes:
        """Makes a key, and returns the request to sign a certificate for it."""
        try:
            own = read_facts(read_bounded(self._folder.serving().certificate))
        except UnreadableError as error:
            raise TlsError(f"the host's certificate cannot be read: {error}") from error
        self._key, request = make_signing_request(own.identity.name if own.identity else "")
        return request

    def take(self, pem: bytes) -> datetime:
        """Serves with a new certificate from now on; returns its end. Raises InvalidRequestError for one that is not taken."""
        files = self._folder.serving()
        try:
            with locked(self._folder.path):
                if pem == read_bounded(files.certificate):
                    return read_facts(pem).not_after
                end = self._checked(pem)
                files.replace_pair(self._key, pem)
        except (TlsError, UnreadableError) as error:
            raise InvalidRequestError(Violation("certificate", str(error))) from error
        self._key = b""
        return end

    def _checked(self, pem: bytes) -> datetime:
        """Returns the end of a certificate; raises TlsError or UnreadableError where it is not one for this host and key."""
        (given, *others), now = read_certificates(pem), datetime.now(UTC)
        there = read_facts(read_bounded(self._folder.serving().certificate))
        facts = facts_of(given)
        trusted = read_certificates(read_bounded(self._folder.ca))
        why = {
            "it comes with others": bool(others),
            "no CA that this host trusts signed it": not any(is_issued_by(given, each) for each in trusted),
            "it is for another name or use": (facts.identity, facts.usages, set(facts.names))
            != (there.identity, there.usages, set(there.names)),
            "it is not for the key of the newest request": not self._key
            or not belong_together(given, read_key(self._key)),
            "it is not valid now": not facts.not_before <= now < facts.not_after,
            "it does not end later than the one before": facts.not_after <= there.not_after,
        }
        for text, holds in why.items():
            if holds:
                raise TlsError(text)
        return facts.not_after
