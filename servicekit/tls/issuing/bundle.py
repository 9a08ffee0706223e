"""A bundle: one file that makes a host, a client or a further conductor a member of a pool.

It is text: a head, then PEM blocks, so that other programs (curl, grpcurl, openssl) can read certificate, key and CA from it.

    conductor-bundle: 1
    # lines for people
    address: 192.168.1.5:7420          a host's own addresses; for the others, those of the conductor

    -----BEGIN PRIVATE KEY-----        each key (PKCS #8), then its certificate; a conductor has two of both
    -----BEGIN CERTIFICATE-----
    -----BEGIN CERTIFICATE-----        at the end the pool's CAs: one, or two during a rotation

Who it is for stands in the certificates alone. A file that was damaged or made up is refused in one sentence.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from servicekit.addresses import Address, AddressError
from servicekit.tls.certificates import (
    CALLING,
    SERVING,
    Facts,
    UnreadableError,
    belong_together,
    facts_of,
    is_issued_by,
    read_certificates,
    read_key,
)
from servicekit.tls.files import TlsError
from servicekit.tls.identity import Identity, Kind

FIRST_LINE = "conductor-bundle: 1"
MAX_BYTES = 64 * 1024
MAX_ADDRESSES = 16
_MAX_BLOCKS = 8
_BLOCK = re.compile(
    r"-----BEGIN (?P<label>PRIVATE KEY|CERTIFICATE)-----\n[A-Za-z0-9+/=\n]{1,16384}-----END (?P=label)-----\n?"
)
_USAGES = {Kind.HOST: (SERVING,), Kind.CLIENT: (CALLING,), Kind.CONDUCTOR: (SERVING, CALLING)}
_WRITE_AGAIN = (
    "copy the file again, or have it written again where the pool's CA is:  conductor certs renew {member} --out FOLDER"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM form."""

    certificate: bytes
    key: bytes
    facts: Facts


