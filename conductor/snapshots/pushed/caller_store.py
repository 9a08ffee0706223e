"""The pushed snapshots of one caller: a git folder that holds their objects and no other's."""

import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from conductor.config import Pushes
from conductor.errors import NoCapacityError, ProgramError
from conductor.snapshots.git import Git
from conductor.snapshots.keyed_locks import KeyedLocks
from conductor.snapshots.pushed.limits import FREE_BYTES, MAX_PARTIAL_PACKS
from conductor.snapshots.pushed.partial_pack import PartialPack
from conductor.snapshots.pushed.quarantine import quarantined
from conductor.snapshots.pushed.records import Origin, Record, Records
from conductor.snapshots.storing.history import History
from conductor.snapshots.storing.objects import ObjectStore
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
    """One caller's snapshots. `open` makes it; pushes and copies go on at once, pruning alone."""

    def __init__(self, folder: Path, limits: Pushes, history_commits: int) -> None:
        self._folder = folder
        self._limits = limits
        self._objects = ObjectStore(folder, history_commits)
        self._records = Records(folder / "records")
        self._incoming = folder / "incoming"
        self._writers = KeyedLocks()
        self._turns = Turns()

    @classmethod
    async def open(cls, folder: Path, limits: Pushes, history_commits: int) -> "CallerStore":
        """Opens the store in a folder, and removes what a killed conductor left half proven."""
        store = cls(folder, limits, history_commits)
        await store._objects.open()
        await in_thread(store._prepare)
        return store

    @property
    def git(self) -> Git:
        """Git over the caller's objects."""
        return self._objects.git

    async def find(self, snapshot: str) -> Record | None:
        """Returns a snapshot that is here, and notes its use; None where it is not."""
        record = await in_thread(self._records.read, snapshot)
        if record is None or not await self._objects.named(f"{PUSHED}/{snapshot}"):
            return None
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

    async def holds(self, commit: str) -> bool:
        """Returns whether this caller pushed a commit, as a snapshot or in its history."""
        return (await self.git.attempt("cat-file", "-t", commit)).stdout == b"commit\n"

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Lets nothing be pruned in this block."""
        async with self._turns.together():
            yield

    @contextlib.asynccontextmanager
    async def receiving(self, digest: str, byte_count: int) -> AsyncIterator[PartialPack]:
        """Opens a pack for its next bytes; raises NoCapacityError where there is no room for it."""
        async with self._writers.hold(digest), self._turns.together():
            path = self._incoming / f"{digest}.pack"
            await in_thread(self._require_room, path, byte_count)
            with PartialPack(path, digest, byte_count) as partial:
                yield partial

    async def land(self, offer: Offer, partial: PartialPack) -> Record:
        """Proves a whole pack and keeps its snapshot; raises SnapshotInvalidError."""
        await in_thread(partial.check)
        try:
            async with quarantined(partial.path, offer.snapshot, offer.shallow, self._folder) as proven:
                await self._objects.adopt(proven.packs, offer.shallow)
                record = Record(offer.snapshot, offer.origin, proven.file_count, proven.byte_count, time.time())
        except NoCapacityError:
            raise
        except ProgramError:
            raise  # the same pack may be proven later
        except Exception:
            partial.remove()
            raise
        await self._objects.point(f"{PUSHED}/{offer.snapshot}", offer.snapshot)
        await in_thread(self._records.write, record)
        partial.remove()
        return record

    async def used_bytes(self) -> int:
        """Returns the bytes that this caller's snapshots take."""
        return await in_thread(_size, self._folder)

    def _prepare(self) -> None:
        shutil.rmtree(self._folder / "quarantine", ignore_errors=True)
        self._incoming.mkdir(exist_ok=True)

    def _require_room(self, path: Path, byte_count: int) -> None:
        others = [other for other in self._incoming.iterdir() if other != path]
        if len(others) >= MAX_PARTIAL_PACKS:
            oldest = min(others, key=lambda other: other.stat().st_mtime)
            oldest.unlink(missing_ok=True)
        # Twice: as it came, and as git keeps it.
        wanted = 2 * byte_count
        if _size(self._folder) + wanted > self._limits.caller_bytes:
            raise NoCapacityError(
                f"the snapshots of this caller would take more than {self._limits.caller_bytes} bytes on the conductor's disk",
                hint="they are let go some days after their last use; an operator sets pushes.caller_bytes",
            )
        if shutil.disk_usage(self._folder).free < wanted + FREE_BYTES:
            raise NoCapacityError(
                "the disk of the conductor has no room for this pack", hint="push less, or free space"
            )


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
