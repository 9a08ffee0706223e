"""Pins the content of a workspace at this moment, as a commit in the conductor's own object store.

Exactly the folder that the caller named is pinned:

* A repository's top: its commit, or its working tree on top of its HEAD, with the newest part of its history.
* A folder inside a repository: that folder alone, without history. The caller named less than the repository, the
  allowed root may end there, and citations are then relative to the named folder.
* A folder without git: its files.
* A bare repository: a commit; there is no working tree.

The same content gets the same id: see `commit_writer`. The user's repository is only read: see `git`.

A workspace that is too large is refused by the sizes that git and the file system report, before anything is read or copied: a
refused pinning writes nothing. A tree that grows beyond the limit while it is read is refused in the middle. What such a pinning,
or a cancelled one, wrote is an unfinished pack that no ref and no index knows: the store removes it.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from conductor.core.model.plan import SnapshotPlan
from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.git import GitError
from conductor.snapshots.reading.entries import SUBMODULE, Item, LeftOut, Listed, shown
from conductor.snapshots.reading.files import read_in_batches
from conductor.snapshots.reading.listing import TreeEntry, differences, list_tree, list_workspace
from conductor.snapshots.reading.source import Source, Trunk
from conductor.snapshots.reading.special_files import find_special_files
from conductor.snapshots.reading.view import View
from conductor.snapshots.reading.working_tree import MAX_TOTAL_BYTES, WorkingTree
from conductor.snapshots.storing.commit_writer import Parent
from conductor.snapshots.storing.committed import check_commit, check_links
from conductor.snapshots.storing.objects import ObjectStore
from servicekit.snapshot_rules import MAX_FILES
from servicekit.threads import in_thread

MAX_DIRTY_PATHS = 100
WITHHELD = "files that look like secrets, withheld"
LACKING = "lacks objects of this commit: the repository is a partial clone, or damaged"
CONVERTED = "files as they lie on the disk, which git converts when it commits them"


class Sieve(Protocol):
    """Judges each file whose bytes differ from HEAD's, before it is taken."""

    def withholds(self, path: bytes, data: bytes, *, is_tracked: bool) -> bool:
        """Returns whether the snapshot must not hold these bytes: it has what HEAD has, or nothing."""


class WorkspaceMode(StrEnum):
    """The state of a workspace that is read."""

    WORKING_TREE = "working_tree"
    COMMIT = "commit"


