"""The conductor's snapshots: pinned from workspaces, kept for runs, read for citation checks, packed for hosts."""

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import structlog

from conductor.blobs.port import BlobStore
from conductor.core.model.events.event_parts import WorkspaceChanges
from conductor.core.model.plan import SnapshotPlan
from conductor.errors import InvalidRequestError, ProgramError, ServiceError, Violation
from conductor.snapshots.copies.copies import SnapshotCopies
from conductor.snapshots.git import DiskFullError
from conductor.snapshots.keyed_locks import KeyedLocks
from conductor.snapshots.pushed.adoption import adopt, scoped_again
from conductor.snapshots.pushed.caller_store import CallerStore, size_of
from conductor.snapshots.pushed.records import Record
from conductor.snapshots.reading.changes import Comparison, compared
from conductor.snapshots.reading.entries import shown
from conductor.snapshots.reading.listing import TreeEntry, list_tree
from conductor.snapshots.reading.repository import Repository, find_repository
from conductor.snapshots.reading.source import Source
from conductor.snapshots.reading.view import view_of
from conductor.snapshots.roots import WorkspaceRoots
from conductor.snapshots.scopes.scope import Scope
from conductor.snapshots.scopes.scoping import Scoping
from conductor.snapshots.signals import Signals, read_signals
from conductor.snapshots.storing.contents import NoContent, read_files
from conductor.snapshots.storing.history import MAX_HISTORY_COMMITS, History
from conductor.snapshots.storing.objects import ObjectStore
from conductor.snapshots.storing.pin import CONVERTED, Pin, Sieve, WorkspaceMode
from conductor.snapshots.storing.travelling import BASES, RUNS
from conductor.snapshots.turns import Turns
from servicekit.programs import Running
from servicekit.threads import in_thread

MAX_READ_BYTES = 8 * 1024 * 1024
MAX_RELATIVES = 8
WORKSPACES = "refs/workspaces"
WHOLE = Scope()

