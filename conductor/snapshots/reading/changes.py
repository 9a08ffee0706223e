"""Compares a user's working tree with the pinned snapshot: a change during a run is a warning, since agents read the snapshot.

The question is: would the same paths be pinned with other content now, or more of them? So content counts, and the tree is read
as a pinning reads it (see `working_tree`): a commit in mid-run changes nothing, nor does a file that was changed back.

Most files need not be read. A file is unchanged where its size is, and where neither it nor a folder on the way to it changed
since before the pinning began: the file system stamps every change with a time (ctime) that no program can set. Only the top
folder's own time says nothing: whatever is moved into it brings a new time. The stamps are compared with the machine's clock, so
a margin covers the coarseness of the kernel's. A clock that is set back, or a file server's that is wrong by more than the
margin, can hide a change that keeps a file's size.

The comparison takes a bounded time, whatever the workspace is by now, and never fails: the answer says what is not known.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conductor.core.model.events.event_parts import WorkspaceChanges
from conductor.errors import StatusError
from conductor.snapshots.reading.entries import LeftOut, Listed, shown
from conductor.snapshots.reading.listing import TreeEntry, differences, list_workspace
from conductor.snapshots.reading.repository import find_repository
from conductor.snapshots.reading.view import view_of
from conductor.snapshots.reading.working_tree import WorkingTree
from conductor.snapshots.roots import FIELD, WorkspaceRoots
from servicekit.snapshot_rules import MAX_FILES

MAX_SECONDS = 10.0
MAX_PATHS = 2 * MAX_FILES
MAX_READ_BYTES = 512 * 1024 * 1024
MAX_NAMED_PATHS = 20
# An event is to stay below 4 KiB, and these paths are in one.
MAX_NAMED_BYTES = 3000
CLOCK_MARGIN_SECONDS = 2.0


class _EnoughError(Exception):
    """A limit was reached; the rest of the tree is not compared."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A workspace, and what was pinned of it when. `own_folder` is the conductor's git folder."""

    path: str
    roots: WorkspaceRoots
    pinned: Mapping[bytes, TreeEntry]
    pin_time: float
    own_folder: Path


async def compared(comparison: Comparison) -> WorkspaceChanges | None:
    """Returns the differences from the snapshot; None for a bare repository, which has no working tree."""
    end = time.monotonic() + MAX_SECONDS
    try:
        # A thread that hangs in the file system cannot be ended, but need not be waited for.
        async with asyncio.timeout(MAX_SECONDS + 1.0):
            present = await _present(comparison)
            return None if present is None else await _read(_Reading(comparison, present, end))
    except TimeoutError:
        return WorkspaceChanges(note=f"looking at the workspace took more than {MAX_SECONDS:g} s")
    except (StatusError, OSError) as error:
        if not await asyncio.to_thread(os.path.lexists, comparison.path):
            return WorkspaceChanges(note="the workspace is not on this machine")
        why = str(error).replace(f"{FIELD}: ", "it ", 1)
        return WorkspaceChanges(note=f"the workspace could not be looked at: {why}")


@dataclass(frozen=True, slots=True)
class _Present:
    """The workspace as it is now. Without git there is no list, and the folder itself is one."""

    folder: Path
    listed: tuple[Listed, ...] | None = None
    trusts_modes: bool = True


async def _read(reading: "_Reading") -> WorkspaceChanges:
    try:
        return await asyncio.to_thread(reading.changes)
    finally:
        reading.end = 0.0  # where nothing waits any more (the service may stop), the thread must end, too


async def _present(comparison: Comparison) -> _Present | None:
    folder = await asyncio.to_thread(comparison.roots.resolve, comparison.path)
    repository = await asyncio.to_thread(find_repository, folder, comparison.roots)
    if repository is None:
        return _Present(folder)
    if repository.is_bare:
        return None
    async with view_of(repository, comparison.roots, comparison.own_folder) as view:
        listed = await list_workspace(view, LeftOut())
    # As at the pinning: a named folder that git ignores is taken whole.
    present = listed if listed or repository.is_at_top else None
    return _Present(folder, present, view.settings.trusts_modes)


@dataclass(slots=True)
class _Reading:
    """One look at a tree, in a thread of its own; it opens and closes what it needs."""

    comparison: Comparison
    present: _Present
    end: float
    read_bytes: int = 0
    found: dict[bytes, TreeEntry | None] = field(default_factory=dict)

    def changes(self) -> WorkspaceChanges:
        """Compares path by path, until all are compared or a limit is reached; returns what was found until then."""
        note = ""
        looked: set[bytes] = set()
        left_out = LeftOut()
        with WorkingTree(
            self.present.folder, left_out, trusts_modes=self.present.trusts_modes, told=self._told
        ) as tree:
            try:
                known = frozenset(entry.oid for entry in self.comparison.pinned.values())
                for item in tree.read(self._watched(self._listed(tree), looked), known):
                    self.found[item.path] = TreeEntry(item.mode, item.oid)
            except _EnoughError as error:
                note = f"not every path was compared: {error}"
        pinned = self.comparison.pinned
        base = {path: pinned[path] for path in looked if path in pinned} if note else pinned
        return _told_as(sorted(differences(base, self.found)), note)

    def _listed(self, tree: WorkingTree) -> Iterable[Listed]:
        """Returns every pinned path, as git lists it now where it does, and then the new ones."""
        pinned = self.comparison.pinned
        present = self._timely(tree.walk()) if self.present.listed is None else self.present.listed
        now = {listed.path: listed for listed in present}
        yield from (now.get(path, Listed(path, entry.mode, entry.oid)) for path, entry in pinned.items())
        # Without the entries of git's index: a large file that was not pinned was left out, and is not news.
        yield from (Listed(path, listed.mode) for path, listed in now.items() if path not in pinned)

    def _watched(self, listed: Iterable[Listed], looked: set[bytes]) -> Iterable[Listed]:
        for entry in self._timely(listed):
            yield entry
            looked.add(entry.path)

    def _timely(self, listed: Iterable[Listed]) -> Iterable[Listed]:
        for count, entry in enumerate(listed):
            if time.monotonic() > self.end:
                raise _EnoughError(f"it took more than {MAX_SECONDS:g} s")
            if count >= MAX_PATHS:
                raise _EnoughError(f"they are more than {MAX_PATHS}")
            yield entry

    def _told(self, listed: Listed, status: os.stat_result, way_changed_ns: int) -> str | None:
        """Returns the id of a file that need not be read: the pinned one where it cannot have changed, none where it must have."""
        pinned = self.comparison.pinned.get(listed.path)
        if pinned is None or pinned.size != status.st_size:
            return ""
        since_ns = (self.comparison.pin_time - CLOCK_MARGIN_SECONDS) * 1e9
        if max(status.st_ctime_ns, way_changed_ns) < since_ns:
            return pinned.oid
        self.read_bytes += status.st_size
        if self.read_bytes > MAX_READ_BYTES:
            raise _EnoughError(f"more than {MAX_READ_BYTES // 1024**2} MiB would have to be read")
        return None


def _told_as(paths: list[bytes], note: str) -> WorkspaceChanges:
    named: list[str] = []
    room = MAX_NAMED_BYTES
    for path in map(shown, paths):
        room -= len(json.dumps(path))
        if room < 0 or len(named) == MAX_NAMED_PATHS:
            break
        named.append(path)
    return WorkspaceChanges(len(paths), tuple(named), note)
