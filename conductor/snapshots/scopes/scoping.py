"""Gives a pinned snapshot its scope: pins the base beside it, compares both, and keeps what the caller's paths hold."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from conductor.core.model.plan import SnapshotPlan
from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.reading.entries import shown
from conductor.snapshots.reading.source import Source
from conductor.snapshots.scopes.base import EMPTY_TREE, copy_base, find_base
from conductor.snapshots.scopes.changes import MAX_NAMED_FILES, FileChange, encode_changes
from conductor.snapshots.scopes.comparison import compare
from conductor.snapshots.scopes.guidelines import read_guidelines
from conductor.snapshots.scopes.scope import PATHS, Scope
from conductor.snapshots.storing.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Scoping:
    """One scope of one pinning. `converted` are the paths whose bytes differ from HEAD's, but not in git's eyes."""

    store: ObjectStore
    source: Source | None
    scope: Scope
    ref: str
    converted: Collection[bytes | str] = ()

    async def apply(self, plan: SnapshotPlan) -> tuple[SnapshotPlan, bytes]:
        """Returns the plan with its scope, and the document of its changes; raises InvalidRequestError where there is no base."""
        if not self.scope.is_compared:
            return await self.between(plan, "")
        found = await find_base(self.source, self.scope, plan.head_commit)
        base = await copy_base(self.source, self.store, found, self.ref) if self.source and found else ""
        return await self.between(plan, base)

    async def between(self, plan: SnapshotPlan, base: str) -> tuple[SnapshotPlan, bytes]:
        """Returns the plan with its scope, compared with a base that the store has; an empty one stands for no files."""
        plan = replace(plan, scope=self.scope.kind, paths=self.scope.paths)
        if not self.scope.is_compared:
            await self._require_paths(plan.commit, ())
            return plan, b""
        compared = base or EMPTY_TREE
        files, notes = await compare(self.store.git, compared, plan.commit)
        converted = frozenset(shown(path) if isinstance(path, bytes) else path for path in self.converted)
        files = [file for file in files if not (file.path in converted and _is_bare(file))]
        await self._require_paths(plan.commit, files)
        places = [_place(path) for path in self.scope.paths]
        kept = [file for file in files if not places or any(_is_at(file, place) for place in places)]
        guidelines = await read_guidelines(self.store.git, compared, files)
        document = encode_changes(kept, notes, guidelines)
        named = tuple(file.named() for file in kept[:MAX_NAMED_FILES])
        digest = hashlib.sha256(document).hexdigest()
        return (
            replace(plan, base_commit=base, changed=named, changed_count=len(kept), changes=digest),
            document,
        )

    async def _require_paths(self, commit: str, files: Collection[FileChange]) -> None:
        """Raises InvalidRequestError for paths that neither the snapshot nor its changes hold: they are misspelt."""
        if not self.scope.paths:
            return
        listing = await self.store.git.run(
            "ls-tree", "-z", "--name-only", "--full-tree", commit, "--", *self.scope.paths
        )
        there = frozenset(listing.split(b"\0"))
        lacking = [
            Violation(
                f"{PATHS}[{index}]",
                f"is '{path}', and the snapshot has no such file or folder: name one below the workspace",
            )
            for index, path in enumerate(self.scope.paths)
            if path.encode() not in there and not any(_is_at(file, _place(path)) for file in files)
        ]
        if lacking:
            raise InvalidRequestError(*lacking)


def _is_bare(file: FileChange) -> bool:
    """Returns whether git lists a file as modified, and no hunk shows how: its line ends may differ."""
    return file.status == "modified" and not (file.hunks or file.mode_changed or file.partial)


def _place(path: str) -> str:
    """Returns a caller's path as changed files name theirs."""
    return shown(path.encode())


def _is_at(file: FileChange, place: str) -> bool:
    """Returns whether a file is at a place or below it, under its name now or before."""
    return any(name == place or name.startswith(f"{place}/") for name in (file.path, file.old_path))
