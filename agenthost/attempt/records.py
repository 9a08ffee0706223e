"""Reads the result files of an attempt's folder: the shim's, and the daemon's notes on how it ended.

A file that does not hold what was written there raises DamagedError. An error that only tells of a shortage (`is_shortage`) passes
through as it is, because it says nothing about the file. Everything here is blocking.
"""

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agenthost.core.damage import Damage, DamagedError, is_shortage
from agenthost.core.ending import Cause
from agenthost.core.output.frame import Attestation
from agenthost.core.output.spool import INPUT_NUMBER, RecordKind, SpoolReader
from agenthost.system.files import write_file

READ_BYTES = 1024 * 1024
RELEASED, STATUS = "released.json", "status.json"
_ATTESTED = ("mechanism", "policy_digest", "argv", "boot_id", "pid", "uid", "checks")


@dataclass(frozen=True, slots=True)
class Status:
    """The end of an attempt, as its shim wrote it."""

    cause: str  # one of `core.ending.Cause`, but for shim_lost
    message: str
    spool_length: int
    attestation: Attestation
    denials: int  # tries that the sandbox refused, as far as the agent's stderr shows
    exit_code: int | None = None
    signal: int | None = None
    elapsed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SnapshotCheck:
    """The snapshot's fingerprint after the attempt, and how it was violated. Both may be empty."""

    fingerprint: str
    violation: str = ""


def was_begun(folder: Path) -> bool:
    """Returns whether an agent ran under a shim that is gone: the shim wrote its release or end, or spooled its output."""
    spool = folder / "spool"
    has_output = spool.exists() and spool.stat().st_size > 0
    return has_output or any((folder / name).exists() for name in (RELEASED, STATUS))


def read_release(folder: Path) -> Attestation | None:
    """Returns how the agent was confined when it was released; None when it was not."""
    written = read_object(folder / RELEASED)
    return None if written is None else _attestation(written)


def read_status(folder: Path) -> Status | None:
    """Returns how the attempt ended; None while no end is written."""
    written = read_object(folder / STATUS)
    if written is None:
        return None
    if not isinstance(written.get("spool_length"), int) or written.get("cause") not in set(Cause):
        raise DamagedError(f"{STATUS}: it does not hold a status")
    known = {name: written[name] for name in Status.__dataclass_fields__ if name in written}
    try:
        return Status(**known | {"attestation": _attestation(written)})
    except TypeError as error:
        raise DamagedError(f"{STATUS}: it does not hold a status") from error


def read_last_input(folder: Path) -> int:
    """Returns the number of the last input that the shim spooled, or refused; 0 where there is none.

    It reads the whole spool. What is damaged there is met again, and named, by the replay of the output.
    """
    last, records = 0, SpoolReader()
    with contextlib.suppress(OSError, DamagedError), (folder / "spool").open("rb") as spool:
        while data := spool.read(READ_BYTES):
            for piece in records.feed(data):
                if piece.kind in {RecordKind.INPUT, RecordKind.REFUSED}:
                    last = max(last, *INPUT_NUMBER.unpack_from(piece.data))
    return last


def time_written(path: Path) -> int:
    """Returns when a shim's file was written, so that a frame keeps its time over a restart of this daemon."""
    try:
        return path.stat().st_mtime_ns
    except OSError:  # it was never written, or was removed
        return time.time_ns()


def read_snapshot_check(folder: Path) -> SnapshotCheck | None:
    """Returns what an earlier look found; None where there was none or its record is damaged, so look again."""
    try:
        return SnapshotCheck(**read_object(folder / "aftermath.json") or {})
    except (OSError, DamagedError, TypeError):
        return None


def write_snapshot_check(folder: Path, check: SnapshotCheck) -> None:
    """Keeps a check, whole or not at all. It need not survive a power cut: nothing of the attempt runs after one."""
    temporary = folder / ".aftermath.new"
    temporary.write_text(json.dumps(asdict(check)))
    temporary.replace(folder / "aftermath.json")


def read_damage(folder: Path) -> Damage | None:
    """Returns the damage that ended this attempt; None where none was found."""
    try:
        return Damage(**read_object(folder / "damage.json") or {})
    except (DamagedError, TypeError):
        return None


def settle_damage(folder: Path, found: Damage) -> Damage:
    """Keeps the damage that was found first, and returns it: a damaged end is sent under one number only.

    Where the whole folder is gone, nothing is kept; no later daemon knows such an attempt either.
    """
    if known := read_damage(folder):
        return known
    if folder.is_dir():
        write_file(folder / "damage.json", json.dumps(asdict(found)).encode())
    return found


def read_object(path: Path) -> dict[str, Any] | None:
    """Returns the JSON object in a file; None where there is no file."""
    try:
        written = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        if is_shortage(error):
            raise
        raise DamagedError(f"{path.name}: it cannot be read ({type(error).__name__})") from error
    if not isinstance(written, dict):
        raise DamagedError(f"{path.name}: it does not hold an object")
    return written


def _attestation(written: dict[str, Any]) -> Attestation:
    try:
        known = {name: written[name] for name in _ATTESTED}
        return Attestation(**known | {"argv": tuple(known["argv"]), "checks": tuple(known["checks"])})
    except (KeyError, TypeError) as error:
        raise DamagedError("a confinement is not described in full") from error
