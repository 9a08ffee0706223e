"""The pushed snapshots of one caller: a git folder that holds their objects and no other's."""

import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from conductor.config import Pushes
from conductor.errors import NoCapacityError, SnapshotInvalidError
from conductor.snapshots.git import Git, GitError
from conductor.snapshots.keyed_locks import KeyedLocks
from conductor.snapshots.pushed.limits import (
    FREE_BYTES,
    MAX_PARTIAL_PACKS,
    MAX_SNAPSHOTS,
    PARTIAL_SECONDS,
    RECENT_SECONDS,
)
from conductor.snapshots.pushed.partial_pack import PartialPack
from conductor.snapshots.pushed.quarantine import quarantined
from conductor.snapshots.pushed.records import Origin, Record, Records
from conductor.snapshots.storing.history import History
from conductor.snapshots.storing.objects import MAX_PACKS, ObjectStore
from conductor.snapshots.turns import Turns
from servicekit.threads import in_thread

PUSHED = "refs/pushed"
NOWHERE = Origin()
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """A snapshot that a caller has. `commits` are those upon which its pack could build."""

    snapshot: str
    commits: tuple[str, ...] = ()
    shallow: tuple[str, ...] = ()
    origin: Origin = NOWHERE


class CallerStore:
    """One caller's snapshots. `open` makes it. Packs are proven and snapshots copied at the same time; what is let go waits.

    `count_all` counts the bytes of all callers with those that are promised to pushes at work, and the latter alone.
    """

    def __init__(
        self, folder: Path, limits: Pushes, history_commits: int, count_all: Callable[[], tuple[int, int]]
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._count_all = count_all
        self._objects = ObjectStore(folder, history_commits)
        self._records = Records(folder / "records")
        self._incoming = folder / "incoming"
        self._writers = KeyedLocks()
        self._turns = Turns()
        self.promised_bytes = 0  # for packs that are being received

    @classmethod
    async def open(
        cls, folder: Path, limits: Pushes, history_commits: int, count_all: Callable[[], tuple[int, int]]
    ) -> "CallerStore":
        """Opens the store in a folder, and removes what a killed conductor left half proven."""
        store = cls(folder, limits, history_commits, count_all)
        await in_thread(store._prepare)
        await store._objects.open()
        return store

    @property
    def git(self) -> Git:
        """Git over the caller's objects."""
        return self._objects.git

    async def find(self, snapshot: str) -> Record | None:
        """Returns a snapshot that is here, and notes its use; None where it is not."""
        # A record is written after its ref, and removed before it.
        record = await in_thread(self._records.read, snapshot)
        if record is not None:
            await in_thread(self._records.touch, snapshot, time.time())
        return record

    async def missing(self, commits: Sequence[str]) -> list[str]:
        """Returns those of some commits that this caller did not push."""
        async with self._turns.together():
            here = await self._objects.present(commits) if commits else frozenset()
        return [commit for commit in commits if commit not in here]

    async def history(self, snapshot: str) -> History:
        """Returns a snapshot and its history."""
        return await self._objects.history(snapshot)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Lets nothing go in this block."""
        async with self._turns.together():
            yield

    @contextlib.asynccontextmanager
    async def receiving(self, digest: str, byte_count: int) -> AsyncIterator[PartialPack]:
        """Opens a pack for its next bytes; raises NoCapacityError where there is no room for it."""
        path = self._incoming / f"{digest}.pack"
        async with self._writers.hold(digest):
            # Twice: as it came, and as git keeps it.
            wanted = 2 * byte_count
            # Before it is looked: others that look meanwhile must count it.
            self.promised_bytes += wanted
            try:
                if await in_thread(self._lacks_room):
                    await self.let_go(RECENT_SECONDS)
                await in_thread(self._require_room, path)
                with PartialPack(path, digest, byte_count) as partial:
                    yield partial
            finally:
                self.promised_bytes -= wanted

    async def land(self, offer: Offer, partial: PartialPack) -> Record:
        """Proves a whole pack and keeps its snapshot; raises SnapshotInvalidError, also where its bases went meanwhile."""
        await in_thread(partial.check)
        async with self._turns.together():
            return await self._prove(offer, partial)

    async def _prove(self, offer: Offer, partial: PartialPack) -> Record:
        try:
            async with quarantined(partial.path, offer.snapshot, offer.shallow, self._folder) as proven:
                await self._objects.adopt(proven.packs, proven.shallow)
                record = Record(offer.snapshot, offer.origin, proven.file_count, proven.byte_count, time.time())
        except SnapshotInvalidError:
            partial.remove()  # after other failures the same pack may be proven later
            raise
        await self._objects.point(f"{PUSHED}/{offer.snapshot}", offer.snapshot)
        await in_thread(self._records.write, record)
        partial.remove()
        return record

    async def let_go(self, unused_seconds: float) -> None:
        """Removes the snapshots that were not used for so long, or are too many, and packs that did not become whole for a day."""
        await in_thread(self._remove_partial_packs, time.time() - PARTIAL_SECONDS)
        old = await in_thread(self._unused, time.time() - unused_seconds)
        if not old and await in_thread(self._count_packs) <= MAX_PACKS:
            return
        async with self._turns.alone():
            for snapshot in old:
                await in_thread(self._records.remove, snapshot)
            kept = await in_thread(self._records.last_uses)
            drop = [ref for ref, commit in (await self._objects.named(PUSHED)).items() if commit not in kept]
            try:
                await self._objects.sweep({}, drop)
                shallow = self._objects.shallow()
                self._objects.write_shallow(await self._objects.present(sorted(shallow)))
                _log.info("pushed_snapshots_let_go", caller=self._folder.name, snapshots=len(old))
            except GitError as error:
                _log.warning("pushed_snapshots_emptied", caller=self._folder.name, error=str(error))
                await in_thread(self._empty)
                await self._objects.open()

    def count_bytes(self) -> int:
        """Returns the bytes that this caller's snapshots take. Blocking."""
        return size_of(self._folder)

    def _prepare(self) -> None:
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(self._folder / "quarantine", ignore_errors=True)
        self._incoming.mkdir(exist_ok=True)

    def _empty(self) -> None:
        """Removes everything: the objects are damaged. Pushes bring again what is needed."""
        for path in self._folder.iterdir():
            if path != self._incoming:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _lacks_room(self) -> bool:
        used, (used_by_all, _) = self.count_bytes() + self.promised_bytes, self._count_all()
        return used > self._limits.caller_bytes or used_by_all > self._limits.total_bytes

    def _require_room(self, path: Path) -> None:
        self._remove_partial_packs(time.time() - PARTIAL_SECONDS, besides=path)
        used, (used_by_all, promised) = self.count_bytes() + self.promised_bytes, self._count_all()
        if used > self._limits.caller_bytes:
            raise NoCapacityError(
                f"this caller's snapshots would take {used} bytes on the conductor's disk; "
                f"pushes.caller_bytes is {self._limits.caller_bytes}",
                hint="push less: let git ignore generated files, or name a smaller folder",
            )
        if used_by_all > self._limits.total_bytes:
            raise NoCapacityError(
                f"the snapshots of all callers take what pushes.total_bytes allows, {self._limits.total_bytes} bytes",
                hint="they are let go when they are not used; the operator can raise pushes.total_bytes",
            )
        if shutil.disk_usage(self._folder).free < promised + FREE_BYTES:
            raise NoCapacityError(
                "the disk of the conductor has no room for this pack", hint="push less, or free space"
            )

    def _remove_partial_packs(self, before: float, besides: Path | None = None) -> None:
        """Removes packs that were written last before this time, and the oldest of too many."""
        found = {}
        for path in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime
        newest = sorted(found, key=lambda path: (path == besides, found[path]))[-MAX_PARTIAL_PACKS:]
        for path, written in found.items():
            if path != besides and (written < before or path not in newest):
                path.unlink(missing_ok=True)

    def _unused(self, before: float) -> Collection[str]:
        uses = self._records.last_uses()
        newest = sorted(uses, key=lambda snapshot: uses[snapshot])[-MAX_SNAPSHOTS:]
        return [snapshot for snapshot, used in uses.items() if used < before or snapshot not in newest]

    def _count_packs(self) -> int:
        return len(list((self._folder / "objects" / "pack").glob("*.pack")))


def size_of(folder: Path) -> int:
    """Returns the bytes of all files below a folder. Blocking."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total
