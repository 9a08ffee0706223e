"""Stores the trees that agents read: received from conductors, verified, checked out once, read-only, named by their id.

    DATA/snapshots/<commit>/   tree/         what an agent sees at /workspace
                               history.git/  the newest part of its history, on its own
                               commits, ready
    DATA/snapshots/.incoming/  what is being made, and what was given up or evicted; emptied at start

A snapshot is built aside and renamed into place when it is complete and on the disk. So a folder with a commit's name
is always whole, a crash leaves nothing but leftovers, and of two pushes at once one wins and both are answered.

The conductor that pushes a snapshot first chooses how much history it has: its id says what the tree is, and only that.
`eviction` decides which of them go again, and when.
"""

import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agenthost.core.snapshots.eviction import DEFAULT_KEEPING, Keeping
from agenthost.errors import InvalidRequestError, NoCapacityError, PreconditionError, Violation
from agenthost.shim.fingerprint import fingerprint
from agenthost.snapshots.checkout import check_out
from agenthost.snapshots.contents import find_damage
from agenthost.snapshots.disk import remove_tree, seal, write_to_disk
from agenthost.snapshots.eviction import Eviction
from agenthost.snapshots.git import Git
from agenthost.snapshots.index_file import write_index
from agenthost.snapshots.packs import History, Offer, take_in
from agenthost.snapshots.readiness import Ready, held, read_ready, write_ready
from agenthost.snapshots.tree import parse
from servicekit.packs.pushes import Push, Pushes
from servicekit.snapshot_rules import MAX_FILES, Entry
from servicekit.threads import in_thread

MAX_BASES = 5000
MAX_DONORS = 64
SHORTAGE_BYTES = 2 * 1024**3  # freed, as far as possible, after a push that found no room on the disk
COMMIT_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class SnapshotPaths:
    """The paths of a snapshot on this host."""

    tree: Path
    history: Path

    @property
    def folder(self) -> Path:
        """Returns the folder that readers of the snapshot lock."""
        return self.tree.parent


@dataclass(frozen=True, slots=True)
class Missing:
    """Those of some commits that are not here at all, and those that are checked out."""

    missing: tuple[str, ...]
    checked_out: tuple[str, ...]


