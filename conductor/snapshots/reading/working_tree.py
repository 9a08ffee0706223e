"""Reads the files of a working tree as they are, while their owner may be editing, or may be hostile.

Folders are entered one by one through descriptors that follow no link, so no rename or link planted meanwhile leads outside. Only
regular files and symbolic links are opened: a FIFO would hang, a device would act. Bytes are taken verbatim: git's filters and
line-end conversions are code, and never run.

A file that changes while it is read is read again; if it still changes, the last reading counts and a note says so. The kernel's
stamps are coarse: a file whose stamp is as old as the reading may have changed since. So may one that a program still has open for
writing: `_is_written` asks the kernel. Too large a tree is found out from sizes, before anything is read (`check_size`), and while
reading: trees grow. This module does not decide which files belong to a snapshot, and it writes nothing.
"""

import errno
import fcntl
import hashlib
import os
import signal
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Self

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.reading.descent import MAX_DEPTH, Descent
from conductor.snapshots.reading.entries import FILE, LINK, PROGRAM, SUBMODULE, Item, LeftOut, Listed, blob_id
from conductor.snapshots.reading.service_folders import own_entries
from servicekit.snapshot_rules import MAX_FILES, MAX_LINK_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES, Entry, why_refused

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 4 * 1024 * 1024 * 1024
READ_BYTES = 1024 * 1024
MAX_READINGS = 5
# The kernel's stamps are 10 ms coarse, a writer may lose the processor, and a long write is stamped at its beginning only.
FRESH_NS = 50_000_000
WRITE_NS_PER_BYTE = 2
MAX_WAITED_NS = 2_000_000_000  # in all, for files to become older than their stamps
RECENT_NS = 1_000_000_000  # a file that is only kept open, such as a log, is quiet for longer
CHANGING = "files that changed while they were read"
SPECIAL = "special files left out"
UNREADABLE_FOLDERS = "folders that could not be read ({})"
GITS_OWN = "paths that git keeps to itself"
ASTRAY = "paths that lead out of the workspace or are not plain"
NOT_HERE = "files that a sparse checkout left out, and whose content is not in HEAD"
LONG_LINKS = f"symbolic links whose targets are longer than {MAX_LINK_BYTES} bytes"
TOO_LONG = f"paths of more than {MAX_PATH_BYTES} bytes or {MAX_DEPTH} folders"


# Returns a file's id without reading it, from its status and the last change of the way to it; None where it must be read.
Told = Callable[[Listed, os.stat_result, int], str | None]


