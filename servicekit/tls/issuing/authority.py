"""Makes the pool's own CA and the certificates that it signs: ECDSA P-256, with strict usages.

Time is an argument. Nothing is stored here: the caller records a serial before a certificate leaves its hands.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from servicekit.tls.certificates import CALLING, MALFORMED, SERVING, belong_together, facts_of, is_curve_key, read_key
from servicekit.tls.files import TlsError
from servicekit.tls.identity import NAME_RULE, Identity, Kind, is_name
from servicekit.tls.revocations import PARTY, Revoked

AUTHORITY_LIFE = timedelta(days=3652)  # ten years
LEAF_LIFE = timedelta(days=90)
RENEWED_BEFORE_SECONDS = 30 * 86_400.0  # before their end
RENEWED_BEFORE = timedelta(seconds=RENEWED_BEFORE_SECONDS)
# A machine's clock may be behind that of the machine which issues.
BACKDATED = timedelta(hours=24)
_EXTENDED = {SERVING: ExtendedKeyUsageOID.SERVER_AUTH, CALLING: ExtendedKeyUsageOID.CLIENT_AUTH}
_NO_USAGES = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, slots=True)
class Request:
    """A certificate to issue. `label` is its subject's common name, for people; `names` are DNS names and IP addresses."""

    identity: Identity
    usage: str
    label: str
    role: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, in PEM form; `key` is empty where another machine has it."""

    serial: int
    not_before: datetime
    not_after: datetime
    certificate: bytes
    key: bytes


class Authority:
    """The pool's CA. It signs; it decides nothing."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def make(cls, pool: str, now: datetime) -> Self:
        """Makes a new CA."""
        key, serial = ec.generate_private_key(ec.SECP256R1()), x509.random_serial_number()
        # Two CAs of one pool, during a rotation, have different subjects.
        subject = _subject(f"{pool} CA {serial:x}"[:63], "conductor pool")
        public = key.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        builder = x509.CertificateBuilder(subject, subject, public, serial, now - BACKDATED, now + AUTHORITY_LIFE)
        for extension, is_critical in (
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (x509.KeyUsage(**{**_NO_USAGES, "key_cert_sign": True, "crl_sign": True}), True),
            (identifier, False),
            (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
        ):
            builder = builder.add_extension(extension, critical=is_critical)
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def load(cls, certificates: Sequence[x509.Certificate], key_pem: bytes) -> Self:
        """Finds the CA that a key belongs to among the trusted ones; raises TlsError where there is none."""
        key = read_key(key_pem)
        for certificate in certificates:
            if belong_together(certificate, key) and facts_of(certificate).is_authority and is_curve_key(key):
                assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 (is_curve_key said so)
                return cls(certificate, key)
        raise TlsError(
            "ca-key.pem is not the key of a CA in ca.pem", hint="restore both from the copy that you keep of them"
        )

    @property
    def certificate_pem(self) -> bytes:
        """The certificate that others trust."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key that must be kept secret."""
        return _key_pem(self._key)

    def issue(self, request: Request, now: datetime, public: ec.EllipticCurvePublicKey | None = None) -> Issued:
        """Issues a certificate: with a new key, or for the key of which the public half is given."""
        key = ec.generate_private_key(ec.SECP256R1()) if public is None else None
        held = key.public_key() if key is not None else public
        assert held is not None  # noqa: S101 (one of them is given)
        serial = x509.random_serial_number()
        subject, issuer = _subject(request.label, request.role), self.certificate.subject
        # A certificate is of no use after its CA's end.
        end = min(now + LEAF_LIFE, self.certificate.not_valid_after_utc)
        builder = x509.CertificateBuilder(issuer, subject, held, serial, now - BACKDATED, end)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(held), critical=False)
        for extension, is_critical in self._leaf_extensions(request):
            builder = builder.add_extension(extension, critical=is_critical)
        made = builder.sign(self._key, SHA256())
        pem = made.public_bytes(Encoding.PEM)
        own = _key_pem(key) if key is not None else b""
        return Issued(serial, made.not_valid_before_utc, made.not_valid_after_utc, pem, own)

    def sign_list(self, revoked: Iterable[Revoked], number: int, now: datetime) -> bytes:
        """Makes the list of revoked certificates, in PEM form."""
        certificate = self.certificate
        builder = x509.CertificateRevocationListBuilder(certificate.subject, now, certificate.not_valid_after_utc)
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        builder = builder.add_extension(self._identifier(), critical=False)
        for each in revoked:
            builder = builder.add_revoked_certificate(_listed(each))
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM)

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)

    def _leaf_extensions(self, request: Request) -> Iterable[tuple[x509.ExtensionType, bool]]:
        yield x509.BasicConstraints(ca=False, path_length=None), True
        yield x509.KeyUsage(**{**_NO_USAGES, "digital_signature": True}), True
        yield x509.ExtendedKeyUsage([_EXTENDED[request.usage]]), False
        yield self._identifier(), False
        names = [_general_name(each) for each in request.names]
        uri = x509.UniformResourceIdentifier(request.identity.uri)
        yield x509.SubjectAlternativeName([*names, uri]), False


def host_request(pool: str, name: str) -> Request:
    """Returns the request for a host: it serves, under a name that no other host can have."""
    identity = _checked(pool, Kind.HOST, name)
    return Request(identity, SERVING, name, names=(identity.server_name,))


def client_request(pool: str, name: str, role: str) -> Request:
    """Returns the request for a person or a program."""
    return Request(_checked(pool, Kind.CLIENT, name), CALLING, name, role)


def conductor_requests(pool: str, name: str, conductor_id: str, addresses: Iterable[str]) -> tuple[Request, Request]:
    """Returns the requests for a conductor: the certificate that it serves clients with, and the one that it dials hosts with."""
    identity = _checked(pool, Kind.CONDUCTOR, conductor_id)
    _checked(pool, Kind.CONDUCTOR, name)
    names = tuple(dict.fromkeys((identity.server_name, *addresses)))
    return Request(identity, SERVING, name, names=names), Request(identity, CALLING, name)


def _checked(pool: str, kind: Kind, name: str) -> Identity:
    for each in (pool, name):
        if not is_name(each):
            raise TlsError(f"{each!r} cannot be a name in a pool", hint=f"a name has {NAME_RULE}")
    return Identity(pool, kind, name)


def make_signing_request(name: str) -> tuple[bytes, bytes]:
    """Makes a key, and the request to sign a certificate for it; returns both in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder(_subject(name, "")).sign(key, SHA256())
    return _key_pem(key), request.public_bytes(Encoding.PEM)


def read_signing_request(pem: bytes) -> ec.EllipticCurvePublicKey:
    """Returns the key that a request proves to hold; raises TlsError. The names in it count for nothing."""
    try:
        request = x509.load_pem_x509_csr(pem)
        public = request.public_key()
        if request.is_signature_valid and isinstance(public, ec.EllipticCurvePublicKey):
            return public
    except MALFORMED as error:
        raise TlsError("this is no request to sign a certificate") from error
    raise TlsError("this request to sign a certificate proves no key of an elliptic curve")


def _listed(revoked: Revoked) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder(revoked.serial, revoked.time)
    if revoked.identity is not None:
        party = x509.UnrecognizedExtension(PARTY, revoked.identity.uri.encode())
        builder = builder.add_extension(party, critical=False)
    return builder.build()


def _subject(common_name: str, organization: str) -> x509.Name:
    parts = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, common_name)]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