@dataclass(frozen=True, slots=True)
class Bundle:
    """The content of a bundle file: `server` is what its holder serves with, `client` what it calls with."""

    identity: Identity
    role: str
    addresses: tuple[str, ...]
    ca: bytes
    server: Pair | None = None
    client: Pair | None = None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Its certificates."""
        return tuple(pair for pair in (self.server, self.client) if pair is not None)

    @property
    def not_after(self) -> datetime:
        """The first end of its certificates."""
        return min(pair.facts.not_after for pair in self.pairs)


def write_bundle(
    pairs: Iterable[tuple[bytes, bytes]], ca: bytes, addresses: Sequence[str], comments: Sequence[str]
) -> bytes:
    """Makes the bytes of a bundle file of keys with their certificates."""
    head = [FIRST_LINE, *(f"# {line}" for line in comments), *(f"address: {each}" for each in addresses), "", ""]
    return "\n".join(head).encode() + b"".join(key + certificate for key, certificate in pairs) + ca


def read_bundle(data: bytes, source: str, now: datetime) -> Bundle:
    """Reads the bytes of a bundle file; raises TlsError where it cannot make its holder a member of a pool now."""
    if len(data) > MAX_BYTES:
        raise _refused(source, f"it has more than {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("ascii").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _refused(source, "it is not text") from error
    head, rest = _parts(text)
    if head[:1] != [FIRST_LINE]:
        raise _refused(source, f"its first line is not '{FIRST_LINE}'")
    keys, certificates = _blocks(source, rest)
    try:
        bundle = _assembled(source, _addresses(source, head[1:]), keys, certificates)
    except UnreadableError as error:
        raise _refused(source, str(error)) from error
    _refuse_outdated(source, bundle, now)
    return bundle


def _parts(text: str) -> tuple[list[str], str]:
    start = text.find("-----BEGIN ")
    head = text if start < 0 else text[:start]
    return [line.strip() for line in head.split("\n") if line.strip()], "" if start < 0 else text[start:]


def _addresses(source: str, head: Sequence[str]) -> tuple[str, ...]:
    found = []
    for number, line in enumerate(head, 2):
        key, _, value = line.partition(": ")
        if line.startswith("#"):
            continue
        # No line is shown: in a damaged file it may be a part of the key.
        if key != "address":
            raise _refused(source, f"line {number} is none of a bundle")
        try:
            found.append(Address.parse_dialled(value, is_anywhere=True).text)
        except AddressError as error:
            raise _refused(source, f"line {number} has no address that can be dialled") from error
    if len(found) > MAX_ADDRESSES:
        raise _refused(source, f"it names more than {MAX_ADDRESSES} addresses")
    return tuple(found)


def _blocks(source: str, text: str) -> tuple[list[bytes], list[bytes]]:
    """Returns the keys and the certificates of the PEM blocks, and refuses anything between them."""
    found: dict[str, list[bytes]] = {"PRIVATE KEY": [], "CERTIFICATE": []}
    position, text = 0, text.rstrip()
    for count, match in enumerate(_BLOCK.finditer(text)):
        if count >= _MAX_BLOCKS or text[position : match.start()].strip():
            raise _refused(source, "it holds more than keys and certificates")
        found[match["label"]].append(match[0].strip().encode() + b"\n")
        position = match.end()
    if text[position:].strip():
        raise _refused(source, "it is cut off, or holds more than keys and certificates")
    return found["PRIVATE KEY"], found["CERTIFICATE"]


def _assembled(source: str, addresses: tuple[str, ...], keys: list[bytes], certificates: list[bytes]) -> Bundle:
    if not keys or not certificates:
        raise _refused(source, f"it holds no {'certificate' if keys else 'key'}")
    read = [read_certificates(pem)[0] for pem in certificates]
    authorities = [each for each in read if facts_of(each).is_authority]
    pairs = _pairs(source, keys, [each for each in read if each not in authorities], authorities)
    identity = _one_identity(source, pairs)
    by_usage = {next(iter(pair.facts.usages)): pair for pair in pairs if len(pair.facts.usages) == 1}
    if len(by_usage) != len(pairs) or set(by_usage) != set(_USAGES[identity.kind]):
        raise _refused(source, f"its certificates are not those of a {identity.kind}: {_told(pairs)}")
    role = pairs[0].facts.role
    if identity.kind is Kind.CLIENT and not role:
        raise _refused(source, "its certificate names no role")
    ca = b"".join(each.public_bytes(Encoding.PEM) for each in authorities)
    return Bundle(identity, role, addresses, ca, by_usage.get(SERVING), by_usage.get(CALLING))


def _pairs(
    source: str, keys: list[bytes], leaves: list[x509.Certificate], authorities: list[x509.Certificate]
) -> list[Pair]:
    if not leaves:
        raise _refused(source, "it holds no certificate of a host, client or conductor")
    if not authorities:
        raise _refused(source, "it holds no certificate of a CA")
    pairs = []
    for leaf in leaves:
        if not any(is_issued_by(leaf, each) for each in authorities):
            raise _refused(source, "its certificate was not issued by the CA in it")
        own = [key for key in keys if belong_together(leaf, read_key(key))]
        if len(own) != 1:
            raise _refused(source, "its key is not that of its certificate")
        pairs.append(Pair(leaf.public_bytes(Encoding.PEM), own[0], facts_of(leaf)))
    if len(keys) != len(pairs):
        raise _refused(source, "it holds a key without its certificate")
    return pairs


def _one_identity(source: str, pairs: list[Pair]) -> Identity:
    found = {pair.facts.identity for pair in pairs}
    (identity, *others) = found
    if identity is None or others:
        raise _refused(source, "its certificate does not name one host, client or conductor of a pool")
    return identity


def _told(pairs: list[Pair]) -> str:
    return ", ".join(sorted(usage for pair in pairs for usage in pair.facts.usages)) or "no usage"


def _refuse_outdated(source: str, bundle: Bundle, now: datetime) -> None:
    """Raises TlsError for a certificate that is not valid now, with both clocks: the one here may be wrong."""
    clock = f"{now:%Y-%m-%d %H:%M} UTC on this machine's clock"
    for pair in bundle.pairs:
        if now > pair.facts.not_after:
            why = f"its certificate ended on {pair.facts.not_after:%Y-%m-%d %H:%M} UTC, and it is {clock}"
            raise _refused(source, why, _member(bundle.identity))
        if now < pair.facts.not_before:
            why = f"its certificate begins on {pair.facts.not_before:%Y-%m-%d %H:%M} UTC, and it is {clock}"
            raise TlsError(f"{source} cannot be used: {why}", hint="set this machine's clock:  date -u")


def _member(identity: Identity) -> str:
    """Returns how `certs renew` names a member; a conductor's certificate names its id instead."""
    return "NAME" if identity.kind is Kind.CONDUCTOR else f"{identity.kind}/{identity.name}"


def _refused(source: str, why: str, member: str = "NAME") -> TlsError:
    return TlsError(f"{source} is no usable bundle: {why}", hint=_WRITE_AGAIN.format(member=member))
