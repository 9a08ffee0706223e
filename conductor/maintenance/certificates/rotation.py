"""Replaces the pool's CA in two steps, without a gap: first all members trust both, then the former one is dropped.

    begin     a new CA signs from now on; every bundle trusts both. Members take theirs in, one after the other.
    finish    the conductor's own certificates are of the new CA, and the former one is trusted no longer: the new CA's list
              revokes it, and hosts drop it when they get that list.

A step that was interrupted is repeated whole.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from conductor.maintenance.certificates.pool import PoolCertificates
from conductor.maintenance.certificates.register import MAX_FORMER, Member
from conductor.maintenance.certificates.renewal import is_own
from servicekit.tls.certificates import read_certificates
from servicekit.tls.files import TlsError, read_bounded, write_whole
from servicekit.tls.issuing.authority import Authority


def is_under_way(certificates: PoolCertificates) -> bool:
    """Returns whether a former CA is still trusted."""
    return len(_trusted(certificates)) > 1


def begin(certificates: PoolCertificates) -> None:
    """Makes a new CA beside the one that signs now; raises TlsError where a rotation is under way."""
    current = certificates.authority.certificate
    if _trusted(certificates)[0] != current:  # the key of the first one was not written, so it signed nothing
        write_whole(certificates.folder.ca, _pem([current]))
    if is_under_way(certificates):
        raise TlsError(
            "a rotation is under way: two CAs are trusted",
            hint="write bundles again:  conductor certs renew --all --out FOLDER, or end it:  conductor certs rotate-ca --finish",
        )
    made = Authority.make(certificates.register.pool, certificates.now)
    write_whole(certificates.folder.ca, _pem([made.certificate, current]))
    write_whole(certificates.folder.ca_key, made.key_pem)
    certificates.authority = made
    if certificates.folder.revoked.exists():
        certificates.sign_list()


def left_behind(certificates: PoolCertificates) -> tuple[Member, ...]:
    """Returns the members that hold no certificate of the new CA yet, and one of the former CA that has not ended."""
    serial, now = certificates.authority.certificate.serial_number, certificates.now
    return tuple(
        each
        for each in certificates.register.members(now)
        if not is_own(certificates.register, each)
        and not each.is_revoked
        and each.not_after > now
        and each.entry.authority != serial
    )


def finish(certificates: PoolCertificates, conductor_id: str) -> datetime:
    """Drops the former CA; returns the end of the conductor's new certificates."""
    current = certificates.authority.certificate
    if not is_under_way(certificates):
        raise TlsError(
            "no rotation is under way: one CA is trusted", hint="begin one:  conductor certs rotate-ca --out FOLDER"
        )
    end = certificates.equip(conductor_id)
    former = [each.serial_number for each in _trusted(certificates) if each != current]
    register = certificates.register
    kept = tuple(dict.fromkeys([*register.former, *former]))[-MAX_FORMER:]
    certificates.keep(replace(register, former=kept, version=register.version + 1))
    write_whole(certificates.folder.ca, _pem([current]))
    return end


def _trusted(certificates: PoolCertificates) -> Sequence[x509.Certificate]:
    return read_certificates(read_bounded(certificates.folder.ca))


def _pem(authorities: Sequence[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in authorities)
