"""Keeps the highest epoch seen of each conductor, on disk before the host acts for that epoch.

A conductor that restarts speaks with a higher epoch; requests that still arrive from an older start are refused.
"""

import asyncio
import json
import re
from pathlib import Path

import structlog

from agenthost.errors import EpochSupersededError, InvalidRequestError, NoCapacityError, Violation
from agenthost.system.files import append_lines, compact_lines, read_json_lines

CONDUCTOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_EPOCH = 2**62
# A forgotten fence would let an old conductor act again, so they are refused when full, never dropped.
MAX_CONDUCTORS = 10_000

_log = structlog.get_logger()


class Fences:
    """Admits requests by conductor and epoch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._epochs: dict[str, int] = {}
        for line in read_json_lines(path):
            match line:
                case {"conductor": str(conductor), "epoch": int(epoch)}:
                    self._epochs[conductor] = max(epoch, self._epochs.get(conductor, 0))
                case _:
                    _log.warning("fence_damaged")
        compact_lines(path, (_line(conductor, epoch) for conductor, epoch in self._epochs.items()))

    async def admit(self, conductor: str, epoch: int) -> None:
        """Returns when this epoch may act and is stored; raises EpochSupersededError when a newer one was seen."""
        _check(conductor, epoch)
        if not is_newer(conductor, epoch, self._epochs.get(conductor, 0)):
            return
        async with self._lock:
            if is_newer(conductor, epoch, self._epochs.get(conductor, 0)):
                if conductor not in self._epochs and len(self._epochs) >= MAX_CONDUCTORS:
                    raise NoCapacityError(
                        f"this host remembers {MAX_CONDUCTORS} conductors, and has no room for another"
                    )
                await asyncio.to_thread(append_lines, self._path, _line(conductor, epoch))
                self._epochs[conductor] = epoch


def is_newer(conductor: str, epoch: int, known: int) -> bool:
    """Returns whether an epoch is above the highest known one, 0 for none; raises EpochSupersededError where it is below."""
    if epoch < known:
        raise EpochSupersededError(
            f"epoch {epoch} of conductor {conductor} was superseded by {known}",
            hint="a newer start of this conductor is active; end this one",
            metadata={"epoch": str(known)},
        )
    return epoch > known


def _check(conductor: str, epoch: int) -> None:
    violations = []
    if not CONDUCTOR_ID.fullmatch(conductor):
        violations.append(Violation("conductor_id", f"is required and must match {CONDUCTOR_ID.pattern}"))
    if not 1 <= epoch <= MAX_EPOCH:
        violations.append(Violation("epoch", "is required and must be at least 1"))
    if violations:
        raise InvalidRequestError(*violations)


def _line(conductor: str, epoch: int) -> bytes:
    return json.dumps({"conductor": conductor, "epoch": epoch}).encode() + b"\n"