class WorkingTree:
    """A folder, held open, whose files are read."""

    def __init__(self, folder: Path, left_out: LeftOut, *, trusts_modes: bool = True, told: Told | None = None) -> None:
        self._left_out = left_out
        self._trusts_modes = trusts_modes
        self._told = told
        self._descent = Descent(folder)
        self._total = 0
        self._waited_ns = 0
        self._old_ns = time.time_ns() - RECENT_NS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._descent.__exit__(*error)

    def check_size(self, listed: Iterable[Listed]) -> tuple[Listed, ...]:
        """Returns the listed paths; InvalidRequestError where a snapshot may not hold so much. Reads no file."""
        checked: list[Listed] = []
        total = 0
        for entry in listed:
            checked.append(entry)
            total += self._size(entry)
            _check_amount(len(checked), total)
        _check_folders(checked)
        return tuple(checked)

    def walk(self) -> Iterator[Listed]:
        """Returns every path below, for folders without git. Only `.git` and services' files are skipped."""
        waiting: list[tuple[bytes, ...]] = [()]
        while waiting:
            parts = waiting.pop()
            try:
                folder = self._descent.enter(parts)
            except OSError as error:
                self._left_out.add(UNREADABLE_FOLDERS.format(error.strerror), b"/".join(parts))
                continue
            names = sorted(map(os.fsencode, os.listdir(folder)))  # noqa: PTH208 - of a descriptor
            own = own_entries(parts, folder, names, self._left_out)
            for name in names:
                if name.lower() == b".git" or name in own:
                    if name != b".git" and name not in own:
                        self._left_out.add(GITS_OWN, b"/".join((*parts, name)))
                    continue
                if not _is_folder(name, folder):
                    yield Listed(b"/".join((*parts, name)))
                elif len(parts) < MAX_DEPTH:
                    waiting.append((*parts, name))
                else:
                    self._left_out.add(TOO_LONG, b"/".join((*parts, name)))

    def read(self, listed: Iterable[Listed], known: Collection[str]) -> Iterator[Item]:
        """Reads the listed paths. An item whose id is in `known` comes without its content."""
        for entry in listed:
            item = self._read(entry, known)
            if item is not None:
                yield item

    def _read(self, listed: Listed, known: Collection[str]) -> Item | None:
        parts = tuple(listed.path.split(b"/"))
        if reason := _unfit(parts):
            self._left_out.add(reason, listed.path)
            return None
        if listed.mode == SUBMODULE:
            self._left_out.add("submodules whose content is left out", listed.path)
            return Item(listed.path, SUBMODULE, listed.oid) if listed.oid else None
        try:
            return self._read_entry(listed, parts[-1], self._descent.enter(parts[:-1]), known)
        except (FileNotFoundError, NotADirectoryError):
            return self._gone(listed, known)
        except OSError as error:
            self._left_out.add(f"files that could not be read ({error.strerror})", listed.path)
            return None

    def _read_entry(self, listed: Listed, name: bytes, folder: int, known: Collection[str]) -> Item | None:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=folder)
            if len(target) > MAX_LINK_BYTES:
                self._left_out.add(LONG_LINKS, listed.path)
                return None
            return _item(listed.path, LINK, target, known)
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode):
            self._left_out.add(SPECIAL, listed.path)
            return None
        return self._read_file(listed, name, folder, known)

    def _read_file(self, listed: Listed, name: bytes, folder: int, known: Collection[str]) -> Item | None:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder
        )
        with FileIO(descriptor) as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                self._left_out.add(SPECIAL, listed.path)
                return None
            mode = self._mode(listed, before)
            if before.st_size > MAX_FILE_BYTES and not listed.oid:
                self._too_large(listed)
                return None
            if self._told is not None and (oid := self._told(listed, before, self._descent.changed_ns)) is not None:
                return Item(listed.path, mode, oid)
            self._total += before.st_size
            _check_amount(0, self._total)
            if before.st_size > MAX_FILE_BYTES:
                return self._large_file(listed, mode, file, before, known)
            data = _read_up_to(file, MAX_FILE_BYTES)
            is_old = before.st_ctime_ns < self._old_ns
            if not is_old or _has_changed(before, os.fstat(descriptor)):
                data = self._read_settled(file, listed)
        return _item(listed.path, mode, data, known)

    def _read_settled(self, file: FileIO, listed: Listed) -> bytes:
        """Returns the content of a file at one moment, or, with a note, the last of some readings."""
        for _ in range(MAX_READINGS):
            started_ns = time.time_ns()
            before = os.fstat(file.fileno())
            file.seek(0)
            data = _read_up_to(file, MAX_FILE_BYTES)
            wait_ns = _fresh_ns(before, started_ns)
            is_recent = abs(started_ns - before.st_ctime_ns) < RECENT_NS
            if is_recent and _is_written(file):
                wait_ns = max(wait_ns, FRESH_NS)
            if not _has_changed(before, os.fstat(file.fileno())) and not wait_ns:
                return data
            if self._waited_ns + wait_ns > MAX_WAITED_NS:
                break
            self._waited_ns += wait_ns
            time.sleep(wait_ns / 1e9)
        self._left_out.add(CHANGING, listed.path)
        return data

    def _gone(self, listed: Listed, known: Collection[str]) -> Item | None:
        """Returns nothing for a missing path, which was removed, unless a sparse checkout never created it."""
        if listed.is_sparse and listed.oid in known:
            return Item(listed.path, listed.mode, listed.oid)
        if listed.is_sparse:
            self._left_out.add(NOT_HERE, listed.path)
        return None

    def _large_file(
        self, listed: Listed, mode: str, file: FileIO, before: os.stat_result, known: Collection[str]
    ) -> Item | None:
        oid = _stream_id(file, before.st_size)
        if _has_changed(before, os.fstat(file.fileno())):
            self._left_out.add(CHANGING, listed.path)
        if oid in known:
            return Item(listed.path, mode, oid)
        self._too_large(listed)
        return None

    def _too_large(self, listed: Listed) -> None:
        self._left_out.add(f"files above {MAX_FILE_BYTES // 1024 // 1024} MiB left out", listed.path)

    def _mode(self, listed: Listed, status: os.stat_result) -> str:
        if not self._trusts_modes and listed.mode in (FILE, PROGRAM):
            return listed.mode
        return PROGRAM if status.st_mode & stat.S_IXUSR and self._trusts_modes else FILE

    def _size(self, listed: Listed) -> int:
        """Returns how many bytes this path holds; nothing where it will be left out."""
        parts = tuple(listed.path.split(b"/"))
        if listed.mode == SUBMODULE or _unfit(parts):
            return 0
        with suppress(OSError):
            status = os.stat(parts[-1], dir_fd=self._descent.enter(parts[:-1]), follow_symlinks=False)
            is_read = stat.S_ISREG(status.st_mode) and (status.st_size <= MAX_FILE_BYTES or listed.oid)
            return status.st_size if is_read else 0
        return 0


