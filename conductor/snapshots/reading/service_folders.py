"""Recognizes the files that conductors and agent hosts keep in their data folders, and leaves them out of snapshots.

They hold the questions and answers of other runs, change all the time, and grow with each snapshot. A folder is a service's where
it holds the files that the service creates at its first start, with their sizes. Only files with the service's names are left
out; any other file in the folder stays. Tracked files always stay: their owner wants them there.

A hostile tree can imitate all that: names, sizes, and contents as well. So it can still hide files in folders with a service's
names (`snapshots`, `attempts`, `probes`) or under the names of its files. But never unseen: a note names each such folder, and a
workspace with more of them than a note can name is refused.

No file is opened. A conductor may find its own database here, and closing any file gives up every lock that the process has on it
(POSIX): SQLite's too, without which another process may cut the log that this one still writes to.
"""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.reading.descent import MAX_DEPTH, Descent
from conductor.snapshots.reading.entries import LeftOut, Listed, shown

MAX_FOLDERS = 16
LEFT_OUT = "data of a conductor or an agent host, left out in"
SMALLEST_PAGE_BYTES = 512  # a database consists of pages, whose size is a power of two
INSTANCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Service:
    """The files of a service from its first start on, each with a test of its size; and the names of all that it ever makes."""

    marks: Mapping[bytes, Callable[[int], bool]]
    own: re.Pattern[bytes]


_SERVICES = (
    _Service(  # a conductor: see `conductor.store`
        {b"conductor.db": lambda size: size > 0 and size % SMALLEST_PAGE_BYTES == 0, b"conductor.lock": lambda _: True},
        re.compile(
            rb"conductor\.lock|conductor\.db(-wal|-shm|-journal)?|snapshots|pushed|fetched|tls"
            rb"|conductor\.db\.version-[0-9]+\.backup(-[0-9a-f]{8})?(\.partial)?"
        ),
    ),
    _Service(  # a host: see `agenthost.host.data_folder` and `agenthost.models.link`
        {
            b"instance": lambda size: size == INSTANCE_BYTES,
            b"fences.jsonl": lambda _: True,
            b"tombstones.jsonl": lambda _: True,
            b"lock": lambda _: True,
        },
        re.compile(
            rb"instance|fences\.jsonl|tombstones\.jsonl|\.(instance|fences\.jsonl|tombstones\.jsonl)\.new|lock"
            rb"|gateway\.(lock|log|sock)|spawns\.jsonl|attempts|probes|snapshots|tls"
        ),
    ),
    _Service(  # certificates of either, also before its first start: see `servicekit.tls.files`
        {name: lambda size: size > 0 for name in (b"ca.pem", b"server.pem", b"server-key.pem")},
        re.compile(rb"(ca|server|client)(-key)?\.pem(\.next)?|crl\.pem|issued\.json|pool\.json|lock|front\.sock"),
    ),
)
_TELLING = frozenset(name for service in _SERVICES for name in service.marks)


def refuse_inside(workspace: Path) -> None:
    """Raises InvalidRequestError for a path without links that leads into what a service keeps: keys, snapshots of other callers.

    Blocking. Files of people beside a service's own are theirs to read.
    """
    for inner, folder in zip((workspace, *workspace.parents), workspace.parents, strict=False):
        if any(_has_made(service, folder, os.fsencode(inner.name)) for service in _SERVICES):
            raise _refusal("lies in")


def _has_made(service: _Service, folder: Path, name: bytes) -> bool:
    if not service.own.fullmatch(name):
        return False
    with suppress(OSError):
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _is_kept_by(service, descriptor, service.marks.keys())  # it looks for each of them
        finally:
            os.close(descriptor)
    return False


def own_entries(parts: Sequence[bytes], folder: int, names: Collection[bytes], left_out: LeftOut) -> frozenset[bytes]:
    """Returns the entries of a folder, open as `folder`, that a service made. Notes the folder where there are any.

    InvalidRequestError: the folder is the workspace itself, or one of too many.
    """
    services = [service for service in _SERVICES if _is_kept_by(service, folder, names)]
    if services:
        _note(parts, left_out)
    return frozenset(name for name in names if any(service.own.fullmatch(name) for service in services))


def without_services(workspace: Path, untracked: Sequence[Listed], left_out: LeftOut) -> Iterator[Listed]:
    """Returns the paths that no service made."""
    # Git does not list ignored files, so one telling name is a reason to look for the others.
    telling = {folder for folder, _, name in (one.path.rpartition(b"/") for one in untracked) if name in _TELLING}
    entries: set[bytes] = set()
    with Descent(workspace) as descent:
        for parts in sorted(tuple(folder.split(b"/")) if folder else () for folder in telling):
            if entries.isdisjoint(b"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)):
                entries |= {b"/".join((*parts, name)) for name in _own_in(descent, parts, left_out)}
    below = tuple(entry + b"/" for entry in entries)
    return (one for one in untracked if one.path not in entries and not one.path.startswith(below))


def _own_in(descent: Descent, parts: tuple[bytes, ...], left_out: LeftOut) -> Iterable[bytes]:
    if len(parts) > MAX_DEPTH:  # deeper than any snapshot
        return ()
    with suppress(OSError):
        folder = descent.enter(parts)
        names = tuple(map(os.fsencode, os.listdir(folder)))  # noqa: PTH208 - of a descriptor
        return own_entries(parts, folder, names, left_out)
    return ()


def _is_kept_by(service: _Service, folder: int, names: Collection[bytes]) -> bool:
    if not service.marks.keys() <= frozenset(names):
        return False
    with suppress(OSError):
        for name, has_its_size in service.marks.items():
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode) or not has_its_size(status.st_size):
                return False
        return True
    return False


def _note(parts: Sequence[bytes], left_out: LeftOut) -> None:
    if not parts:
        raise _refusal("is")
    folder = b"/".join(parts)
    known = left_out.paths.get(LEFT_OUT, [])
    if folder not in known:  # a folder that git ignores is looked at twice
        left_out.add(LEFT_OUT, folder, in_full=True)
    if len(left_out.paths[LEFT_OUT]) > MAX_FOLDERS:
        some = ", ".join(map(shown, (*known[:2], folder)))
        text = f"holds more than {MAX_FOLDERS} data folders of conductors or agent hosts, such as {some}"
        raise InvalidRequestError(
            Violation("workspace.path", text), hint="name a smaller folder, or move those elsewhere with --data"
        )


def _refusal(how: str) -> InvalidRequestError:
    return InvalidRequestError(
        Violation(
            "workspace.path", f"{how} the data folder of a conductor or an agent host, which agents may not read"
        ),
        hint="name a folder with code, or give the service another folder with --data",
    )
