"""Keeps the highest epoch seen of each conductor, on disk before the host acts for that epoch.

A conductor that restarts speaks with a higher epoch; requests that still arrive from an older start are refused. Epochs rise in
small steps, because each start adds one. So a caller that is not the conductor cannot raise its fence out of reach: see `is_newer`.
"""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import structlog

from agenthost.errors import (
    EpochSupersededError,
    EpochTooFarError,
    InvalidRequestError,
    NoCapacityError,
    OtherConductorError,
    Violation,
)
from agenthost.system.files import append_lines, compact_lines, read_json_lines
from servicekit.calls.callers import current_caller

CONDUCTOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_FIRST_EPOCH = 2**40
MAX_EPOCH_STEP = 1000
# No conductor reaches it in steps; a fence above it was set by an earlier host, for a caller that made it up.
MAX_EPOCH = 2**53
# When full, the conductor that has nothing here and was heard longest ago is forgotten.
MAX_CONDUCTORS = 10_000

_log = structlog.get_logger()


class Fences:
    """Admits requests by conductor and epoch. `busy` tells the conductors that have executions here."""

    def __init__(self, path: Path, busy: Callable[[], frozenset[str]] = frozenset) -> None:
        self._path = path
        self._busy = busy
        self._lock = asyncio.Lock()
        self._epochs: dict[str, int] = {}  # the conductor that was heard last comes last
        for line in read_json_lines(path):
            match line:
                case {"conductor": str(conductor), "epoch": int(epoch)} if epoch <= MAX_EPOCH:
                    self._epochs[conductor] = max(epoch, self._epochs.pop(conductor, 0))
                case _:
                    _log.warning("fence_damaged")
        compact_lines(path, self._lines())

    async def admit(self, conductor: str, epoch: int) -> None:
        """Returns when this epoch may act and is stored; raises EpochSupersededError when a newer one was seen."""
        _check(conductor, epoch)
        require_own_id(conductor)
        if not is_newer(conductor, epoch, self._epochs.get(conductor, 0)):
            self._epochs[conductor] = self._epochs.pop(conductor)
            return
        async with self._lock:
            if is_newer(conductor, epoch, self._epochs.get(conductor, 0)):
                if conductor not in self._epochs and len(self._epochs) >= MAX_CONDUCTORS:
                    await self._forget_some()
                await asyncio.to_thread(append_lines, self._path, _line(conductor, epoch))
                self._epochs.pop(conductor, None)
                self._epochs[conductor] = epoch

    async def _forget_some(self) -> None:
        """Makes room for several at a time, because the file is written again for it."""
        busy = self._busy()
        idle = [conductor for conductor in self._epochs if conductor not in busy][: MAX_CONDUCTORS // 10]
        if not idle:
            raise NoCapacityError(f"this host serves {MAX_CONDUCTORS} conductors, and has no room for another")
        for conductor in idle:
            del self._epochs[conductor]
        _log.warning("fences_forgotten", count=len(idle))
        await asyncio.to_thread(compact_lines, self._path, self._lines())

    def _lines(self) -> list[bytes]:
        return [_line(conductor, epoch) for conductor, epoch in self._epochs.items()]


def require_own_id(conductor: str) -> None:
    """Raises OtherConductorError where the caller's certificate is of another conductor than it names."""
    caller = current_caller()
    if caller.kind == "certificate" and caller.name != conductor:
        raise OtherConductorError(
            f"the certificate is of conductor {caller.name}, and the request names conductor {conductor}",
            hint="renew the certificate in that conductor's own data folder:  conductor certs renew --data DIR",
        )


def is_newer(conductor: str, epoch: int, known: int) -> bool:
    """Returns whether an epoch is above the highest known one, 0 for none; raises where it is below, or too far above.

    Each refusal tells the known epoch. A conductor that has just opened its database goes on above it (`conductor.hosts.identity`).
    """
    metadata = {"epoch": str(known)}
    if epoch < known:
        raise EpochSupersededError(
            f"epoch {epoch} of conductor {conductor} was superseded by {known}",
            hint="a newer start of this conductor is active; end this one, or restart it if it is the newest",
            metadata=metadata,
        )
    most = known + MAX_EPOCH_STEP if known else MAX_FIRST_EPOCH
    if epoch > most:
        raise EpochTooFarError(
            f"epoch {epoch} of conductor {conductor} is too far above the last one, {known}: it may be at most {most}",
            hint=f"go on with {known + 1}",
            metadata=metadata,
        )
    return epoch > known


def _check(conductor: str, epoch: int) -> None:
    violations = []
    if not CONDUCTOR_ID.fullmatch(conductor):
        violations.append(Violation("conductor_id", f"is required and must match {CONDUCTOR_ID.pattern}"))
    if not 1 <= epoch <= MAX_EPOCH:
        violations.append(Violation("epoch", f"is required, and must be from 1 to {MAX_EPOCH}"))
    if violations:
        raise InvalidRequestError(*violations)


def _line(conductor: str, epoch: int) -> bytes:
    return json.dumps({"conductor": conductor, "epoch": epoch}).encode() + b"\n"