def _unfit(parts: tuple[bytes, ...]) -> str:
    """Returns why no host could check this path out; empty when it can."""
    if len(parts) > MAX_DEPTH or sum(map(len, parts)) + len(parts) > MAX_PATH_BYTES:
        return TOO_LONG
    if any(len(part) > MAX_NAME_BYTES for part in parts):
        return TOO_LONG
    if any(part in (b"", b".", b"..") for part in parts):
        return ASTRAY  # git lists any path of a crafted index
    return GITS_OWN if any(part.lower() == b".git" for part in parts) else ""


def _item(path: bytes, mode: str, data: bytes, known: Collection[str]) -> Item:
    oid = blob_id(data)
    return Item(path, mode, oid, None if oid in known else data)


def _is_folder(name: bytes, folder: int) -> bool:
    with suppress(OSError):
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


def _read_up_to(file: FileIO, limit: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < limit and (piece := file.read(min(READ_BYTES, limit - len(pieces)))):
        pieces += piece
    return bytes(pieces)


def _stream_id(file: FileIO, size: int) -> str:
    """Returns the id of a file that is too large for memory."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while piece := file.read(READ_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _has_changed(before: os.stat_result, after: os.stat_result) -> bool:
    # The second is a stamp that no program can set.
    return before.st_size != after.st_size or before.st_ctime_ns != after.st_ctime_ns


def _is_written(file: FileIO) -> bool:
    """Asks the kernel if a program has the file open for writing: it then grants no lease. Other users' files do not tell."""
    try:
        # A program that opens the file just now waits for the release; the signal of that is one that does nothing.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def _fresh_ns(status: os.stat_result, now_ns: int) -> int:
    """Returns how long to wait until a change of the file would show; 0 where it would have shown by now."""
    window_ns = FRESH_NS + WRITE_NS_PER_BYTE * status.st_size
    age_ns = now_ns - status.st_ctime_ns
    # A stamp far in the future comes from another machine's clock, or one that was set back: it tells nothing.
    return max(0, window_ns - age_ns) if age_ns > -FRESH_NS else 0


def _check_folders(listed: Collection[Listed]) -> None:
    """Refuses more folders, or longer names in all, than a host takes. Most trees are too small for either."""
    if sum(entry.path.count(b"/") for entry in listed) < MAX_FILES:
        return
    fit = [Entry(entry.path, FILE, "", 0) for entry in listed if not _unfit(tuple(entry.path.split(b"/")))]
    if why := why_refused(fit):
        raise InvalidRequestError(Violation("workspace.path", f"cannot be pinned: {why}"))


def _check_amount(files: int, size: int) -> None:
    if files > MAX_FILES:
        text = f"holds more than {MAX_FILES} files"
    elif size > MAX_TOTAL_BYTES:
        text = f"holds more than {MAX_TOTAL_BYTES // 1024**3} GiB"
    else:
        return
    raise InvalidRequestError(
        Violation("workspace.path", text), hint="name a smaller folder, or let git ignore generated files"
    )
