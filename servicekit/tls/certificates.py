"""Reads certificates and keys: whom a certificate names, what it may do, and how long. Trusts nothing that it reads."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from servicekit.tls.identity import ROLES, Identity, IdentityError

MAX_CHAIN = 8
SERVING, CALLING = "serverAuth", "clientAuth"
_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: SERVING, ExtendedKeyUsageOID.CLIENT_AUTH: CALLING}


# Raised by the library for certificates that are none, or odd.
MALFORMED = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)


class UnreadableError(ValueError):
    """A text is no certificate or no key; the text says why."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The content of a certificate. `identity` is None, and `role` empty, where it names none.

    `authority` is the key identifier of the CA that signed it; empty where it names none.
    """

    identity: Identity | None
    role: str
    serial: int
    not_before: datetime
    not_after: datetime
    is_authority: bool
    usages: frozenset[str]
    names: tuple[str, ...]
    authority: bytes = b""


def read_certificates(pem: bytes) -> Sequence[x509.Certificate]:
    """Reads the certificates of a PEM text, at least one; raises UnreadableError."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except MALFORMED as error:
        raise UnreadableError("it holds no certificate in PEM form") from error
    if len(found) > MAX_CHAIN:
        raise UnreadableError(f"it holds {len(found)} certificates, more than {MAX_CHAIN}")
    return found


def read_key(pem: bytes) -> PrivateKeyTypes:
    """Reads the first private key of a PEM text; raises UnreadableError."""
    try:
        return load_pem_private_key(pem, None)
    except TypeError as error:
        raise UnreadableError("its key is encrypted, and services cannot ask for a password") from error
    except MALFORMED as error:
        raise UnreadableError("it holds no private key in PEM form") from error


def facts_of(certificate: x509.Certificate) -> Facts:
    """Returns what a certificate says; raises UnreadableError where its extensions cannot be read."""
    try:
        return _facts(certificate)
    except MALFORMED as error:
        raise UnreadableError("its certificate is malformed") from error


@lru_cache(maxsize=1024)
def read_facts(pem: bytes) -> Facts:
    """Returns what the first certificate of a PEM text says; raises UnreadableError. Each call asks for those of its connection."""
    return facts_of(read_certificates(pem)[0])


def read_shown(connection: ssl.SSLSocket | ssl.SSLObject) -> Facts | None:
    """Returns what the certificate of the other side says; None where it showed none. Raises UnreadableError."""
    shown = connection.getpeercert(binary_form=True)
    return read_facts(ssl.DER_cert_to_PEM_cert(shown).encode()) if shown else None


def _facts(certificate: x509.Certificate) -> Facts:
    uris, names = _alternative_names(certificate)
    return Facts(
        identity=_identity(uris),
        role=_role(certificate),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_authority=_is_authority(certificate),
        usages=_usages(certificate),
        names=names,
        authority=_authority(certificate),
    )


def belong_together(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Returns whether a key is that of a certificate."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
    except MALFORMED:
        return False


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Returns whether an authority signed a certificate. Dates are not looked at."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, *MALFORMED):
        return False
    return _is_authority(authority)


def is_curve_key(key: PrivateKeyTypes) -> bool:
    """Returns whether a key is of the kind that the pool's own CA makes."""
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


def _identity(uris: Sequence[str]) -> Identity | None:
    """Returns whom exactly one URI names: SPIFFE allows one, and two could be read as either."""
    try:
        return Identity.parse(uris[0]) if len(uris) == 1 else None
    except IdentityError:
        return None


def _alternative_names(certificate: x509.Certificate) -> tuple[Sequence[str], tuple[str, ...]]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    addresses = (str(each) for each in found.get_values_for_type(x509.IPAddress))
    names = (*found.get_values_for_type(x509.DNSName), *addresses)
    return found.get_values_for_type(x509.UniformResourceIdentifier), names


def _role(certificate: x509.Certificate) -> str:
    given = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return given[0] if len(given) == 1 and given[0] in ROLES else ""


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def key_identifier(authority: x509.Certificate) -> bytes:
    """Returns the identifier of a CA's key, by which its certificates name it; empty where it has none."""
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return b""


def _authority(certificate: x509.Certificate) -> bytes:
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return b""
    return found.key_identifier or b""


def _usages(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(_USAGES[each] for each in found if each in _USAGES)
