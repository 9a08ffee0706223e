"""Judges which paths of a snapshot may be checked out. Pure; a listing goes in, entries or a refusal come out.

A conductor is trusted to choose what is read, not where to write: paths are checked as if they came from an attacker. Only files,
symbolic links and (empty) folders of submodules are allowed. A link is never a folder of another path, since no name may be both.

What is too large is refused for good, not for now: it will be as large tomorrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agenthost.errors import SnapshotInvalidError

MAX_FILES = 500_000
MAX_FILE_BYTES = 4 * 1024 * 1024 * 1024
MAX_TOTAL_BYTES = 8 * 1024 * 1024 * 1024
MAX_PATH_BYTES = 2000
MAX_NAME_BYTES = 255
MAX_LINK_BYTES = 4000
MAX_DEPTH = 100

FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
_OLD_FILE = "100664"  # what git wrote in its first years


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a snapshot."""

    path: bytes
    mode: str
    oid: str
    size: int


def parse(listing: bytes) -> tuple[Entry, ...]:
    """Reads the output of `git ls-tree -r -l -z`, or refuses it."""
    entries = tuple(_entry(record) for record in listing.split(b"\0") if record)
    _check(entries)
    return entries


def folders(entries: Sequence[Entry]) -> tuple[bytes, ...]:
    """Returns every folder that the entries need, parents first."""
    found: dict[bytes, None] = {}
    for entry in entries:
        path = entry.path + b"/" if entry.mode == SUBMODULE else entry.path
        end = path.find(b"/")
        while end != -1:
            found[path[:end]] = None
            end = path.find(b"/", end + 1)
    return tuple(found)


def _entry(record: bytes) -> Entry:
    head, _, path = record.partition(b"\t")
    words = head.decode("ascii", "replace").split()
    if len(words) != 4:
        raise SnapshotInvalidError(f"git lists its tree in an unknown form: {record[:100]!r}")
    mode, _, oid, size = words
    if mode not in (FILE, PROGRAM, LINK, SUBMODULE, _OLD_FILE):
        raise SnapshotInvalidError(f"{path!r} is neither a file, nor a symbolic link, nor a submodule")
    return Entry(path, FILE if mode == _OLD_FILE else mode, oid, 0 if size == "-" else int(size))


def _check(entries: Sequence[Entry]) -> None:
    if len(entries) > MAX_FILES:
        raise SnapshotInvalidError(f"the snapshot has more than {MAX_FILES} files")
    if sum(entry.size for entry in entries) > MAX_TOTAL_BYTES:
        raise SnapshotInvalidError(f"the snapshot is larger than {MAX_TOTAL_BYTES // 1024**3} GiB")
    for entry in entries:
        _check_path(entry.path)
        limit = MAX_LINK_BYTES if entry.mode == LINK else MAX_FILE_BYTES
        if entry.size > limit:
            raise SnapshotInvalidError(f"{entry.path!r} is larger than {limit} bytes")
    leaves = {entry.path for entry in entries if entry.mode != SUBMODULE}
    places = folders(entries)
    if len(places) > MAX_FILES:
        raise SnapshotInvalidError(f"the snapshot has more than {MAX_FILES} folders")
    if len(leaves) + sum(entry.mode == SUBMODULE for entry in entries) != len(entries):
        raise SnapshotInvalidError("a path occurs twice in its tree")
    if both := leaves.intersection(places):
        raise SnapshotInvalidError(f"{min(both)!r} is a file and a folder at once")


def _check_path(path: bytes) -> None:
    names = path.split(b"/")
    if len(path) > MAX_PATH_BYTES or len(names) > MAX_DEPTH:
        raise SnapshotInvalidError(
            f"{path[:100]!r} is longer than {MAX_PATH_BYTES} bytes or deeper than {MAX_DEPTH} folders"
        )
    for name in names:
        if name in (b"", b".", b"..") or name.lower() == b".git" or len(name) > MAX_NAME_BYTES:
            raise SnapshotInvalidError(f"{path!r} is not a safe path")
