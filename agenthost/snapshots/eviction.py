"""Counts the uses of snapshots, and evicts unused ones. `core.snapshots.eviction` says which; `housekeeping` says when.

A snapshot's folder is its own lock. A shim holds it shared for as long as it lives, by a descriptor that it inherits: so no daemon,
and no absence of one, can take a tree from under an agent. Eviction takes it alone, without waiting, renames the folder out of
sight, and only then deletes. A crash in between leaves it in place, or among what is emptied at the next start. The uses of this
process itself (attempts that wait or were adopted, bases of a push) are counted, not locked.

The time of the file `ready` is a snapshot's last use: so it outlives this process.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from agenthost.core.snapshots.eviction import Keeping, Kept, choose
from agenthost.snapshots.disk import remove_tree
from agenthost.snapshots.readiness import read_ready
from agenthost.system.files import sync_folder
from servicekit.threads import in_thread

FREE_BYTES = 1024**3  # of the disk, before a push begins
FILE_OVERHEAD_BYTES = 2048  # half a block for each file: what is not in its size
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Figures:
    """The number of snapshots on this host, and roughly their size."""

    count: int = 0
    byte_count: int = 0


class Eviction:
    """Counts the uses of one store's snapshots, and evicts them."""

    def __init__(
        self,
        folder: Path,
        aside: Path,
        keeping: Keeping,
        names: Callable[[], Collection[Path]],
        now: Callable[[], float],
    ) -> None:
        self._folder, self._aside, self._keeping, self._names, self._now = folder, aside, keeping, names, now
        self._users: Counter[str] = Counter()
        self._sizes: dict[str, int] = {}
        # Held while a snapshot is taken away, and while a caller is promised that one is here.
        self.still = asyncio.Lock()

    @property
    def figures(self) -> Figures:
        """Returns the figures of the last look."""
        return Figures(len(self._sizes), sum(self._sizes.values()))

    def keep(self, commit: str) -> None:
        """Counts a user of a snapshot, whether it is here or not. Each `keep` needs its `let_go`."""
        self._users[commit] += 1

    def let_go(self, commit: str) -> None:
        """Ends a use; from now on the snapshot is unused, if it was the last."""
        self._users[commit] -= 1
        if self._users[commit] <= 0:
            del self._users[commit]
            self.touch(commit)

    def touch(self, commit: str) -> bool:
        """Notes that a snapshot is asked for; returns False when it is not here. Blocking, but short."""
        try:
            os.utime(self._folder / commit / "ready", (self._now(), self._now()))
        except OSError:
            return False
        return True

    async def evict(self, shortage_bytes: int = 0) -> int:
        """Evicts what `choose` names; returns how many went."""
        shortage_bytes = max(shortage_bytes, FREE_BYTES - shutil.disk_usage(self._folder).free)
        count, locked = 0, set[str]()
        while True:
            begun = self._now()
            kept = await in_thread(self._look, frozenset(locked | set(self._users)))
            chosen = choose(kept, self._keeping, shortage_bytes)
            stayed = {commit for commit in chosen if not await self._evict(commit, begun)}
            gone = [each for each in kept if each.commit in chosen and each.commit not in stayed]
            count += len(gone)
            shortage_bytes -= sum(each.byte_count for each in gone)
            if not stayed:
                return count
            # An unknown shim reads it, or a caller came just now: others may go instead.
            locked |= stayed

    def is_full(self) -> bool:
        """Returns whether snapshots take all that they may, by the last look."""
        return self.figures.byte_count >= self._keeping.snapshots_bytes

    def clear_aside(self) -> None:
        """Deletes leftovers of earlier processes: half made, given up, half deleted, or no snapshot. Blocking.

        What a shim still reads stays until the next time.
        """
        for folder in self._names():
            if not (folder / "ready").is_file():
                self._take_away(folder)
        for folder in self._aside.iterdir():
            with _alone(folder) as is_alone:
                if is_alone:
                    remove_tree(folder)

    async def _evict(self, commit: str, looked_at: float) -> bool:
        async with self.still:
            if commit in self._users or self._was_asked_for(commit, looked_at):
                return False
            place = await in_thread(self._take_away, self._folder / commit)
        if place is None:
            return False
        self._sizes.pop(commit, None)
        _log.info("snapshot_evicted", snapshot=commit)
        await in_thread(remove_tree, place)
        return True

    def _was_asked_for(self, commit: str, since: float) -> bool:
        try:
            return (self._folder / commit / "ready").stat().st_mtime >= since
        except OSError:
            return True

    def _take_away(self, folder: Path) -> Path | None:
        """Moves a folder out of sight, durably; returns None where it is locked."""
        place = self._aside / f"evicted-{folder.name}-{secrets.token_hex(8)}"
        with _alone(folder) as is_alone:
            if not is_alone:
                return None
            folder.rename(place)
            # Synced before anything in it is deleted: after a power cut it must not be back with holes.
            sync_folder(self._aside)
            sync_folder(self._folder)
        return place

    def _look(self, used: Collection[str]) -> list[Kept]:
        """Returns all snapshots on this host. Blocking: a few small files for each."""
        kept, now = [], self._now()
        for folder in self._names():
            with contextlib.suppress(OSError, ValueError, TypeError):  # it went, or its `ready` cannot be read
                size = self._sizes.get(folder.name) or _size(folder)
                unused = max(0.0, now - (folder / "ready").stat().st_mtime)
                kept.append(Kept(folder.name, size, unused, is_used=folder.name in used))
        self._sizes = {each.commit: each.byte_count for each in kept}
        return kept


def hold(folder: Path) -> int:
    """Returns a descriptor that locks a snapshot while any process has it; fails with OSError where it is being evicted."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Locks a folder exclusively; yields whether that succeeded."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _size(folder: Path) -> int:
    """Returns a snapshot's size on the disk, without walking through its tree."""
    ready = read_ready(folder)
    if ready is None:
        raise FileNotFoundError(folder)
    packs = (folder / "history.git" / "objects" / "pack").iterdir()
    history = sum(path.lstat().st_size for path in packs)
    return history + ready.byte_count + ready.file_count * FILE_OVERHEAD_BYTES
