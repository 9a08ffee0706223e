"""A machine's disk: a folder in memory, of which it is known what a power cut would leave.

The programs write with the system's own calls. While a world lives, `watching_files` looks at those that matter: what a program
opens is closed when it is killed, a sync makes durable what the file or the folder holds by then, and a full disk takes nothing
more. Bytes and names that were not synced survive the end of a program, and a power cut by chance.
"""

import errno
import os
import shutil
import tempfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from unittest.mock import patch

from agenthost.attempt import cuts
from tests.simulation.ground.process import Killed, Process, running

MEMORY = Path("/dev/shm")
PLENTY_BYTES = 10**12
# What a shim took room for while there was some.
RESERVED = ("status.new",)
_Usage = namedtuple("_Usage", "total used free")  # noqa: PYI024 — as `shutil` gives it

_open, _close, _write, _fsync = os.open, os.close, os.write, os.fsync


def make_root(world: str) -> Path:
    """Makes the folder of a world's disks. Its name is the same in every life of the world: errors quote it."""
    root = (MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())) / f"simulation-{os.getpid()}-{world}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    return root


class Disk:
    """Everything that a host keeps. `passing` is told of each write and sync before it is done."""

    def __init__(self, root: Path, passing: Callable[[str, str, bytes], None]) -> None:
        self.root = root
        self.passing = passing
        self.is_full = False
        self._lengths: dict[int, int] = {}  # of each file, by inode, when it was synced last
        self._names: dict[str, dict[str, int]] = {}  # of each folder, when it was synced last
        self._room: dict[int, int] = {}  # taken ahead
        root.mkdir(parents=True)

    # What programs do.

    def open(self, path: str, flags: int, mode: int) -> int:
        makes = flags & os.O_CREAT and (flags & os.O_TRUNC or not os.path.exists(path))  # noqa: PTH110
        if self.is_full and makes and not path.endswith(RESERVED):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return _open(path, flags, mode)

    def write(self, descriptor: int, path: str, data: bytes) -> int:
        self.passing("write", path, data)
        if self.is_full and not path.endswith(RESERVED):
            stat = os.fstat(descriptor)
            if stat.st_size + len(data) > self._room.get(stat.st_ino, 0):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return _write(descriptor, data)

    def sync(self, descriptor: int, path: str) -> None:
        self.passing("sync", path, b"")
        stat = os.fstat(descriptor)
        if os.path.isdir(path):  # noqa: PTH112 — called for every sync
            self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self._lengths[stat.st_ino] = stat.st_size

    def allocate(self, descriptor: int, size: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room[os.fstat(descriptor).st_ino] = size

    def close_all(self, process: Process) -> None:
        """Closes what a program had open that is dead."""
        for descriptor in process.descriptors:
            _close(descriptor)
        process.descriptors.clear()

    # What happens to it.

    def settle(self) -> None:
        """Makes everything durable that is there."""
        for folder, _, files in os.walk(self.root):
            self._names[folder] = {entry.name: entry.inode() for entry in os.scandir(folder)}
            for file in files:
                stat = os.stat(f"{folder}/{file}")  # noqa: PTH116
                self._lengths[stat.st_ino] = stat.st_size

    def lose_power(self, rng: Random) -> set[str]:
        """Loses what was not synced, or some of it. Returns the folders in which something is gone."""
        return set(self._lose(str(self.root), rng))

    def _lose(self, folder: str, rng: Random) -> Iterator[str]:
        known = self._names.get(folder, {})
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if known.get(entry.name) != entry.inode() and rng.random() < 0.5:
                yield folder
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)  # noqa: PTH108
            elif entry.is_dir(follow_symlinks=False):
                yield from self._lose(entry.path, rng)
            else:
                size = entry.stat().st_size
                synced = min(size, self._lengths.get(entry.inode(), 0))
                kept = rng.choice((synced, size, rng.randint(synced, size)))
                if kept < size:
                    yield folder
                    os.truncate(entry.path, kept)


@contextmanager
def watching_files() -> Iterator[None]:
    """Lets disks see what programs do. Calls from outside of a simulated program go to the system as they are."""
    with (
        patch.object(os, "open", _open_seen),
        patch.object(os, "close", _close_seen),
        patch.object(os, "write", _write_seen),
        patch.object(os, "fsync", _sync_seen),
        patch.object(shutil, "disk_usage", _count_room),
        patch.object(cuts, "allocate", _take_room),
    ):
        yield


def _writer() -> Process | None:
    """Returns the program that runs now, if it has a disk."""
    process = running()
    return None if process is None or process.disk is None else process


def _open_seen(path: str | Path, flags: int, mode: int = 0o777, **others: object) -> int:
    if (process := _writer()) is None or others:
        return _open(path, flags, mode, **others)  # type: ignore[arg-type]
    if not process.is_alive:
        raise Killed
    place = os.fspath(path)
    descriptor: int = process.disk.open(place, flags, mode)
    process.descriptors[descriptor] = place
    return descriptor


def _close_seen(descriptor: int) -> None:
    # What a dead program had open is closed already, and its numbers may be another's by now.
    process = _writer()
    if process is None or process.descriptors.pop(descriptor, None) is not None or process.is_alive:
        _close(descriptor)


def _write_seen(descriptor: int, data: bytes) -> int:
    if (process := _writer()) is None or descriptor not in process.descriptors:
        return _write(descriptor, data)
    written: int = process.disk.write(descriptor, process.descriptors[descriptor], data)
    return written


def _sync_seen(descriptor: int) -> None:
    if (process := _writer()) is not None and descriptor in process.descriptors:
        process.disk.sync(descriptor, process.descriptors[descriptor])


def _count_room(_: Path) -> _Usage:
    process = _writer()
    return _Usage(PLENTY_BYTES, 0, 0 if process is not None and process.disk.is_full else PLENTY_BYTES)


def _take_room(descriptor: int, size: int) -> None:
    if (process := _writer()) is not None:
        process.disk.allocate(descriptor, size)
