"""Pins workspaces on the caller's own machine, in a folder of the user's cache for each workspace: so a later push is small.

    CACHE/conductor/workspaces/<name>/  objects.git   what was pinned of the workspace
                                        outgoing.pack, outgoing.json   a pack that was not received whole

A folder belongs to one process at a time, since git's own locks would stop the other one in the middle.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from conductor.cli.text.failure import CommandError
from conductor.snapshots import SnapshotStore
from conductor.snapshots.git import check
from conductor.snapshots.reading.listing import TreeEntry
from conductor.snapshots.scopes.scope import Scope
from conductor.snapshots.store import Pinned
from conductor.snapshots.storing.history import History
from conductor.snapshots.storing.pin import Sieve
from servicekit.printing.page import say
from servicekit.runtime.process import user_folder

CHUNK_BYTES = 256 * 1024
# Folders of other workspaces that were not sent for so long are removed.
KEEP_SECONDS = 30 * 86_400.0
MAX_PACKS = 20
PACK, RECORD = "outgoing.pack", "outgoing.json"


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack in a file. `have` are the commits that its receiver must have; `offer` is the message that it answers."""

    path: Path
    digest: str
    byte_count: int
    have: tuple[str, ...]
    offer: bytes


@contextlib.contextmanager
def cache_of(workspace: Path) -> Iterator[Path]:
    """Yields the cache folder of a workspace, and keeps other processes out of it."""
    caches = user_folder("XDG_CACHE_HOME", ".cache")
    if caches is None:
        raise CommandError("this user has no home folder to keep the workspace's objects in: set XDG_CACHE_HOME")
    parent = caches / "conductor" / "workspaces"
    folder = parent / hashlib.sha256(os.fsencode(workspace)).hexdigest()[:24]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_unused(parent)
        with (folder / "lock").open("w") as lock:
            _wait_for(lock.fileno())
            (folder / "workspace").write_bytes(os.fsencode(workspace) + b"\n")
            yield folder
    except OSError as error:
        raise CommandError(f"cannot use the cache folder {folder}: {error.strerror or error}") from error


class WorkspaceCache:
    """The objects of one workspace on this machine. Make it inside `cache_of`.

    Each method runs an event loop to its end. Between them there is none, which would keep Ctrl-C from a call that waits.
    """

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self._folder = folder
        self._runner = runner
        self._store = runner.run(SnapshotStore.open(folder / "objects.git"))

    def pin(self, workspace: Path, mode: str, revision: str, scope: Scope, sieve: Sieve) -> Pinned:
        """Pins the workspace and the base of its scope."""
        return self._runner.run(self._store.pin_scope(workspace, mode, revision, scope, sieve))

    def tree(self, commit: str) -> dict[bytes, TreeEntry]:
        """Returns the files of a pinned commit."""
        return self._runner.run(self._store.tree(commit))

    def history(self, commit: str) -> History:
        """Returns a pinned commit and its history."""
        return self._runner.run(self._store.history(commit))

    def relatives(self, commit: str) -> tuple[str, ...]:
        """Returns earlier snapshots of the workspace."""
        return self._runner.run(self._store.relatives(commit))

    def pack(self, history: History, have: frozenset[str], bases: tuple[str, ...], offer: bytes) -> Pack:
        """Makes a pack of what a receiver lacks, and keeps it until it is received."""
        self.forget()
        return self._runner.run(self._pack(history, have, bases, offer))

    async def _pack(self, history: History, have: frozenset[str], bases: tuple[str, ...], offer: bytes) -> Pack:
        path, digest, size = self._folder / PACK, hashlib.sha256(), 0
        async with self._store.pack(history, have, bases) as running:
            with path.open("wb") as file:
                while chunk := await running.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            check("pack-objects", await running.finish())
        pack = Pack(path, digest.hexdigest(), size, (*sorted(have), *bases), offer)
        record = {**asdict(pack), "path": path.name, "offer": offer.hex()}
        (self._folder / RECORD).write_text(json.dumps(record))
        return pack

    def kept(self) -> Pack | None:
        """Returns the pack that was made last and not received, by an earlier command perhaps."""
        try:
            record = json.loads((self._folder / RECORD).read_text())
            given = {**record, "path": self._folder / PACK, "offer": bytes.fromhex(record["offer"])}
            pack = Pack(**{**given, "have": tuple(record["have"])})
            return pack if pack.path.stat().st_size == pack.byte_count else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def forget(self) -> None:
        """Removes that pack."""
        for name in (RECORD, PACK):
            (self._folder / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Removes what no later push builds upon, after some pushes. The last two snapshots stay."""
        packs = self._folder / "objects.git" / "objects" / "pack"
        if len(list(packs.glob("*.pack"))) > MAX_PACKS:
            self._runner.run(self._store.prune())


def _wait_for(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another command is sending this workspace; waiting for it …", err=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _remove_unused(parent: Path) -> None:
    """Removes the caches of workspaces that were not sent for long; the lock's time is the last use."""
    for folder in parent.iterdir():
        with contextlib.suppress(OSError), (folder / "lock").open("r+") as lock:
            if (folder / "lock").stat().st_mtime < time.time() - KEEP_SECONDS:
                fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
