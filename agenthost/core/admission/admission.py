"""What a host answers to whoever comes for an execution: attach, begin, or a refusal; and what it lets go.

The rules, before the code:

- A Start of a known id attaches where its content is the same, and is refused where it is not. Of a spent id nothing begins any
  more: one that ran and was released, or one that somebody asked for in vain before it came.
- A Resume attaches its own conductor. An unknown id is spent by it, so that a Start that comes late cannot run what its
  conductor gave up. An id of another conductor is neither shown nor spent: nobody else's epoch speaks for it.
- A spent id is remembered for a day by its tombstone, which is on the disk before anything of the execution is deleted.
- There is room while a slot is free, ends that nobody heard are few, and the disk can take all that was promised.

Remembering and acting are the supervisor's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from agenthost.errors import ExecutionExistsError, NoCapacityError, NotFoundError

KEPT_SECONDS = 24 * 3600.0
# Ends that nobody acknowledges are kept, so that a conductor may come back for them; so many, so long, and so much of them.
MAX_EXECUTIONS = 10_000
UNHEARD_SECONDS = 7 * 24 * 3600.0
UNHEARD_BYTES = 4 * 1024**3
# Not promised to anybody's output: what the host itself writes about its attempts.
OWN_BYTES = 8 * 1024 * 1024


class TombstoneReason(StrEnum):
    """Why an id may not run."""

    UNKNOWN = "unknown"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """An id, whose it was, and since when. `agent` and `sequence` are kept of what ran here."""

    execution: str
    conductor: str
    why: TombstoneReason
    time: float
    agent: str = ""
    sequence: int = 0

    def counts(self, now: float) -> bool:
        """Whether the id is still spent."""
        return now - self.time < KEPT_SECONDS


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose an execution is, and the digest of the Start that it was accepted with."""

    conductor: str
    digest: str


def attaches(execution: str, claim: Claim, known: Claim | None, stone: Tombstone | None) -> bool:
    """Whether a Start attaches to what is known; False where it begins. Raises ExecutionExistsError where it does neither."""
    if known is not None:
        # A conductor that was restored from a backup sends what the original had sent, word for word.
        if known.conductor != claim.conductor:
            raise ExecutionExistsError(f"execution '{execution}' belongs to another conductor")
        if known.digest != claim.digest:
            raise ExecutionExistsError(f"execution '{execution}' is known with other content")
        return True
    if stone is not None:
        past = (
            "ran here and was released"
            if stone.why is TombstoneReason.RELEASED
            else "was asked for before it was started"
        )
        raise ExecutionExistsError(f"execution '{execution}' {past}; it will not be started (again)")
    return False


def is_found(execution: str, conductor: str, known: Claim | None) -> bool:
    """Whether a Resume attaches; False where its id is to be spent. Raises NotFoundError where it is another conductor's."""
    if known is not None and known.conductor != conductor:
        raise NotFoundError("execution", execution, hint="it belongs to another conductor")
    return known is not None


@dataclass(frozen=True, slots=True)
class Room:
    """What is taken on a host, and what there is. `promised_bytes`: the output that attempts which run may still make."""

    slots: int
    running: int
    kept: int
    promised_bytes: int
    free_bytes: int

    def require(self, output_bytes: int, host: str) -> None:
        """Raises NoCapacityError where an attempt that may make so much output has no place."""
        if self.running >= self.slots:
            raise NoCapacityError(f"all {self.slots} slots of host '{host}' are taken")
        if self.kept >= MAX_EXECUTIONS:
            raise NoCapacityError(f"{MAX_EXECUTIONS} executions are kept here, most of them ended and not acknowledged")
        if self.free_bytes < OWN_BYTES + self.promised_bytes + output_bytes:
            raise NoCapacityError(
                f"the disk of host '{host}' has {_mib(self.free_bytes)} free; {_mib(self.promised_bytes)} are promised to the "
                f"output of attempts that run, {_mib(OWN_BYTES)} are the host's own, and this attempt may write "
                f"{_mib(output_bytes)}",
                hint="make room on that disk, or give the step a smaller max_output_bytes",
                metadata={
                    "free_bytes": str(self.free_bytes),
                    "promised_bytes": str(self.promised_bytes),
                    "asked_bytes": str(output_bytes),
                },
            )


@dataclass(frozen=True, slots=True)
class UnheardEnd:
    """An attempt that ended, and whose end nobody has acknowledged nor hears now. `size` is that of its spool."""

    execution: str
    ended: float
    size: int


def expired(ends: Iterable[UnheardEnd], now: float, kept_seconds: float, kept_bytes: int) -> dict[str, str]:
    """Which ends are let go, and why: those that are too old, then the oldest of the rest until what is left is small enough."""
    let_go: dict[str, str] = {}
    room = kept_bytes
    for end in sorted(ends, key=lambda end: end.ended, reverse=True):
        room -= end.size
        if now - end.ended > kept_seconds:
            let_go[end.execution] = f"nobody acknowledged its end for {kept_seconds / 3600:g} h"
        elif room < 0:
            let_go[end.execution] = (
                f"nobody acknowledged its end, and newer ones fill the {_mib(kept_bytes)} that are kept"
            )
    return let_go


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
