"""Pins workspaces on the caller's own machine, in a folder of the user's cache for each workspace: so a later push is small.

A folder belongs to one process at a time, since git's own locks would stop the other one in the middle.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conductor.cli.text.failure import CommandError
from conductor.snapshots import SnapshotStore
from conductor.snapshots.git import check
from conductor.snapshots.scopes.scope import Scope
from conductor.snapshots.store import Pinned
from conductor.snapshots.storing.history import History
from servicekit.printing.page import say
from servicekit.process import user_folder

CHUNK_BYTES = 256 * 1024
KEPT = "pushed"


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack in a file: `have` are the commits that its receiver must have."""

    path: Path
    digest: str
    byte_count: int
    have: tuple[str, ...]


@contextlib.contextmanager
def cache_of(workspace: Path) -> Iterator[Path]:
    """Yields the cache folder of a workspace, and keeps other processes out of it."""
    caches = user_folder("XDG_CACHE_HOME", ".cache")
    if caches is None:
        raise CommandError("this user has no home folder to keep the workspace's objects in: set XDG_CACHE_HOME")
    name = hashlib.sha256(os.fsencode(workspace)).hexdigest()[:24]
    folder = caches / "conductor" / "workspaces" / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another command is sending this workspace; waiting for it …", err=True)
                fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "workspace").write_bytes(os.fsencode(workspace) + b"\n")
            os.utime(folder)
            yield folder
    except OSError as error:
        raise CommandError(f"cannot use the cache folder {folder}: {error.strerror}") from error


class WorkspaceCache:
    """The objects of one workspace on this machine. Open it inside `cache_of`."""

    def __init__(self, folder: Path, store: SnapshotStore) -> None:
        self._folder = folder
        self._store = store

    @classmethod
    async def open(cls, folder: Path) -> "WorkspaceCache":
        """Opens the objects in a cache folder."""
        return cls(folder, await SnapshotStore.open(folder / "objects.git"))

    async def pin(self, workspace: Path, mode: str, revision: str, scope: Scope) -> Pinned:
        """Pins the workspace and the base of its scope."""
        return await self._store.pin_scope(workspace, mode, revision, scope)

    async def history(self, commit: str) -> History:
        """Returns a pinned commit and its history."""
        return await self._store.history(commit)

    async def relatives(self, commit: str) -> tuple[str, ...]:
        """Returns earlier snapshots of the workspace."""
        return await self._store.relatives(commit)

    async def pack(self, history: History, have: frozenset[str], bases: tuple[str, ...]) -> Pack:
        """Makes a pack of what a receiver lacks, in a file of the cache folder."""
        folder = self._folder / "outgoing"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path, digest, size = folder / "new.pack", hashlib.sha256(), 0
        async with self._store.pack(history, have, bases) as running:
            with path.open("wb") as file:
                while chunk := await running.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            check("pack-objects", await running.finish())
        return Pack(path, digest.hexdigest(), size, (*sorted(have), *bases))