RECENT = "refs/recent"
RECENT_SECONDS = 3600.0
COPIES_FOLDER = "copies"
CACHE_BYTES = 20 * 1024**3

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pinned snapshot, and the document of its changes (see `scopes.changes`); empty where it is compared with nothing.

    `converted` are the paths whose bytes differ from HEAD's, but not for git.
    """

    plan: SnapshotPlan
    changes: bytes = b""
    converted: tuple[bytes, ...] = ()


class SnapshotStore:
    """All snapshots of one conductor. `open` makes it."""

    def __init__(self, folder: Path, roots: WorkspaceRoots, history_commits: int) -> None:
        self._folder = folder.absolute()
        self._roots = roots
        self._objects = ObjectStore(self._folder, history_commits)
        self._pinning = KeyedLocks()
        self._turns = Turns()
        self._pinned_at: dict[str, float] = {}
        self._copies: SnapshotCopies | None = None
        self._cache_bytes = CACHE_BYTES

    @classmethod
    async def open(
        cls,
        folder: Path,
        roots: WorkspaceRoots | None = None,
        *,
        history_commits: int = MAX_HISTORY_COMMITS,
        blobs: BlobStore | None = None,
        epoch: Callable[[], int] = int,
        cache_bytes: int = CACHE_BYTES,
    ) -> "SnapshotStore":
        """Opens the store in a folder of the conductor's data directory. With `blobs`, the runs' snapshots lie there too."""
        store = cls(folder, roots or WorkspaceRoots(), history_commits)
        await store._objects.open()
        store._cache_bytes = cache_bytes
        if blobs is not None:
            store._copies = SnapshotCopies(blobs, store._objects, store._folder / COPIES_FOLDER, epoch)
        return store

    async def pin(self, folder: Path, mode: str = WorkspaceMode.WORKING_TREE, revision: str = "") -> SnapshotPlan:
        """Pins the present content of a folder as a whole."""
        return (await self.pin_scope(folder, mode, revision)).plan

    async def pin_scope(
        self,
        folder: Path,
        mode: str = WorkspaceMode.WORKING_TREE,
        revision: str = "",
        scope: Scope = WHOLE,
        sieve: Sieve | None = None,
    ) -> Pinned:
        """Pins the present content of a folder, which `WorkspaceRoots.resolve` returned, and what it is compared with.

        `sieve` judges what is not committed. Raises RequestError where the folder, the revision or the scope cannot be pinned.
        """
        key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]
        pin = Pin(self._objects, folder, f"{WORKSPACES}/{key}/latest", sieve)
        try:
            async with self._turns.together(), self._pinning.hold(key), self._source(folder) as source:
                before = await self._objects.named(pin.ref)
                plan = await self._pinned(pin, source, mode, revision)
                plan, changes = await self._scoped(pin, source, scope, plan)
                await self._keep_previous(key, before.get(pin.ref, plan.commit), plan)
                return Pinned(plan, changes, tuple(pin.left_out.paths.get(CONVERTED, ())))
        except OSError as error:
            raise self._unreadable(error) from error

    async def pin_pushed(self, store: CallerStore, record: Record, path: str, scope: Scope = WHOLE) -> Pinned:
        """Pins a snapshot that a caller pushed; `path` is the workspace's place on the caller's machine."""
        key = hashlib.sha256(os.fsencode(f"{store.git.folder}\0{path}")).hexdigest()[:24]
        ref = f"{WORKSPACES}/{key}/latest"
        async with self._turns.together(), self._pinning.hold(key):
            before = await self._objects.named(ref)
            plan, changes = await adopt(self._objects, store, record, scope, ref)
            await self._keep_previous(key, before.get(ref, plan.commit), plan)
            return Pinned(plan, changes)

    async def pin_fetched(self, url: str, folder: Path, commit: str, scope: Scope = WHOLE) -> Pinned:
        """Pins a commit of a repository that was fetched from a URL into a folder of ours, as that of any repository."""
        key = hashlib.sha256(os.fsencode(url)).hexdigest()[:24]
        pin = Pin(self._objects, folder, f"{WORKSPACES}/{key}/latest")
        anywhere = WorkspaceRoots()
        try:
            async with (
                self._turns.together(),
                self._pinning.hold(key),
                view_of(
                    Repository(folder, folder, folder, folder, is_bare=True, object_folders=(folder / "objects",)),
                    anywhere,
                    self._folder,
                ) as view,
            ):
                source = Source(view)
                before = await self._objects.named(pin.ref)
                plan, changes = await self._scoped(pin, source, scope, await pin.commit(source, commit))
                await self._keep_previous(key, before.get(pin.ref, plan.commit), plan)
                return Pinned(plan, changes)
        except InvalidRequestError as error:
            raise error.about("workspace.path", "workspace.url") from error

    async def renew(self, plan: SnapshotPlan) -> bool:
        """Keeps a snapshot that was pinned before for a while longer; returns whether it is still here."""
        commits = [commit for commit in (plan.commit, plan.base_commit) if commit]
        await self._bring(*commits)
        async with self._turns.together():
            if len(await self._objects.present(commits)) < len(set(commits)):
                return False
            self._pinned_at |= {commit: monotonic() for commit in commits}
            return True

    async def is_kept(self, commit: str) -> bool:
        """Returns whether a commit is the snapshot of a run, or one of the last of a workspace."""
        kept = (await self._objects.named(refs) for refs in (RUNS, WORKSPACES))
        if any([commit in named.values() async for named in kept]):
            return True
        return self._copies is not None and await self._copies.has(commit)

    async def pin_kept(self, commit: str, scope: Scope = WHOLE) -> Pinned:
        """Pins a snapshot that is kept, once more. The base of its scope is a whole commit id of this store."""
        await self._bring(commit)
        async with self._turns.together():
            plan, changes = await scoped_again(self._objects, SnapshotPlan(commit), scope)
            self._pinned_at |= {kept: monotonic() for kept in (plan.commit, plan.base_commit) if kept}
            return Pinned(plan, changes)

    async def _keep_previous(self, key: str, before: str, plan: SnapshotPlan) -> None:
        """Keeps the snapshot before this one as a base of packs, and this one for a while."""
        if before != plan.commit:
            await self._objects.point(f"{WORKSPACES}/{key}/previous", before)
        self._pinned_at |= {commit: monotonic() for commit in (plan.commit, plan.base_commit) if commit}

    @contextlib.asynccontextmanager
    async def _source(self, folder: Path) -> AsyncIterator[Source | None]:
        repository = await in_thread(lambda: find_repository(folder, self._roots))
        if repository is None:
            yield None
            return
        async with view_of(repository, self._roots, self._folder) as view:
            yield Source(view)

    def _unreadable(self, error: OSError) -> Exception:
        """Returns what an error means: the user's file that cannot be read is named, one of our own is a defect."""
        name = error.filename
        if not isinstance(name, str | bytes) or os.fsdecode(name).startswith(f"{self._folder}/"):
            return error
        text = f"cannot be read: {shown(os.fsencode(name))}: {error.strerror}"
        return InvalidRequestError(Violation("workspace.path", text))

    async def _pinned(self, pin: Pin, source: Source | None, mode: str, revision: str) -> SnapshotPlan:
        if mode == WorkspaceMode.COMMIT or (source is not None and source.repository.is_bare):
            if source is None:
                raise InvalidRequestError(Violation("workspace.mode", "a commit needs a git repository; there is none"))
            return await pin.commit(source, revision)
        if revision:
            raise InvalidRequestError(Violation("workspace.revision", "is for MODE_COMMIT only"))
        return await pin.working_tree(source)

    async def tree(self, commit: str) -> dict[bytes, TreeEntry]:
        """Returns the files, links and submodules of a snapshot."""
        return await list_tree(self._objects.git, commit)

    async def signals(self, snapshot: SnapshotPlan) -> Signals:
        """Returns what is counted in a snapshot, by which a band is chosen."""
        tree = await list_tree(self._objects.git, snapshot.commit)
        return await in_thread(lambda: read_signals(tree, snapshot))

    async def _scoped(
        self, pin: Pin, source: Source | None, scope: Scope, plan: SnapshotPlan
    ) -> tuple[SnapshotPlan, bytes]:
        if scope == WHOLE:
            return plan, b""
        converted = pin.left_out.paths.get(CONVERTED, ())
        return await Scoping(self._objects, source, scope, f"{pin.ref}-base", converted).apply(plan)

    async def keep(self, run: str, commit: str, base: str = "") -> None:
        """Keeps a snapshot for a run, and the base that it is compared with. Idempotent."""
        await self._bring(commit, base)
        await self._objects.point(f"{RUNS}/{run}", commit)
        if base:
            await self._objects.point(f"{BASES}/{run}", base)
        if self._copies is not None:
            await self._copy(run, commit, base, self._copies)

    async def release(self, run: str) -> None:
        """Keeps both for this run no longer. Idempotent."""
        await self._objects.forget([f"{RUNS}/{run}", f"{BASES}/{run}"])
        if self._copies is not None:
            await self._copies.release(run)

    async def _bring(self, *commits: str) -> None:
        """Brings snapshots from the blob store that are not on this machine."""
        if self._copies is None:
            return
        for commit in filter(None, commits):
            if self._pinned_at.get(commit, -RECENT_SECONDS) < monotonic() - RECENT_SECONDS / 2:
                async with self._turns.together():
                    if await self._copies.fetch(commit):
                        self._pinned_at[commit] = monotonic()

    async def sweep(self, known: Callable[[Collection[str]], Awaitable[Collection[str]]]) -> None:
        """Releases the snapshots of runs that do not exist: their creation was killed or cancelled.

        Only before runs are created: one that is being created is in no store yet. `known` returns those of these names that are
        runs.
        """
        kept = {name.rpartition("/")[2] for refs in (RUNS, BASES) for name in await self._objects.named(refs)}
        try:
            if orphans := kept - frozenset(await known(kept)):
                await self._objects.forget(f"{refs}/{run}" for run in sorted(orphans) for refs in (RUNS, BASES))
                _log.info("snapshots_released", runs=len(orphans))
        except (ProgramError, DiskFullError) as error:  # a snapshot that is kept too long only takes room
            _log.warning("snapshots_not_released", error=str(error))

    async def changes(self, path: str, mode: str, snapshot: SnapshotPlan) -> WorkspaceChanges | None:
        """Returns the differences between a workspace and what was pinned of it; None where no working tree was pinned.

        The user's tree is only read, and the answer says what could not be read.
        """
        if mode == WorkspaceMode.COMMIT:
            return None
        try:
            await self._bring(snapshot.commit)
            pinned = await list_tree(self._objects.git, snapshot.commit)
        except ServiceError as error:
            return WorkspaceChanges(note=f"the snapshot could not be compared with: {error}")
        return await compared(Comparison(path, self._roots, pinned, snapshot.pin_time, self._folder))

    async def prune(self) -> None:
        """Deletes the objects that no run needs. Pins wait meanwhile: they rely on objects that no ref names yet.

        A workspace's snapshots are kept as bases for its next one, and go with its last run. Recent pins stay, since their run
        may be about to begin.
        """
        async with self._turns.alone():
            recent = {f"{RECENT}/{commit}": commit for commit in self._forget_old_pins()}
            needed = {*(await self._objects.named(RUNS)).values(), *recent.values()}
            folders: dict[str, set[str]] = {}
            for name, commit in (await self._objects.named(WORKSPACES)).items():
                folders.setdefault(name.rpartition("/")[0], set()).add(commit)
            unused = {folder for folder, commits in folders.items() if not commits & needed}
            drop = [name for name in await self._objects.named(WORKSPACES) if name.rpartition("/")[0] in unused]
            drop += [name for name in await self._objects.named(RECENT) if name not in recent]
            await self._objects.sweep(recent, drop)
        if self._copies is not None:
            await self._copies.prune()

    async def tend_copies(self, known: Callable[[Collection[str]], Awaitable[Collection[str]]]) -> None:
        """Looks after the copies in the blob store, and after the folder, which is a cache then. `known` is as for `sweep`.

        Once for each epoch: removes what killed conductors left, and copies what was kept before there was a place for copies.
        """
        if self._copies is None:
            return
        copied = await self._copies.sweep_once(known)
        if copied is not None:
            bases = await self._objects.named(BASES)
            for ref, commit in (await self._objects.named(RUNS)).items():
                if (run := ref.rpartition("/")[2]) not in copied:
                    await self._copy(run, commit, bases.get(f"{BASES}/{run}", ""), self._copies)
        if await in_thread(size_of, self._folder) > self._cache_bytes:
            await self._shrink(self._copies)

    async def _copy(self, run: str, commit: str, base: str, copies: SnapshotCopies) -> None:
        within = base and base in (await self._objects.history(commit)).parents
        await copies.keep(run, [commit, base] if base and not within else [commit])

    async def _shrink(self, copies: SnapshotCopies) -> None:
        """Drops what was not used lately, and can be brought again."""
        async with self._turns.alone():
            recent = self._forget_old_pins()
            unused = {
                ref: commit for ref, commit in (await self._objects.named("refs")).items() if commit not in recent
            }
            copied = {commit for commit in sorted(set(unused.values())) if await copies.has(commit)}
            drop = [ref for ref, commit in unused.items() if commit in copied]
            await self._objects.sweep({f"{RECENT}/{commit}": commit for commit in recent}, drop)
        _log.info("snapshots_dropped", snapshots=len(copied))

    def _forget_old_pins(self) -> Collection[str]:
        """Returns the commits that were pinned or used lately."""
        oldest = monotonic() - RECENT_SECONDS
        self._pinned_at = {commit: time for commit, time in self._pinned_at.items() if time > oldest}
        return self._pinned_at

    async def read_files(
        self, commit: str, paths: Sequence[str], max_bytes_each: int = MAX_READ_BYTES
    ) -> dict[str, bytes | NoContent]:
        """Returns the content of files by their paths, or why one has none."""
        await self._bring(commit)
        return await read_files(self._objects.git, commit, paths, max_bytes_each)

    async def history(self, commit: str) -> History:
        """Returns a snapshot and its history, as hosts get them."""
        await self._bring(commit)
        return await self._objects.history(commit)

    async def relatives(self, commit: str) -> tuple[str, ...]:
        """Returns other snapshots of the same workspace: a host may have one, from which this one differs little."""
        named = await self._objects.named(WORKSPACES)
        folders = {name.rpartition("/")[0] for name, kept in named.items() if kept == commit}
        kept = {other for name, other in named.items() if name.rpartition("/")[0] in folders}
        return tuple(sorted(kept - {commit}))[:MAX_RELATIVES]

    def pack(
        self, history: History, have: Collection[str], bases: Iterable[str] = ()
    ) -> AbstractAsyncContextManager[Running]:
        """Starts a pack of the commits that a receiver lacks, who has `have` of this history, and `bases` beside it."""
        return self._objects.pack(history, have, bases)
