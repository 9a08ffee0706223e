"""What an attempt's shim writes down: how it is confined, when it lets the agent go, and how it ended.

A file that does not hold what a shim writes raises DamagedError.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agenthost.core.damage import DamagedError, is_shortage
from agenthost.core.ending import Cause


@dataclass(frozen=True, slots=True)
class Confinement:
    """What the shim saw from outside before it let the agent go."""

    mechanism: str
    policy_digest: str
    argv: tuple[str, ...]  # inside the sandbox
    boot_id: str
    pid: int  # of the agent, as the host sees it
    uid: int  # the kernel's; never 0
    checks: tuple[str, ...]
    time_ns: int  # by the host's clock, when it was let go; 0 when it never was


@dataclass(frozen=True, slots=True)
class Status:
    """How an attempt ended."""

    cause: str  # one of `core.ending.Cause`, but for shim_lost
    message: str
    spool_length: int
    confinement: Confinement
    denials: int  # tries that the sandbox refused, as far as the agent's stderr shows
    exit_code: int | None = None
    signal: int | None = None
    elapsed_seconds: float = 0.0


def read_status(folder: Path) -> Status | None:
    """How an attempt ended; None while no end is written."""
    written = _read(folder / "status.json")
    if written is None:
        return None
    if not isinstance(written.get("spool_length"), int) or written.get("cause") not in set(Cause):
        raise DamagedError("status.json: it does not hold a status")
    known = {name: written[name] for name in Status.__dataclass_fields__ if name in written}
    try:
        return Status(**known | {"confinement": _confinement(written)})
    except TypeError as error:
        raise DamagedError("status.json: it does not hold a status") from error


def read_release(folder: Path) -> Confinement | None:
    """How the agent was confined when it was let go; None when it was not."""
    written = _read(folder / "released.json")
    return None if written is None else _confinement(written)


def _confinement(written: dict[str, Any]) -> Confinement:
    try:
        known = {name: written[name] for name in Confinement.__dataclass_fields__}
        return Confinement(**known | {"argv": tuple(known["argv"]), "checks": tuple(known["checks"])})
    except (KeyError, TypeError) as error:
        raise DamagedError("a confinement is not described in full") from error


def _read(path: Path) -> dict[str, Any] | None:
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
