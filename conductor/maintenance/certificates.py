"""The pool's own CA in a conductor's data folder: makes it, and issues certificates by it.

Each certificate is recorded before it leaves, so each can be revoked. A step that was interrupted can be repeated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from servicekit.tls.bundle import write_bundle
from servicekit.tls.certificates import UnreadableError, read_certificates
from servicekit.tls.files import TlsError, TlsFolder, read_bounded, refuse_readable, write_whole
from servicekit.tls.identity import Identity, is_name
from servicekit.tls.issuing import (
    NAME_HINT,
    Authority,
    Issued,
    Request,
    client_request,
    conductor_requests,
    host_request,
)
from servicekit.tls.register import Entry, Register, locked, read_register, write_register

_KEPT_COPY = "restore it from your copy; without one, move the folder away and make a new pool:  conductor certs init"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A bundle that was made, and what it is about."""

    identity: Identity
    data: bytes
    not_after: datetime


class PoolCertificates:
    """The CA of a folder, locked by the caller for as long as it issues."""

    def __init__(self, folder: TlsFolder, now: datetime) -> None:
        self.folder = folder
        self.register = read_register(folder)
        self._now = now
        try:
            refuse_readable(folder.ca_key)
            trusted = read_certificates(read_bounded(folder.ca, _KEPT_COPY))
            self._authority = Authority.load(trusted, read_bounded(folder.ca_key, _KEPT_COPY))
        except (UnreadableError, FileNotFoundError) as error:
            raise TlsError(f"the CA in {folder.path} cannot be used: {error}", hint=_KEPT_COPY) from error

    def host(self, name: str, addresses: Sequence[str]) -> Delivery:
        """Makes the bundle of a host."""
        return self._deliver([host_request(self.register.pool, name)], addresses)

    def client(self, name: str, role: str) -> Delivery:
        """Makes the bundle of a person or a program."""
        return self._deliver([client_request(self.register.pool, name, role)], self.register.addresses)

    def conductor(self, name: str, conductor_id: str, addresses: Sequence[str]) -> Delivery:
        """Makes the bundle of a further conductor."""
        requests = conductor_requests(self.register.pool, name, conductor_id, _served_names(addresses))
        return self._deliver(requests, addresses)

    def equip(self, conductor_id: str) -> datetime:
        """Issues the certificates of the conductor in this folder; returns their end."""
        register = self.register
        requests = conductor_requests(
            register.pool, register.conductor, conductor_id, _served_names(register.addresses)
        )
        issued = [self._issue(request) for request in requests]
        for one, place in zip(issued, (self.folder.serving(), self.folder.calling()), strict=True):
            write_whole(place.key, one.key)
            write_whole(place.certificate, one.certificate)
        return min(one.not_after for one in issued)

    def _deliver(self, requests: Iterable[Request], addresses: Sequence[str]) -> Delivery:
        asked = tuple(requests)
        issued = [self._issue(request) for request in asked]
        identity = asked[0].identity
        end = min(one.not_after for one in issued)
        comments = (
            f"{identity.kind} {asked[0].label} of the pool {identity.pool}, until {end:%Y-%m-%d}",
            "It holds a key: keep it secret, and remove it where it is no longer needed.",
        )
        pairs = [(one.key, one.certificate) for one in issued]
        data = write_bundle(pairs, read_bounded(self.folder.ca), addresses, comments)
        return Delivery(identity, data, end)

    def _issue(self, request: Request) -> Issued:
        issued = self._authority.issue(request, self._now)
        entry = Entry(
            issued.serial,
            request.identity.kind,
            request.label,
            request.identity.name,
            request.role,
            request.usage,
            issued.not_before,
            issued.not_after,
        )
        self.register = self.register.with_entry(entry, self._now)
        write_register(self.folder, self.register)
        return issued


def make_pool(folder: TlsFolder, pool: str, conductor: str, addresses: Sequence[str], now: datetime) -> None:
    """Makes a CA and an empty record. An interrupted call is completed by the next one."""
    for each in (pool, conductor):
        if not is_name(each):
            raise TlsError(f"{each!r} cannot be a name in a pool", hint=NAME_HINT)
    with locked(folder):
        if folder.issued.exists():
            there = read_register(folder)
            if folder.serving().certificate.exists() and folder.calling().certificate.exists():
                raise TlsError(
                    f"{folder.path} holds the CA of the pool '{there.pool}' already",
                    hint="see what it issued:  conductor certs list, or renew what ends soon:  conductor certs renew",
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


def _served_names(addresses: Sequence[str]) -> tuple[str, ...]:
    """Returns the names that a conductor is reached by: its addresses without ports, and those of its own machine."""
    import socket  # noqa: PLC0415

    hosts = [address.rpartition(":")[0].strip("[]") for address in addresses]
    own = socket.gethostname().lower()
    return tuple(dict.fromkeys([*hosts, "localhost", "127.0.0.1", "::1", *([own] if own.isascii() else [])]))
