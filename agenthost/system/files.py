"""Writes small files whole, so that they survive a power cut. Blocking: call it through `asyncio.to_thread` from the loop.

A file that cannot be written raises StorageError, and keeps its old content.
"""

import ctypes
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from agenthost.errors import StorageError

FALLOC_FL_KEEP_SIZE = 1

_log = structlog.get_logger()
_libc = ctypes.CDLL(None, use_errno=True)


def write_file(path: Path, data: bytes) -> None:
    """Replaces a file so that a reader, or a power cut, sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    with _storage_errors(path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)


def append_lines(path: Path, lines: bytes) -> None:
    """Adds lines to a file and waits until they are on the disk. A torn line before them stays a line of its own."""
    with _storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            append_whole(descriptor, path, b"\n" + lines if is_torn else lines)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def compact_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Leaves only these lines in a file; leaves all of its lines where the disk is full."""
    try:
        write_file(path, b"".join(lines))
    except StorageError as error:
        _log.warning("lines_not_compacted", why=str(error))


def append_whole(descriptor: int, path: Path, data: bytes) -> None:
    """Adds all of the data or nothing: half a record would spoil the next one."""
    before = os.fstat(descriptor).st_size
    with _storage_errors(path):
        written = os.write(descriptor, data)
    if written != len(data):
        os.ftruncate(descriptor, before)
        raise StorageError(f"cannot write {path}: no space left on the device")


def allocate(descriptor: int, size: int) -> None:
    """Reserves disk space up to this size, without making the file longer. Raises OSError."""
    if _libc.fallocate(descriptor, FALLOC_FL_KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(size)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json_lines(path: Path) -> list[Any]:
    """Returns the objects in a file of JSON lines; skips lines that a power cut tore, or that are damaged."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            _log.warning("line_damaged", file=str(path))
    return found


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