@dataclass(slots=True)
class Pin:
    """One pinning, from a folder to a commit that `ref` keeps."""

    store: ObjectStore
    folder: Path
    ref: str
    sieve: Sieve | None = None
    left_out: LeftOut = field(default_factory=LeftOut)
    notes: list[str] = field(default_factory=list)
    # The machine's clock, not the service's: it is compared with times of the file system (see `changes`).
    time: float = field(default_factory=time.time)

    async def commit(self, source: Source, revision: str) -> SnapshotPlan:
        """Pins a commit of a repository."""
        head = await source.resolve(revision or "HEAD")
        if not head and not source.view.settings.has_sha1_names:
            text = "does not use SHA-1 names: its working tree can be pinned, its commits cannot"
            raise InvalidRequestError(Violation("workspace.path", text))
        if not head and source.view.settings.has_reftable:
            text = "must be the whole id of a commit: the repository keeps its refs in a reftable, which is not read"
            raise InvalidRequestError(Violation("workspace.revision", text))
        if not head:
            text = (
                f"names no commit of this repository: {revision}" if revision else "is needed: there is no HEAD commit"
            )
            raise InvalidRequestError(Violation("workspace.revision", text))
        if not source.repository.is_at_top:
            return await self._commit_of_folder(source, head)
        tree = await source.tree(head)
        await self._check_size(tree)
        trunk = await source.copy_into(self.store, head)
        if not trunk.has_head:
            raise InvalidRequestError(Violation("workspace.path", LACKING))
        await check_links(self.store.git, tree)
        if trunk.cut:
            async with self.store.importing() as writer:
                return self._plan(await writer.commit(self.ref, {}, _parent(trunk)), head, (), trunk.notes)
        await self.store.point(self.ref, head)
        return self._plan(head, head, (), trunk.notes)

    async def working_tree(self, source: Source | None) -> SnapshotPlan:
        """Pins the files as they are."""
        trusts = source is None or source.view.settings.trusts_modes
        with WorkingTree(self.folder, self.left_out, trusts_modes=trusts) as tree:
            listed = await self._listed(source, tree)
            trunk = await self._trunk(source)
            changes, commit = await self._read_and_write(tree, listed, trunk)
        if source is not None:
            self.notes += source.view.settings.notes
        head = trunk.head if source is not None else ""
        dirty = await self._dirty(source, trunk, changes) if source is not None and head else ()
        return self._plan(commit, head, dirty, trunk.notes)

    async def _dirty(
        self, source: Source, trunk: Trunk, changes: Mapping[bytes, TreeEntry | None]
    ) -> tuple[bytes, ...]:
        """Returns the paths that are not committed as they are. Those whose bytes differ, but not for git, get a note."""
        rewritten = {
            path for path, entry in changes.items() if entry and entry.mode != SUBMODULE and path in trunk.tree
        }
        if not rewritten:
            return tuple(sorted(changes))
        converted = rewritten - await source.uncommitted(trunk.head, rewritten)
        for path in converted:
            self.left_out.add(CONVERTED, path)
        return tuple(sorted(changes.keys() - converted))

    async def _trunk(self, source: Source | None) -> Trunk:
        if source is None:
            return Trunk()
        settings = source.view.settings
        if not settings.has_sha1_names or settings.has_reftable:
            why = "keeps its refs in a reftable" if settings.has_sha1_names else "does not use SHA-1 names"
            return Trunk(notes=(f"history left out: the repository {why}",))
        head = await source.resolve("HEAD")
        if not head and await source.is_unborn():
            return Trunk(notes=("the repository has no commits yet",))
        if not head:
            return Trunk(notes=("history left out: the repository's HEAD cannot be read",))
        if source.repository.is_at_top:
            return await source.copy_into(self.store, head)
        note = f"history left out: the folder is a part of the repository {source.repository.top}"
        return Trunk(head, tree=await source.folder_tree(head), notes=(note,))

    async def _read_and_write(
        self, tree: WorkingTree, listed: tuple[Listed, ...], trunk: Trunk
    ) -> tuple[dict[bytes, TreeEntry | None], str]:
        """Reads the files and writes new ones; returns the changes against the trunk with the snapshot's id."""
        found: dict[bytes, TreeEntry | None] = {}
        known = frozenset(entry.oid for entry in trunk.tree.values()) if trunk.has_head else frozenset[str]()
        async with self.store.importing() as writer:
            async for batch in read_in_batches(self._sifted(tree.read(listed, known), listed, trunk)):
                for item in batch:
                    found[item.path] = TreeEntry(item.mode, item.oid)
                    if item.data is not None:
                        await writer.blob(item.data)
            changes = differences(trunk.tree, found)
            if not trunk.has_head:
                return changes, await writer.commit(self.ref, found)
            if changes or trunk.cut:
                return changes, await writer.commit(self.ref, changes, _parent(trunk))
        await self.store.point(self.ref, trunk.head)
        return changes, trunk.head

    def _sifted(self, items: Iterator[Item], listed: tuple[Listed, ...], trunk: Trunk) -> Iterator[Item]:
        """Yields the items, with HEAD's in place of those that the sieve withholds."""
        if self.sieve is None:
            yield from items
            return
        tracked = frozenset(entry.path for entry in listed if entry.mode)
        for item in items:
            head = trunk.tree.get(item.path)
            is_new = item.data is not None and (head is None or head.oid != item.oid)
            if not is_new or not self.sieve.withholds(item.path, item.data or b"", is_tracked=item.path in tracked):
                yield item
                continue
            self.left_out.add(WITHHELD, item.path, in_full=True)
            if head is not None and trunk.has_head:
                yield Item(item.path, head.mode, head.oid)

    async def _listed(self, source: Source | None, tree: WorkingTree) -> tuple[Listed, ...]:
        """Returns the paths that may belong to the snapshot: those that git knows, or every file. Refuses too many."""
        known = None if source is None else await self._known(source.view)
        return await in_thread(lambda: tree.check_size(tree.walk() if known is None else known))

    async def _known(self, view: View) -> tuple[Listed, ...] | None:
        """Returns the paths that git knows; None where it ignores the whole folder, which the caller did name."""
        listed = await list_workspace(view, self.left_out)
        if not listed and not view.repository.is_at_top:
            self.notes.append("git ignores this folder, so all of its files were taken")
            return None
        await find_special_files(view, listed, self.left_out)
        return listed

    async def _commit_of_folder(self, source: Source, head: str) -> SnapshotPlan:
        tree = await source.folder_tree_id(head)
        if not tree:
            raise InvalidRequestError(Violation("workspace.path", "is not a folder in that commit"))
        try:
            held = await list_tree(source.contents, tree)
            await self._check_size(held)
            await self.store.copy_tree(source.contents, tree)
        except GitError as error:
            raise InvalidRequestError(Violation("workspace.path", LACKING)) from error
        await check_links(self.store.git, held)
        async with self.store.importing() as writer:
            commit = await writer.commit(self.ref, {b"": TreeEntry("040000", tree)})
        note = f"history left out: the folder is a part of the repository {source.repository.top}"
        return self._plan(commit, head, (), (note,))

    async def _check_size(self, tree: Mapping[bytes, TreeEntry]) -> None:
        for path, entry in tree.items():
            if entry.mode == SUBMODULE:
                self.left_out.add("submodules whose content is left out", path)
        if len(tree) > MAX_FILES or sum(entry.size for entry in tree.values()) > MAX_TOTAL_BYTES:
            limits = f"{MAX_FILES} files or {MAX_TOTAL_BYTES // 1024**3} GiB"
            raise InvalidRequestError(Violation("workspace.path", f"holds more than {limits} in this commit"))
        await check_commit(tree)

    def _plan(self, commit: str, head: str, dirty: tuple[bytes, ...], notes: tuple[str, ...]) -> SnapshotPlan:
        return SnapshotPlan(
            commit=commit,
            head_commit=head,
            dirty_paths=tuple(shown(path) for path in dirty[:MAX_DIRTY_PATHS]),
            dirty_count=len(dirty),
            notes=(*notes, *self.notes, *self.left_out.notes()),
            pin_time=self.time,
        )


def _parent(trunk: Trunk) -> Parent:
    return Parent(trunk.head, trunk.time, trunk.cut)
