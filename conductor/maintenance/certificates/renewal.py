"""Finds whose certificates end soon, and revokes certificates."""

from datetime import datetime, timedelta

from conductor.maintenance.certificates.pool import PoolCertificates
from conductor.maintenance.certificates.register import Entry, Member, Register
from servicekit.errors import closest
from servicekit.tls.files import TlsError
from servicekit.tls.identity import Kind
from servicekit.tls.issuing.authority import RENEWED_BEFORE
from servicekit.tls.revocations import MAX_REVOKED

_LEAST_SERIAL = 8  # digits of a serial that name it


class MemberNotFoundError(TlsError):
    """No certificate is meant by that, or several are."""


def members_due(register: Register, now: datetime, before: timedelta = RENEWED_BEFORE) -> tuple[Member, ...]:
    """Returns the members whose certificates end soon, ended lately, or are of a former CA."""
    return tuple(
        each
        for each in register.members(now)
        if not each.is_revoked and (each.not_after <= now + before or each.entry.authority in register.former)
    )


def is_own(register: Register, member: Member) -> bool:
    """Returns whether a member is the conductor in the folder of the CA."""
    return (member.entry.kind, member.entry.name) == (Kind.CONDUCTOR, register.conductor)


def find_members(register: Register, names: tuple[str, ...], now: datetime) -> tuple[Member, ...]:
    """Returns the members that are named, as NAME or KIND/NAME; raises TlsError for one that is none or several."""
    return tuple(_find(register, name, now) for name in names)


def _find(register: Register, given: str, now: datetime) -> Member:
    kind, _, name = given.rpartition("/")
    found = [each for each in register.members(now) if each.entry.name == name and kind in ("", each.entry.kind)]
    if len(found) > 1:
        said = ", ".join(f"{each.entry.kind}/{name}" for each in found)
        raise MemberNotFoundError(f"'{name}' is the name of {len(found)} members", hint=f"name one of them:  {said}")
    if not found:
        near = closest(name, [each.entry.name for each in register.members(now)])
        hint = f"did you mean '{near}'? See all:  conductor certs list" if near else "see all:  conductor certs list"
        raise MemberNotFoundError(f"there is no member '{given}' of the pool '{register.pool}'", hint=hint)
    return found[0]


def find_certificates(register: Register, given: str, now: datetime) -> tuple[Entry, ...]:
    """Returns the certificates that still hold of a member, or the one with this serial."""
    serial = given.lower().removeprefix("0x")
    by_serial = [entry for entry in register.entries if f"{entry.serial:040x}".startswith(serial)]
    if len(serial) >= _LEAST_SERIAL and len(by_serial) == 1:
        return tuple(by_serial)
    entry = _find(register, given, now).entry
    return tuple(
        each for each in register.entries if (each.kind, each.name) == (entry.kind, entry.name) and each.not_after > now
    )


def revoke(certificates: PoolCertificates, entries: tuple[Entry, ...]) -> Register:
    """Revokes certificates, for good, and signs the list. To repeat it changes nothing but the signature."""
    register, now = certificates.register, certificates.now
    own = [entry for entry in register.entries if (entry.kind, entry.name) == (Kind.CONDUCTOR, register.conductor)]
    newest = {entry.usage: entry.serial for entry in own}
    if any(entry.serial in newest.values() for entry in entries):
        raise TlsError(
            f"that is the certificate of the conductor in {certificates.folder.path}, which it serves with",
            hint=f"give it a new one first:  conductor certs renew {register.conductor}, then revoke the old one by its serial",
        )
    fresh = frozenset(entry.serial for entry in entries if entry.revoked is None)
    listed = sum(1 for entry in register.entries if entry.revoked and entry.not_after > now)
    if listed + len(fresh) + len(register.former) > MAX_REVOKED:
        raise TlsError(
            f"the list of revoked certificates has {listed}, and holds at most {MAX_REVOKED}",
            hint="replace the CA:  conductor certs rotate-ca --out FOLDER",
        )
    if fresh:
        certificates.keep(register.with_revoked(fresh, now))
    else:
        certificates.sign_list()  # a call that was interrupted may not have come to this
    return certificates.register
