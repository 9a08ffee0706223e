"""Copies the snapshots of runs into a blob store, and brings them from there where this machine lacks them.

The git folder on this machine is then a cache: what was fetched has a ref of its own, and may go whenever it is not in use. A copy
that is damaged is passed over for an older one. It does not know what runs are, beyond their ids.
"""

import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from conductor.blobs.port import MOST_BYTES, BlobMissingError, BlobOversizedError, BlobStore
from conductor.errors import NoCapacityError, SnapshotLostError
from conductor.snapshots.copies.names import (
    COPIES,
    NEEDS,
    Copy,
    Need,
    find_orphaned,
    find_unneeded,
    read_copies,
    read_needs,
)
from conductor.snapshots.copies.packing import check_digest, digest_of, pack_copy, take_copy
from conductor.snapshots.git import GitError, telling_of_full_disk
from conductor.snapshots.keyed_locks import KeyedLocks
from conductor.snapshots.storing.objects import ObjectStore
from servicekit.threads import in_thread

FETCHED = "refs/fetched"
_log = structlog.get_logger(__name__)


class SnapshotCopies:
    """The copies in one blob store. `epoch` returns the conductor's; `folder` is for files on their way."""

    def __init__(self, blobs: BlobStore, objects: ObjectStore, folder: Path, epoch: Callable[[], int]) -> None:
        self._blobs = blobs
        self._objects = objects
        self._folder = folder
        self._epoch = epoch
        self._locks = KeyedLocks()
        self._swept = -1  # the epoch of the last sweep
        self._kept: set[str] = set()  # since the last look at which copies may go
        shutil.rmtree(folder, ignore_errors=True)  # of a conductor that was killed

    @property
    def shown(self) -> str:
        """The place of the copies, for people."""
        return self._blobs.shown

    async def keep(self, run: str, commits: Sequence[str]) -> None:
        """Stores copies of commits for a run, before it exists. Those that are there of this epoch are not stored again."""
        for commit in commits:
            epoch = self._epoch()
            self._kept.add(commit)
            await self._blobs.mark(Need(run, epoch, commit).name)
            async with self._locks.hold(commit):
                if not any(copy.epoch == epoch for copy in await self._copies_of(commit)):
                    await self._store(commit, epoch)

    async def _store(self, commit: str, epoch: int) -> None:
        with self._file() as path:
            await pack_copy(self._objects, commit, path)
            copy = Copy(epoch, commit, await in_thread(digest_of, path))
            size = path.stat().st_size
            if size > MOST_BYTES:
                raise NoCapacityError(
                    f"the copy of the snapshot {commit} would have {size} bytes; at most {MOST_BYTES} are kept"
                )
            await self._blobs.put(copy.name, path)
        _log.info("snapshot_copied", commit=commit, bytes=size)

    async def release(self, run: str) -> None:
        """Notes that this run needs its copies no longer. Idempotent."""
        async for names in self._pages(f"{NEEDS}{run}/"):
            for name in names:
                await self._blobs.delete(name)

    async def has(self, commit: str) -> bool:
        """Returns whether there is a copy of a commit."""
        return bool(await self._copies_of(commit))

    async def fetch(self, commit: str) -> bool:
        """Brings a commit to this machine; returns whether there is a copy. SnapshotLostError: there are damaged ones only."""
        async with self._locks.hold(commit):
            if await self._objects.present((commit,)):
                return True
            copies = sorted(await self._copies_of(commit), reverse=True)
            for copy in copies:
                if await self._take(copy):
                    return True
            if copies:
                raise SnapshotLostError(f"every copy of the snapshot {commit} in {self.shown} is damaged")
            return False

    async def _take(self, copy: Copy) -> bool:
        try:
            with self._file() as path:
                with telling_of_full_disk():
                    await self._blobs.get(copy.name, path)
                await in_thread(check_digest, path, copy.digest)
                await take_copy(self._objects, copy.commit, path, f"{FETCHED}/{copy.commit}")
        except (BlobMissingError, BlobOversizedError, ValueError, GitError) as error:
            _log.warning("snapshot_copy_damaged", copy=copy.name, error=str(error) or type(error).__name__)
            return False
        _log.info("snapshot_fetched", commit=copy.commit)
        return True

    async def sweep_once(
        self, known: Callable[[Collection[str]], Awaitable[Collection[str]]]
    ) -> Collection[str] | None:
        """Removes the needs of runs that do not exist, then the copies that no run needs; once for each epoch.

        Returns the runs whose needs are kept; None where it was done before.
        """
        if self._swept == self._epoch():
            return None
        removed, epoch, kept = 0, self._epoch(), set()
        async for names in self._pages(NEEDS):
            needs = read_needs(names)
            orphaned = find_orphaned(needs, await known({need.run for need in needs}), epoch)
            for need in orphaned:
                await self._blobs.delete(need.name)
            kept |= {need.run for need in needs} - {need.run for need in orphaned}
            removed += len(orphaned)
        removed += await self.prune()
        self._swept = epoch
        if removed:
            _log.info("snapshot_copies_swept", removed=removed)
        return kept

    async def prune(self) -> int:
        """Removes the copies that no run needs; returns how many. Those that are kept meanwhile stay."""
        self._kept = set()
        # Copies first: one that is stored after this has its need stored before it is looked for.
        copies = [copy async for names in self._pages(COPIES) for copy in read_copies(names)]
        needed = {need.commit async for names in self._pages(NEEDS) for need in read_needs(names)}
        removed = 0
        for copy in find_unneeded(copies, needed, self._epoch()):
            async with self._locks.hold(copy.commit):
                if copy.commit not in self._kept:
                    await self._blobs.delete(copy.name)
                    removed += 1
        return removed

    async def _copies_of(self, commit: str) -> list[Copy]:
        return [copy async for names in self._pages(f"{COPIES}{commit}/") for copy in read_copies(names)]

    async def _pages(self, prefix: str) -> AsyncIterator[list[str]]:
        after = ""
        while names := await self._blobs.names(prefix, after):
            yield names
            after = names[-1]

    @contextmanager
    def _file(self) -> Iterator[Path]:
        with telling_of_full_disk():
            self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / secrets.token_hex(8)
        try:
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