class SnapshotStore:
    """All snapshots of one host. Make it with `open`."""

    def __init__(self, folder: Path, keeping: Keeping, now: Callable[[], float]) -> None:
        self._folder = folder.absolute()
        self._incoming = self._folder / ".incoming"
        self._pushes = Pushes()
        self.eviction = Eviction(self._folder, self._incoming, keeping, self._known, now)

    @classmethod
    async def open(
        cls, folder: Path, keeping: Keeping = DEFAULT_KEEPING, now: Callable[[], float] = time.time
    ) -> "SnapshotStore":
        """Opens the store in a folder of the host's data directory, and removes what a crash left half made."""
        store = cls(folder, keeping, now)
        await in_thread(store._prepare)
        return store

    async def find_missing(self, commits: Sequence[str]) -> Missing:
        """Returns which of some commits are here, and keeps those that are checked out from eviction for a while."""
        async with self.eviction.still:
            return await in_thread(self._find_missing, commits)

    def locate(self, commit: str) -> SnapshotPaths:
        """Returns the paths of a snapshot; raises PreconditionError (SNAPSHOT_MISSING) when it is not here."""
        folder = self._place(commit)
        if not (folder / "ready").is_file():
            raise PreconditionError(
                "SNAPSHOT_MISSING", f"the snapshot {commit} is not on this host", hint="push it first"
            )
        return SnapshotPaths(folder / "tree", folder / "history.git")

    async def fingerprint(self, commit: str) -> str:
        """Returns a witness over the tree as it is now: see `agenthost.shim.fingerprint`."""
        return await in_thread(fingerprint, self.locate(commit).tree)

    def witness(self, commit: str) -> str:
        """Returns the fingerprint that the tree had when it was checked out; empty where it is not here."""
        ready = read_ready(self._place(commit))
        return ready.fingerprint if ready else ""

    async def find_damage(self, commit: str) -> str:
        """Reads the whole tree and returns the first difference from its commit; empty when there is none. Slow."""
        paths = self.locate(commit)
        listing = await Git(paths.history).list_tree(commit, MAX_FILES)
        return await in_thread(find_damage, parse(listing), paths.tree)

    async def set_aside(self, commit: str) -> Path:
        """Takes a snapshot out of use, so that it is missing from now on; its remains are kept until the next start."""
        place = self._incoming / f"given-up-{commit}-{secrets.token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            await in_thread(self._place(commit).rename, place)
        return place

    async def receive(self, offer: Offer, chunks: AsyncIterator[bytes], push: Push | None = None) -> Ready:
        """Makes a snapshot from a pack. Idempotent: for one that is here already, the pack is not read."""
        _check_offer(offer)
        if ready := await self._find(offer.snapshot):
            return ready
        async with self._pushes.place(push or Push()), self._room():
            folder = self._incoming / f"{offer.snapshot}-{secrets.token_hex(8)}"
            folder.mkdir(mode=0o755)
            try:
                await self._make(offer, chunks, folder)
                return await in_thread(self._move_into_place, folder, self._place(offer.snapshot))
            except OSError as error:
                raise NoCapacityError(f"cannot write the snapshot: {error.strerror}") from error
            finally:
                await in_thread(remove_tree, folder)

    async def _find(self, commit: str) -> Ready | None:
        place = self._place(commit)
        async with self.eviction.still:
            return read_ready(place) if self.eviction.touch(commit) else None

    @contextlib.asynccontextmanager
    async def _room(self) -> AsyncIterator[None]:
        """Makes room for another snapshot; if a push finds too little, evicts more for the next try."""
        await self.eviction.evict()
        if self.eviction.is_full():
            raise NoCapacityError(
                "snapshots take all the space that they may, and all are in use or new",
                hint="try again later, or raise limits.snapshots_bytes in the host's configuration",
            )
        try:
            yield
        except NoCapacityError:
            await self.eviction.evict(SHORTAGE_BYTES)
            raise
        await self.eviction.evict()

    async def _make(self, offer: Offer, chunks: AsyncIterator[bytes], folder: Path) -> None:
        async with self._kept_donors(offer.bases) as donors:
            history = await take_in(offer, chunks, folder, donors)
        entries = parse(await history.git.list_tree(offer.snapshot, MAX_FILES))
        await check_out(history.git, entries, folder / "tree")
        await in_thread(_finish, folder, offer.snapshot, history, entries)

    @contextlib.asynccontextmanager
    async def _kept_donors(self, bases: Sequence[str]) -> AsyncIterator[list[Path]]:
        """Yields the snapshots that have some bases, and keeps them from eviction meanwhile."""
        async with self.eviction.still:
            donors = await in_thread(self._donors, bases)
            for donor in donors:
                self.eviction.keep(donor.name)
        try:
            yield [donor / "history.git" for donor in donors]
        finally:
            for donor in donors:
                self.eviction.let_go(donor.name)

    def _place(self, commit: str) -> Path:
        if not COMMIT_ID.fullmatch(commit):
            raise InvalidRequestError(Violation("snapshot", "must be a commit id of 40 hexadecimal digits"))
        return self._folder / commit

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._incoming.is_symlink():  # its target is not ours to empty
            self._incoming.unlink()
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        self.eviction.clear_aside()

    def _known(self) -> list[Path]:
        """Returns the folders of all snapshots, newest first."""
        found = [path for path in self._folder.iterdir() if COMMIT_ID.fullmatch(path.name)]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def _find_missing(self, commits: Sequence[str]) -> Missing:
        for commit in commits:
            self._place(commit)  # refuses what is no id
        checked_out = tuple(commit for commit in commits if self.eviction.touch(commit))
        absent = set(commits) - set(checked_out)
        for folder in self._known():
            if not absent:
                break
            absent.difference_update(held(folder, absent))
        return Missing(tuple(commit for commit in commits if commit in absent), checked_out)

    def _donors(self, bases: Sequence[str]) -> list[Path]:
        """Returns the fewest snapshots, newest first, that have all bases between them."""
        wanted = set(bases)
        donors = []
        for folder in self._known():
            found = set(held(folder, wanted))
            if found:
                wanted -= found
                donors.append(folder)
            if not wanted or len(donors) == MAX_DONORS:
                break
        if wanted:
            raise PreconditionError(
                "BASE_MISSING", f"this host lacks {len(wanted)} bases of the pack", hint="push without bases"
            )
        return donors

    def _move_into_place(self, folder: Path, place: Path) -> Ready:
        write_to_disk(folder)
        try:
            folder.rename(place)
        except OSError:
            # Another push of the same snapshot was faster; its folder is as good as this one.
            if not (place / "ready").is_file():
                raise
        write_to_disk(self._folder)
        self.eviction.touch(place.name)
        ready = read_ready(place)
        if ready is None:
            raise FileNotFoundError(f"{place} vanished")
        return ready


def _finish(folder: Path, snapshot: str, history: History, entries: Sequence[Entry]) -> None:
    tree, git_folder = folder / "tree", folder / "history.git"
    remove_tree(folder / "received.git")
    write_index(git_folder / "index", entries, tree)
    seal(git_folder)
    written = Ready(
        snapshot=snapshot,
        pack_bytes=history.pack_bytes,
        file_count=len(entries),
        byte_count=sum(entry.size for entry in entries),
        fingerprint=fingerprint(tree),
    )
    write_ready(folder, written, history.commits)


def _check_offer(offer: Offer) -> None:
    for field, ids in (("bases", offer.bases), ("shallow", offer.shallow)):
        if len(ids) > MAX_BASES or not all(COMMIT_ID.fullmatch(commit) for commit in ids):
            raise InvalidRequestError(Violation(f"header.{field}", f"must be at most {MAX_BASES} commit ids"))
