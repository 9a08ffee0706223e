"""The record of what a pool's CA issued: `issued.json`. It is written before a certificate leaves, so each can be revoked.

One process changes it at a time (a lock beside it). A reader sees the old record or the new one.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from servicekit.tls.files import TlsError, TlsFolder, read_bounded, write_whole
from servicekit.tls.identity import Kind, is_name

FORMAT = 1
MAX_ISSUED = 10_000  # in one record; those that ended long ago are forgotten first
MAX_BYTES = 4 * 1024 * 1024
KEPT_AFTER_END = timedelta(days=30)
_RESTORE = "restore it from the copy that you keep of this folder"


@dataclass(frozen=True, slots=True)
class Entry:
    """An issued certificate. `id` differs from `name` for a conductor: it is the id in its database."""

    serial: int
    kind: Kind
    name: str
    id: str
    role: str
    usage: str
    not_before: datetime
    not_after: datetime
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True)
class Register:
    """The record. `version` rises with each revocation; `addresses` are the conductor's, for bundles of clients."""

    pool: str
    conductor: str = ""
    addresses: tuple[str, ...] = ()
    version: int = 0
    entries: tuple[Entry, ...] = field(default=())

    def with_entry(self, entry: Entry, now: datetime) -> "Register":
        """Returns the record with one more certificate; raises TlsError where it is full."""
        kept = tuple(each for each in self.entries if each.not_after + KEPT_AFTER_END > now)
        if len(kept) >= MAX_ISSUED:
            raise TlsError(
                f"this CA keeps {MAX_ISSUED} certificates that are valid, and no more",
                hint="see which:  conductor certs list",
            )
        return replace(self, entries=(*kept, entry))


def read_register(folder: TlsFolder) -> Register:
    """Reads the record; raises TlsError where there is none, or it is damaged."""
    if not folder.issued.exists():
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


@contextmanager
def locked(folder: TlsFolder) -> Iterator[None]:
    """Lets one process at a time change the folder."""
    folder.prepare()
    try:
        descriptor = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TlsError(
            f"{folder.path} cannot be written: {error.strerror}", hint="run this as the conductor's user"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _document(register: Register) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "pool": register.pool,
        "conductor": register.conductor,
        "addresses": list(register.addresses),
        "version": register.version,
        "issued": [_row(entry) for entry in register.entries],
    }


def _row(entry: Entry) -> dict[str, Any]:
    row = {
        "serial": f"{entry.serial:x}",
        "kind": entry.kind,
        "name": entry.name,
        "id": entry.id,
        "role": entry.role,
        "usage": entry.usage,
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
    )


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        serial=int(row["serial"], 16),
        kind=Kind(row["kind"]),
        name=str(row["name"]),
        id=str(row["id"]),
        role=str(row["role"]),
        usage=str(row["usage"]),
        not_before=_read(row["not_before"]),
        not_after=_read(row["not_after"]),
        revoked=_read(row["revoked"]) if "revoked" in row else None,
    )


def _written(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
