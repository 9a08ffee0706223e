"""Writes a snapshot's files: bytes exactly as they are in git's objects, and their ids checked once more.

Not `git checkout`: attributes and filters would be the repository's code, and would change line ends. Folders are made
first, links last, so that no write can go through a link. In the end nothing has write permission, and all has one
fixed time, so that the index does not depend on when it was made.
It does not judge names (`tree` has), and it starts nothing: contents come from the caller.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from agenthost.errors import SnapshotInvalidError
from agenthost.snapshots.git import Git, check
from servicekit.programs import Running
from servicekit.snapshot_rules import LINK, PROGRAM, SUBMODULE, Entry, folders, why_target_refused
from servicekit.threads import in_thread

BATCH_BYTES = 4 * 1024 * 1024
BATCH_FILES = 1000
FOLDER_MODE, FILE_MODE, PROGRAM_MODE = 0o555, 0o444, 0o555
FILE_TIME_SECONDS = 946_684_800  # the first second of 2000


async def check_out(git: Git, entries: Sequence[Entry], target: Path) -> None:
    """Writes all entries below `target`, which it makes."""
    target.mkdir(mode=0o700)  # noqa: ASYNC240 - one call; the many are made in a thread
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        await in_thread(_make_folders, root, folders(entries))
        ordered = sorted((entry for entry in entries if entry.mode != SUBMODULE), key=lambda entry: entry.mode == LINK)
        asked = "".join(f"{entry.oid}\n" for entry in ordered).encode("ascii")
        async with git.start("cat-file", "--batch", "--buffer", stdin=asked) as running:
            await _write_all(running, ordered, root)
        await in_thread(_seal_folders, root, folders(entries))
    finally:
        os.close(root)


async def _write_all(running: Running, ordered: Sequence[Entry], root: int) -> None:
    batch: list[tuple[Entry, bytes]] = []
    waiting = 0
    for entry in ordered:
        line = await running.read_line()
        if not line.endswith(b"\n"):
            check("cat-file", await running.finish())
        header = line.split()
        if len(header) != 3 or int(header[2]) != entry.size:
            raise SnapshotInvalidError(f"the content of {entry.path!r} is missing")
        if entry.size > BATCH_BYTES:
            await _write_large(running, entry, root)
            continue
        batch.append((entry, (await running.read_exactly(entry.size + 1))[:-1]))
        waiting += entry.size
        if waiting >= BATCH_BYTES or len(batch) >= BATCH_FILES:
            await in_thread(_write_batch, root, batch)
            batch, waiting = [], 0
    await in_thread(_write_batch, root, batch)


async def _write_large(running: Running, entry: Entry, root: int) -> None:
    """Writes a file that should not be in memory as a whole."""
    digest = _digest(entry.size)
    left = entry.size
    with _new_file(root, entry) as file:
        while left:
            piece = await running.read_exactly(min(left, BATCH_BYTES))
            left -= len(piece)
            digest.update(piece)
            await in_thread(file.write, piece)
    await running.read_exactly(1)
    _check_id(entry, digest.hexdigest())


def _make_folders(root: int, paths: Sequence[bytes]) -> None:
    for path in paths:
        os.mkdir(path, 0o700, dir_fd=root)


def _seal_folders(root: int, paths: Sequence[bytes]) -> None:
    for path in reversed(paths):
        os.chmod(path, FOLDER_MODE, dir_fd=root)
    os.fchmod(root, FOLDER_MODE)


def _write_batch(root: int, batch: Sequence[tuple[Entry, bytes]]) -> None:
    for entry, data in batch:
        digest = _digest(len(data))
        digest.update(data)
        _check_id(entry, digest.hexdigest())
        if entry.mode == LINK:
            _write_link(root, entry, data)
        else:
            with _new_file(root, entry) as file:
                file.write(data)


def _write_link(root: int, entry: Entry, target: bytes) -> None:
    if why := why_target_refused(entry.path, target):
        raise SnapshotInvalidError(why)
    os.symlink(target, entry.path, dir_fd=root)


@contextlib.contextmanager
def _new_file(root: int, entry: Entry) -> Iterator[BinaryIO]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(entry.path, flags, 0o600, dir_fd=root), "wb") as file:
        yield file
        file.flush()
        os.utime(file.fileno(), (FILE_TIME_SECONDS, FILE_TIME_SECONDS))
        os.fchmod(file.fileno(), PROGRAM_MODE if entry.mode == PROGRAM else FILE_MODE)


def _digest(size: int) -> "hashlib._Hash":
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def _check_id(entry: Entry, found: str) -> None:
    if found != entry.oid:
        raise SnapshotInvalidError(f"the content of {entry.path!r} does not match its id")
