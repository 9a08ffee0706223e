"""Makes the CA of a pool, and issues certificates by it.

Each certificate is recorded before it leaves, so each can be revoked. A step that was interrupted can be repeated.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from conductor.maintenance.certificates.machine import own_names
from conductor.maintenance.certificates.register import (
    Entry,
    Member,
    Register,
    read_register,
    write_register,
)
from servicekit.tls.certificates import UnreadableError, read_certificates, read_facts
from servicekit.tls.files import TlsError, TlsFiles, TlsFolder, locked, read_bounded, refuse_readable, write_whole
from servicekit.tls.identity import NAME_RULE, Identity, Kind, is_name
from servicekit.tls.issuing.authority import (
    Authority,
    Issued,
    Request,
    client_request,
    conductor_requests,
    host_request,
    read_signing_request,
)
from servicekit.tls.issuing.bundle import write_bundle
from servicekit.tls.revocations import RevocationFile, Revocations, Revoked

_KEPT_COPY = "restore it from your copy; without one, move the folder away and make a new pool:  conductor certs init"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A bundle that was made, and what it is about."""

    identity: Identity
    name: str
    data: bytes
    not_after: datetime


class PoolCertificates:
    """The CA of a folder, locked by the caller for as long as it issues."""

    def __init__(self, folder: TlsFolder, now: datetime) -> None:
        self.folder = folder
        self.now = now
        self._listed = RevocationFile.of(folder).read()
        self.register = _with_listed(read_register(folder), self._listed)
        try:
            trusted = read_certificates(read_bounded(folder.ca, _KEPT_COPY))
            key = read_bounded(folder.ca_key, _KEPT_COPY)
            refuse_readable(folder.ca_key)
            self.authority = Authority.load(trusted, key)
        except UnreadableError as error:
            raise TlsError(f"the CA in {folder.path} cannot be used: {error}", hint=_KEPT_COPY) from error

    def host(self, name: str, addresses: Sequence[str]) -> Delivery:
        """Makes the bundle of a host. A revoked name is not given again while the revoked certificate could be shown."""
        for entry in self.register.entries:
            if (entry.kind, entry.name) == (Kind.HOST, name) and entry.revoked and entry.not_after > self.now:
                raise TlsError(
                    f"the host '{name}' was revoked, and no conductor dials that name before {entry.not_after:%Y-%m-%d}",
                    hint=f"give the machine another name:  conductor certs host {name[:38]}-2 …",
                )
        return self._deliver([host_request(self.register.pool, name)], addresses)

    def sign_host(self, name: str, signing_request: bytes) -> bytes:
        """Signs a new certificate for a host that has one, with a key that the host made; returns it in PEM form."""
        member = self.register.member(Kind.HOST, name, self.now)
        if member is None or member.is_revoked:
            raise TlsError(f"the host '{name}' has no certificate of this CA that could be renewed")
        public = read_signing_request(signing_request)
        return self._issue(host_request(self.register.pool, name), member.entry.addresses, public).certificate

    def client(self, name: str, role: str) -> Delivery:
        """Makes the bundle of a person or a program."""
        return self._deliver([client_request(self.register.pool, name, role)], self.register.addresses)

    def conductor(self, name: str, conductor_id: str, addresses: Sequence[str]) -> Delivery:
        """Makes the bundle of a further conductor."""
        if name == self.register.conductor:
            raise TlsError(f"'{name}' is the conductor in this folder", hint="give the other one another NAME")
        there = self.register.member(Kind.CONDUCTOR, name, self.now)
        if there is not None and there.entry.id != conductor_id and not there.is_revoked:
            raise TlsError(
                f"the conductor '{name}' has the id {there.entry.id}, not {conductor_id}",
                hint=f"give this one another NAME, or revoke the other:  conductor certs revoke {name}",
            )
        requests = conductor_requests(self.register.pool, name, conductor_id, served_names(addresses))
        return self._deliver(requests, addresses)

    def again(self, member: Member) -> Delivery:
        """Makes a new bundle for a member, as its last one was."""
        entry = member.entry
        match entry.kind:
            case Kind.HOST:
                return self.host(entry.name, entry.addresses)
            case Kind.CLIENT:
                return self.client(entry.name, entry.role)
            case Kind.CONDUCTOR:
                return self.conductor(entry.name, entry.id, entry.addresses)

    def equip(self, conductor_id: str) -> datetime:
        """Issues the certificates of the conductor in this folder; returns their end."""
        register = self.register
        names = (*served_names(register.addresses), *own_names())
        requests = conductor_requests(register.pool, register.conductor, conductor_id, names)
        issued = [self._issue(request, register.addresses) for request in requests]
        for one, place in zip(issued, self._own_files(), strict=True):
            place.replace_pair(one.key, one.certificate)
        return min(one.not_after for one in issued)

    def is_equipped(self, conductor_id: str) -> bool:
        """Returns whether the conductor's files fit together, and are of this id."""
        try:
            found = [read_facts(files.checked().certificate) for files in self._own_files()]
        except (TlsError, UnreadableError):
            return False
        wanted = Identity(self.register.pool, Kind.CONDUCTOR, conductor_id)
        return all(facts.identity == wanted for facts in found)

    def _own_files(self) -> tuple[TlsFiles, TlsFiles]:
        return self.folder.serving(), self.folder.calling()

    def keep(self, register: Register) -> None:
        """Writes the record, and signs the list of what is revoked in it."""
        write_register(self.folder, register)
        self.register = register
        self.sign_list()

    def sign_list(self) -> None:
        """Signs the list of revoked certificates that have not ended yet: the others are refused anyway.

        Those that the record does not know stay on it: the record may be an old copy.
        """
        register = self.register
        revoked = [
            Revoked(entry.serial, register.identity_of(entry), entry.revoked)
            for entry in register.entries
            if entry.revoked and entry.not_after > self.now
        ]
        former = [Revoked(serial, None, self.now) for serial in register.former]
        known = {entry.serial for entry in register.entries}.union(register.former)
        unknown = [each for each in self._listed.entries if each.serial not in known]
        signed = self.authority.sign_list([*revoked, *former, *unknown], register.version, self.now)
        write_whole(self.folder.revoked, signed)

    def _deliver(self, requests: Iterable[Request], addresses: Sequence[str]) -> Delivery:
        asked = tuple(requests)
        issued = [self._issue(request, addresses) for request in asked]
        identity, label = asked[0].identity, asked[0].label
        end = min(one.not_after for one in issued)
        comments = (
            f"{identity.kind} {label} of the pool {identity.pool}, until {end:%Y-%m-%d}",
            "It holds a key: keep it secret, and remove it where it is no longer needed.",
        )
        pairs = [(one.key, one.certificate) for one in issued]
        data = write_bundle(pairs, read_bounded(self.folder.ca), addresses, comments)
        return Delivery(identity, label, data, end)

    def _issue(
        self, request: Request, addresses: Sequence[str], public: ec.EllipticCurvePublicKey | None = None
    ) -> Issued:
        issued = self.authority.issue(request, self.now, public)
        entry = Entry(
            serial=issued.serial,
            kind=request.identity.kind,
            name=request.label,
            id=request.identity.name,
            role=request.role,
            usage=request.usage,
            addresses=tuple(addresses),
            authority=self.authority.certificate.serial_number,
            not_before=issued.not_before,
            not_after=issued.not_after,
        )
        self.register = self.register.with_entry(entry, self.now)
        write_register(self.folder, self.register)
        return issued


