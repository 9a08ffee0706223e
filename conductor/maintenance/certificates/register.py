"""The record of what a pool's CA issued: `issued.json`. It is written before a certificate leaves, so each can be revoked.

One process changes it at a time (a lock beside it). A reader sees the old record or the new one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from servicekit.tls.files import TlsError, TlsFolder, read_bounded, write_whole
from servicekit.tls.identity import Identity, Kind, is_name

FORMAT = 1
MAX_ISSUED = 10_000  # in one record; those that ended long ago are forgotten first
MAX_BYTES = 8 * 1024 * 1024
MAX_FORMER = 16
KEPT_AFTER_END = timedelta(days=30)
_RESTORE = "restore it from the copy that you keep of this folder"


@dataclass(frozen=True, slots=True)
class Entry:
    """An issued certificate. A conductor's `id` is that in its database, and else the name. `authority` is the CA's serial."""

    serial: int
    kind: Kind
    name: str
    id: str
    role: str
    usage: str
    addresses: tuple[str, ...]
    authority: int
    not_before: datetime
    not_after: datetime
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A host, client or conductor by its newest certificates: a conductor has two. `earlier` are older ones that still hold."""

    newest: tuple[Entry, ...]
    earlier: tuple[Entry, ...] = ()

    @property
    def entry(self) -> Entry:
        """One of its newest certificates; they differ in usage only."""
        return self.newest[0]

    @property
    def not_after(self) -> datetime:
        """The first end of its newest certificates."""
        return min(entry.not_after for entry in self.newest)

    @property
    def is_revoked(self) -> bool:
        """True where its newest certificate is revoked."""
        return any(entry.revoked for entry in self.newest)


@dataclass(frozen=True, slots=True)
class Register:
    """The record. `version` rises with each revocation, `addresses` are the conductor's, `former` are serials of earlier CAs."""

    pool: str
    conductor: str = ""
    addresses: tuple[str, ...] = ()
    version: int = 0
    entries: tuple[Entry, ...] = ()
    former: tuple[int, ...] = ()

    def with_entry(self, entry: Entry, now: datetime) -> Self:
        """Returns the record with one more certificate; raises TlsError where it is full."""
        kept = tuple(each for each in self.entries if each.not_after + KEPT_AFTER_END > now)
        if len(kept) >= MAX_ISSUED:
            raise TlsError(
                f"this CA keeps a record of {MAX_ISSUED} certificates, and no more",
                hint="see which:  conductor certs list --all; they are forgotten 30 days after their end",
            )
        return replace(self, entries=(*kept, entry))

    def with_revoked(self, serials: frozenset[int], now: datetime) -> Self:
        """Returns the record with certificates revoked, those that are not yet, and a higher version."""
        at = now.replace(microsecond=0)  # as it is stored
        entries = tuple(
            replace(each, revoked=at) if each.serial in serials and each.revoked is None else each
            for each in self.entries
        )
        return replace(self, entries=entries, version=self.version + 1)

    def members(self, now: datetime) -> tuple[Member, ...]:
        """Returns the members with a certificate that is remembered, in the order of their first."""
        by_name: dict[tuple[Kind, str], dict[str, list[Entry]]] = {}
        for entry in self.entries:
            by_name.setdefault((entry.kind, entry.name), {}).setdefault(entry.usage, []).append(entry)
        return tuple(_member(by_usage, now) for by_usage in by_name.values())

    def member(self, kind: Kind, name: str, now: datetime) -> Member | None:
        """Returns the member of a kind and name; None where it has no certificate."""
        return next((each for each in self.members(now) if (each.entry.kind, each.entry.name) == (kind, name)), None)

    def identity_of(self, entry: Entry) -> Identity:
        """Returns whom a certificate names."""
        return Identity(self.pool, entry.kind, entry.id)


def _member(by_usage: Mapping[str, list[Entry]], now: datetime) -> Member:
    earlier = [each for entries in by_usage.values() for each in entries[:-1]]
    holding = tuple(each for each in earlier if each.not_after > now and each.revoked is None)
    return Member(tuple(entries[-1] for entries in by_usage.values()), holding)


def read_register(folder: TlsFolder) -> Register:
    """Reads the record; raises TlsError where there is none, or it is damaged."""
    if not folder.issued.exists():
        if folder.serving().certificate.exists():
            raise TlsError(
                f"{folder.path} is of a member of a pool whose CA is elsewhere", hint="give that machine this command"
            )
        raise TlsError(
            f"{folder.path} holds no CA of a pool",
            hint="make one:  conductor certs init, or name its folder with --data DIR",
        )
    try:
        return _register(json.loads(read_bounded(folder.issued, _RESTORE, MAX_BYTES)))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TlsError(f"{folder.issued} is damaged", hint=_RESTORE) from error


def write_register(folder: TlsFolder, register: Register) -> None:
    """Writes the record. The caller holds `locked`."""
    write_whole(folder.issued, json.dumps(_document(register), indent=1).encode() + b"\n")


def _document(register: Register) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "pool": register.pool,
        "conductor": register.conductor,
        "addresses": list(register.addresses),
        "version": register.version,
        "issued": [_row(entry) for entry in register.entries],
        "former": [f"{serial:x}" for serial in register.former],
    }


def _row(entry: Entry) -> dict[str, Any]:
    row = {
        "serial": f"{entry.serial:x}",
        "kind": entry.kind,
        "name": entry.name,
        "id": entry.id,
        "role": entry.role,
        "usage": entry.usage,
        "addresses": list(entry.addresses),
        "authority": f"{entry.authority:x}",
        "not_before": _written(entry.not_before),
        "not_after": _written(entry.not_after),
    }
    return row | ({"revoked": _written(entry.revoked)} if entry.revoked else {})


def _register(document: Mapping[str, Any]) -> Register:
    if document["format"] != FORMAT or not is_name(document["pool"]) or len(document["issued"]) > MAX_ISSUED:
        raise ValueError
    return Register(
        document["pool"],
        str(document["conductor"]),
        tuple(str(each) for each in document["addresses"]),
        int(document["version"]),
        tuple(_entry(row) for row in document["issued"]),
        tuple(int(serial, 16) for serial in document["former"]),
    )


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        serial=int(row["serial"], 16),
        kind=Kind(row["kind"]),
        name=str(row["name"]),
        id=str(row["id"]),
        role=str(row["role"]),
        usage=str(row["usage"]),
        addresses=tuple(str(each) for each in row["addresses"]),
        authority=int(row["authority"], 16),
        not_before=_read(row["not_before"]),
        not_after=_read(row["not_after"]),
        revoked=_read(row["revoked"]) if "revoked" in row else None,
    )


def _written(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
