"""Decides whether a Start or Resume attaches, begins or is refused, and which unacknowledged ends are let go.

The rules, before the code:

- A Start of a known id attaches if its content is the same, and is refused if not. A blocked id begins nothing any more: one that
  ran and was released, or one that was resumed before it was started.
- A Resume attaches its own conductor. It blocks an unknown id, so that a late Start cannot run what its conductor gave up. An id of
  another conductor is neither shown nor blocked: no other conductor's epoch speaks for it.
- An id stays blocked for a day by its tombstone, which is on the disk before anything of the execution is deleted.
- There is room while a slot is free, unacknowledged ends are few, and the disk can take all the output that was promised.

The supervisor remembers and acts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from agenthost.errors import ExecutionExistsError, NoCapacityError, NotFoundError

KEPT_SECONDS = 24 * 3600.0
# Limits of unacknowledged ends, which wait for their conductor to come back.
MAX_EXECUTIONS = 10_000
UNHEARD_SECONDS = 7 * 24 * 3600.0
UNHEARD_BYTES = 4 * 1024**3
# Reserved for what the host itself writes about its attempts.
OWN_BYTES = 8 * 1024 * 1024


class TombstoneReason(StrEnum):
    """Why an id is blocked."""

    UNKNOWN = "unknown"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A blocked id, its conductor, and since when. `agent` and `sequence` are kept of an execution that ran here."""

    execution: str
    conductor: str
    why: TombstoneReason
    time: float
    agent: str = ""
    sequence: int = 0

    def counts(self, now: float) -> bool:
        """Returns whether the id is still blocked."""
        return now - self.time < KEPT_SECONDS


@dataclass(frozen=True, slots=True)
class Claim:
    """The conductor of an execution, and the digest of the Start that was accepted."""

    conductor: str
    digest: str


def attaches(execution: str, claim: Claim, known: Claim | None, stone: Tombstone | None) -> bool:
    """Returns whether a Start attaches; False where it begins. Raises ExecutionExistsError where it may do neither."""
    if known is not None:
        # A conductor that was restored from a backup sends the same bytes as the original, under another id.
        if known.conductor != claim.conductor:
            raise ExecutionExistsError(f"execution '{execution}' belongs to another conductor")
        if known.digest != claim.digest:
            raise ExecutionExistsError(f"execution '{execution}' is known with other content")
        return True
    if stone is not None:
        past = (
            "ran here and was released"
            if stone.why is TombstoneReason.RELEASED
            else "was resumed before it was started"
        )
        raise ExecutionExistsError(f"execution '{execution}' {past}; it will not be started again")
    return False


def is_found(execution: str, conductor: str, known: Claim | None) -> bool:
    """Returns whether a Resume attaches; False where its id is to be blocked. Raises NotFoundError for another conductor's id."""
    if known is not None and known.conductor != conductor:
        raise NotFoundError("execution", execution, hint="it belongs to another conductor")
    return known is not None


@dataclass(frozen=True, slots=True)
class Room:
    """The room on a host. `promised_bytes` is the output that running attempts may still make."""

    slots: int
    running: int
    kept: int
    promised_bytes: int
    free_bytes: int

    def require(self, output_bytes: int, host: str) -> None:
        """Raises NoCapacityError where an attempt with this much output has no room."""
        if self.running >= self.slots:
            raise NoCapacityError(f"all {self.slots} slots of host '{host}' are taken")
        if self.kept >= MAX_EXECUTIONS:
            raise NoCapacityError(f"{MAX_EXECUTIONS} executions are kept here, most of them ended and not acknowledged")
        if self.free_bytes < OWN_BYTES + self.promised_bytes + output_bytes:
            raise NoCapacityError(
                f"the disk of host '{host}' has {_mib(self.free_bytes)} free; {_mib(self.promised_bytes)} are promised to "
                f"running attempts, {_mib(OWN_BYTES)} to the host itself, and this attempt may write {_mib(output_bytes)}",
                hint="make room on that disk, or give the step a smaller max_output_bytes",
                metadata={
                    "free_bytes": str(self.free_bytes),
                    "promised_bytes": str(self.promised_bytes),
                    "asked_bytes": str(output_bytes),
                },
            )


@dataclass(frozen=True, slots=True)
class UnheardEnd:
    """The end of an attempt that is not acknowledged, and to which no stream is attached. `size` is its spool's."""

    execution: str
    ended: float
    size: int


def expired(ends: Iterable[UnheardEnd], now: float, kept_seconds: float, kept_bytes: int) -> dict[str, str]:
    """Returns the ends to let go, with the reason: those that are too old, then the oldest until the rest is small enough."""
    let_go: dict[str, str] = {}
    room = kept_bytes
    for end in sorted(ends, key=lambda end: end.ended, reverse=True):
        room -= end.size
        if now - end.ended > kept_seconds:
            let_go[end.execution] = f"its end was not acknowledged for {kept_seconds / 3600:g} h"
        elif room < 0:
            let_go[end.execution] = (
                f"its end was not acknowledged, and newer ones fill the {_mib(kept_bytes)} that are kept"
            )
    return let_go


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
