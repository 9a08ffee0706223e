"""Chooses the snapshots to evict when room is short, or when they were not used for long. Pure; `snapshots.eviction` acts.

Snapshots in use stay, and so do those that came or were asked for just now: a conductor that was told of one is about to send a
Start. Of the others, the one that was unused for longest goes first. Sizes are estimates (blocks, not bytes, fill a disk).
"""

from collections.abc import Sequence
from dataclasses import dataclass

GIB = 1024**3
SETTLING_SECONDS = 600.0  # from the last use; within that a conductor starts what it saw or pushed


@dataclass(frozen=True, slots=True)
class Keeping:
    """The most that is kept, in bytes and time: settings of a host, under `[limits]`."""

    snapshots_bytes: int = 20 * GIB
    snapshots_unused_seconds: float = 14 * 24 * 3600.0


DEFAULT_KEEPING = Keeping()
# More is taken for a mistake.
MOST_KEEPING = Keeping(snapshots_bytes=100 * 1024 * GIB, snapshots_unused_seconds=10 * 365 * 24 * 3600.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot that is on this host."""

    commit: str
    byte_count: int
    unused_seconds: float
    is_used: bool = False


def choose(kept: Sequence[Kept], keeping: Keeping, shortage_bytes: int = 0) -> tuple[str, ...]:
    """Returns the commits to evict, in order: by age, then by size, then until a shortage of the disk is met."""
    excess = max(sum(snapshot.byte_count for snapshot in kept) - keeping.snapshots_bytes, shortage_bytes)
    going = []
    for snapshot in sorted(kept, key=lambda kept: kept.unused_seconds, reverse=True):
        if snapshot.is_used or snapshot.unused_seconds < min(SETTLING_SECONDS, keeping.snapshots_unused_seconds):
            continue
        if snapshot.unused_seconds >= keeping.snapshots_unused_seconds or excess > 0:
            going.append(snapshot.commit)
            excess -= snapshot.byte_count
    return tuple(going)
