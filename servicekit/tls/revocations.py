"""The list of a pool's revoked certificates, as its CA signed it: an X.509 CRL (RFC 5280), in the file `crl.pem`.

Conductors give it to hosts, which take only a newer one, signed by a CA that they trust. Its date of the next list counts for
nothing: a conductor that is away must not close the pool. A revoked party is named too, in a private extension of its entry: the
dialling side of gRPC sees no serial, so a conductor never dials a revoked host's name again.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from servicekit.tls.certificates import (
    MALFORMED,
    Facts,
    UnreadableError,
    facts_of,
    key_identifier,
    read_certificates,
)
from servicekit.tls.files import TlsError, TlsFolder, locked, read_bounded, state_of, write_whole
from servicekit.tls.identity import Identity, IdentityError, Kind

MAX_REVOKED = 5_000
MAX_BYTES = 1024 * 1024
# Below the arc of UUIDs (ITU-T X.667): the URI of the party whose certificate was revoked.
PARTY = x509.ObjectIdentifier("2.25.286310452190318027712914320458117204219")
_SIGN_AGAIN = "sign it again where the pool's CA is:  conductor certs revoke"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revoked certificate. `identity` is None for that of a former CA."""

    serial: int
    identity: Identity | None
    time: datetime


@dataclass(frozen=True, slots=True)
class Revocations:
    """The content of a list. `number` rises with each revocation; 0 is no list. `hosts` are not dialled."""

    number: int = 0
    entries: tuple[Revoked, ...] = ()
    serials: frozenset[int] = frozenset()
    hosts: frozenset[Identity] = frozenset()


@dataclass(frozen=True, slots=True)
class RevocationFile:
    """A list on disk, and the file with the CAs that may sign it."""

    path: Path
    ca: Path

    @classmethod
    def of(cls, folder: TlsFolder) -> Self:
        """Returns that of a folder with certificates."""
        return cls(folder.revoked, folder.ca)

    @property
    def is_own(self) -> bool:
        """True for the pool's own CA, and false for an operator's PKI, whose files are elsewhere."""
        return self.ca.parent == self.path.parent

    def read(self) -> Revocations:
        """Reads the list, empty where there is none; raises TlsError for one that cannot be used."""
        if not self.path.exists():
            return Revocations()
        return read_list(self.pem(), read_bounded(self.ca), str(self.path))

    def trusted_keys(self) -> frozenset[bytes]:
        """Returns the key identifiers of the pool's own CAs; raises TlsError where their file cannot be used.

        Returns none for an operator's own PKI: certificates may be of CAs in between, which no file here has.
        """
        if not self.is_own:
            return frozenset()
        try:
            return frozenset(map(key_identifier, read_certificates(read_bounded(self.ca))))
        except MALFORMED as error:
            raise TlsError(f"{self.ca} cannot be used: {error}") from error

    def pem(self) -> bytes:
        """Returns the list in PEM form, to be given on; empty where there is none."""
        return read_bounded(self.path, _SIGN_AGAIN, MAX_BYTES) if self.path.exists() else b""

    def accept(self, pem: bytes) -> Revocations:
        """Keeps a list that came from another machine, if it is newer; returns the one that holds now. Raises TlsError.

        A CA that the list of a newer CA revokes is trusted no longer: so ends a rotation on every machine.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.path.parent):
            offered = read_list(pem, read_bounded(self.ca), "the list of revoked certificates")
            if offered.number > (kept := self.read()).number:
                write_whole(self.path, pem)
                kept = offered
            self._drop_former(kept)
            return kept

    def _drop_former(self, kept: Revocations) -> None:
        """Drops revoked CAs behind the first, which is the newest: so a former CA can drop none that came after it.

        The file of an operator's own PKI is not ours to change.
        """
        newest, *older = read_certificates(read_bounded(self.ca))
        left = [each for each in older if each.serial_number not in kept.serials]
        if self.is_own and len(left) < len(older) and _is_signed(x509.load_pem_x509_crl(self.pem()), newest):
            write_whole(self.ca, b"".join(each.public_bytes(Encoding.PEM) for each in (newest, *left)))


def read_list(pem: bytes, authorities: bytes, source: str) -> Revocations:
    """Reads a list; raises TlsError where it is none, is too long, or was signed by none of these CAs."""
    if len(pem) > MAX_BYTES:
        raise TlsError(f"{source} has more than {MAX_BYTES // 1024} KiB", hint=_SIGN_AGAIN)
    try:
        listed = x509.load_pem_x509_crl(pem)
        trusted = [each for each in read_certificates(authorities) if facts_of(each).is_authority]
        is_signed = any(_is_signed(listed, authority) for authority in trusted)
        found = _read(listed)
    except (x509.ExtensionNotFound, *MALFORMED) as error:
        raise TlsError(f"{source} is no list of revoked certificates", hint=_SIGN_AGAIN) from error
    if not is_signed:
        raise TlsError(f"{source} was signed by no CA that is trusted here", hint=_SIGN_AGAIN)
    return found


class WatchedRevocations:
    """A list as it is now: it is read again when its file, or that of the CAs, changes.

    A file that is damaged or gone changes nothing: what was revoked stays revoked. A connection outlives the trust in the CA that
    signed its certificate; so the CA is asked for again, too.
    """

    def __init__(self, file: RevocationFile) -> None:
        """Reads the list; raises TlsError where there is one that cannot be used."""
        self.file = file
        self._seen = state_of(self.file.path, self.file.ca)
        self._current, self._trusted = file.read(), file.trusted_keys()

    @property
    def current(self) -> Revocations:
        """The list that holds now."""
        if (now := state_of(self.file.path, self.file.ca)) != self._seen:
            self._seen = now
            try:
                read, trusted = self.file.read(), self.file.trusted_keys()
            except TlsError as error:
                _log.warning("revocations_not_taken_up", problem=str(error), hint=error.hint)
            else:
                self._trusted = trusted
                self._take(read)
        return self._current

    def why_refused(self, facts: Facts) -> str:
        """Returns why a certificate is not accepted any more; empty where it is."""
        if facts.serial in self.current.serials:
            return "was revoked"
        if self._trusted and facts.authority not in self._trusted:
            return "is of a CA that is trusted no longer"
        return ""

    def _take(self, read: Revocations) -> None:
        if read.number < self._current.number:
            _log.warning("revocations_not_taken_up", number=read.number, holding=self._current.number)
            return
        self._current = read
        _log.info("revocations_taken_up", number=read.number, certificates=len(read.serials))


def _is_signed(listed: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return listed.is_signature_valid(authority.public_key())  # type: ignore[arg-type] # another kind raises TypeError
    except MALFORMED:
        return False


def _read(listed: x509.CertificateRevocationList) -> Revocations:
    number = listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    entries = []
    for entry in listed:
        entries.append(Revoked(entry.serial_number, _party(entry), entry.revocation_date_utc))
        if len(entries) > MAX_REVOKED:
            raise UnreadableError("it is too long")
    hosts = frozenset(each.identity for each in entries if each.identity and each.identity.kind is Kind.HOST)
    return Revocations(number, tuple(entries), frozenset(each.serial for each in entries), hosts)


def _party(entry: x509.RevokedCertificate) -> Identity | None:
    try:
        value = entry.extensions.get_extension_for_oid(PARTY).value
        return Identity.parse(value.value.decode("ascii")) if isinstance(value, x509.UnrecognizedExtension) else None
    except (x509.ExtensionNotFound, IdentityError, UnicodeDecodeError):
        return None
