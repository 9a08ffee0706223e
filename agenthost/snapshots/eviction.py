"""Who uses which snapshot, and the going of those that nobody does. Which go, `core.eviction` says; when, `housekeeping` does.

A snapshot's folder is its own lock. A shim holds it shared for as long as it lives, by a descriptor that it inherits: so no
daemon, and no absence of one, can take a tree from under an agent. Whoever evicts takes it alone, without waiting, renames the
folder out of sight, and only then deletes. A crash in between leaves it in place, or among what is emptied at the next start. What
this process itself reads (attempts that wait or were adopted, bases of a push) is counted, not locked.

When a snapshot was last used, the time of its file `ready` tells: so it outlasts this process.
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
from agenthost.snapshots.threads import in_thread
from agenthost.system.files import sync_folder

FREE_BYTES = 1024**3  # of the disk, before a push begins
FILE_OVERHEAD_BYTES = 2048  # half a block for each file: what is not in its size
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Figures:
    """How many snapshots are here, and roughly what they take."""

    count: int = 0
    byte_count: int = 0


class Eviction:
    """The uses of one store's snapshots, and their end."""

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
        # Held while a snapshot is taken away, and by whoever promises that one is here.
        self.still = asyncio.Lock()

    @property
    def figures(self) -> Figures:
        """As they were when somebody last looked."""
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
        """Notes that a snapshot is asked for; False when it is not here. Blocking, but short."""
        try:
            os.utime(self._folder / commit / "ready", (self._now(), self._now()))
        except OSError:
            return False
        return True

    async def evict(self, shortage_bytes: int = 0) -> int:
        """Lets go what is to go; gives how many went."""
        shortage_bytes = max(shortage_bytes, FREE_BYTES - shutil.disk_usage(self._folder).free)
        count, locked = 0, set[str]()
        while True:
            begun = self._now()
            kept = await in_thread(self._look, frozenset(locked | set(self._users)))
            chosen = choose(kept, self._keeping, shortage_bytes)
            stayed = {commit for commit in chosen if not await self._evict(commit, begun)}
            gone = [one for one in kept if one.commit in chosen and one.commit not in stayed]
            count += len(gone)
            shortage_bytes -= sum(one.byte_count for one in gone)
            if not stayed:
                return count
            # A shim that nobody here knows of reads it, or somebody came just now: others may go instead.
            locked |= stayed

    def is_full(self) -> bool:
        """Whether snapshots take all that they may, as far as was seen."""
        return self.figures.byte_count >= self._keeping.snapshots_bytes

    def clear_aside(self) -> None:
        """Deletes what earlier processes left half made, given up or half deleted, and what is no snapshot. Blocking.

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
        """Moves a folder out of sight, durably; None where somebody holds it."""
        place = self._aside / f"evicted-{folder.name}-{secrets.token_hex(8)}"
        with _alone(folder) as is_alone:
            if not is_alone:
                return None
            folder.rename(place)
            # Before anything in it is deleted: after a power cut it must not be back, with holes.
            sync_folder(self._aside)
            sync_folder(self._folder)
        return place

    def _look(self, used: Collection[str]) -> list[Kept]:
        """All that is here. Blocking: a few small files for each."""
        kept, now = [], self._now()
        for folder in self._names():
            with contextlib.suppress(OSError, ValueError, TypeError):  # it went, or its note is not to be read
                size = self._sizes.get(folder.name) or _size(folder)
                unused = max(0.0, now - (folder / "ready").stat().st_mtime)
                kept.append(Kept(folder.name, size, unused, is_used=folder.name in used))
        self._sizes = {one.commit: one.byte_count for one in kept}
        return kept


def hold(folder: Path) -> int:
    """A descriptor that holds a snapshot for whoever inherits it; fails with OSError where it is on its way out."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Holds a folder against everybody; gives whether that could be had."""
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
    """What a snapshot takes on the disk, without walking through its tree."""
    ready = read_ready(folder)
    if ready is None:
        raise FileNotFoundError(folder)
    packs = (folder / "history.git" / "objects" / "pack").iterdir()
    history = sum(path.lstat().st_size for path in packs)
    return history + ready.byte_count + ready.file_count * FILE_OVERHEAD_BYTES