def _with_listed(register: Register, listed: Revocations) -> Register:
    """Returns a record that agrees with the list: hosts may have given a newer one back to a folder that is an old copy."""
    times = {each.serial: each.time for each in listed.entries}
    entries = tuple(
        replace(entry, revoked=times[entry.serial]) if entry.serial in times and entry.revoked is None else entry
        for entry in register.entries
    )
    return replace(register, entries=entries, version=max(register.version, listed.number))


def make_pool(folder: TlsFolder, pool: str, conductor: str, addresses: Sequence[str], now: datetime) -> None:
    """Makes a CA and an empty record. An interrupted call is completed by the next one."""
    for each in (pool, conductor):
        if not is_name(each):
            raise TlsError(f"{each!r} cannot be a name in a pool", hint=f"a name has {NAME_RULE}")
    folder.prepare()
    with locked(folder.path):
        if folder.issued.exists():
            there = read_register(folder)
            if folder.serving().certificate.exists() and folder.calling().certificate.exists():
                raise TlsError(
                    f"{folder.path} holds the CA of the pool '{there.pool}' already",
                    hint=f"see what it issued:  conductor certs list --data {shlex.quote(str(folder.path.parent))}",
                )
            write_register(folder, replace(there, conductor=conductor, addresses=tuple(addresses)))
            return
        if folder.ca.exists():
            _refuse_member(folder)
        authority = Authority.make(pool, now)
        write_whole(folder.ca_key, authority.key_pem)
        write_whole(folder.ca, authority.certificate_pem)
        write_register(folder, Register(pool, conductor, tuple(addresses)))


def _refuse_member(folder: TlsFolder) -> None:
    """Refuses a folder that joined a pool: its CA is elsewhere. What an interrupted call left holds no certificates yet."""
    if folder.serving().certificate.exists() or not folder.ca_key.exists():
        raise TlsError(
            f"{folder.path} is a member of a pool whose CA is elsewhere",
            hint="issue certificates there, or move this folder away to make a pool of its own",
        )


def served_names(addresses: Sequence[str]) -> tuple[str, ...]:
    """Returns the names that a conductor is reached by: its addresses without ports, and those that every machine has."""
    hosts = (address.rpartition(":")[0].strip("[]") for address in addresses)
    return tuple(dict.fromkeys([*hosts, "localhost", "127.0.0.1", "::1"]))
