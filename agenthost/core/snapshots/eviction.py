"""Which snapshots go when room is short, or when nobody came for them in a long time. Pure; `agenthost.snapshots.eviction` acts.

Those in use never go, and neither does one that came or was asked for just now: whoever was told that it is here is on the way
with a Start. Of the others, the one that was unused for longest goes first. Sizes are estimates (blocks, not bytes, fill a disk).
"""

from collections.abc import Sequence
from dataclasses import dataclass

GIB = 1024**3
SETTLING_SECONDS = 600.0  # from the last use; a conductor starts within that what it saw or brought


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much is kept, and for how long: settings of a host, under `[limits]`."""

    snapshots_bytes: int = 20 * GIB
    snapshots_unused_seconds: float = 14 * 24 * 3600.0


DEFAULT_KEEPING = Keeping()
# More is taken for a slip of the pen.
MOST_KEEPING = Keeping(snapshots_bytes=100 * 1024 * GIB, snapshots_unused_seconds=10 * 365 * 24 * 3600.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot that is here."""

    commit: str
    byte_count: int
    unused_seconds: float
    is_used: bool = False


def choose(kept: Sequence[Kept], keeping: Keeping, shortage_bytes: int = 0) -> tuple[str, ...]:
    """Names those that are to go, in order: by age, then by size, then until a shortage of the disk is met."""
    excess = max(sum(one.byte_count for one in kept) - keeping.snapshots_bytes, shortage_bytes)
    going = []
    for one in sorted(kept, key=lambda one: one.unused_seconds, reverse=True):
        if one.is_used or one.unused_seconds < min(SETTLING_SECONDS, keeping.snapshots_unused_seconds):
            continue
        if one.unused_seconds >= keeping.snapshots_unused_seconds or excess > 0:
            going.append(one.commit)
            excess -= one.byte_count
    return tuple(going)
