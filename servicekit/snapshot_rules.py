"""Judges what a snapshot may hold. Conductors pin by these rules, and hosts check out by them: what one pins, the other takes.

Paths are judged as if they came from an attacker: a host writes them to its disk. Only files, symbolic links and (empty) folders of
submodules are allowed. A link is never a folder of another path, since no name may be both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_FILES = 500_000
MAX_FILE_BYTES = 4 * 1024 * 1024 * 1024
MAX_TOTAL_BYTES = 8 * 1024 * 1024 * 1024
MAX_PATH_BYTES = 2000
MAX_NAME_BYTES = 255
MAX_LINK_BYTES = 4000
MAX_DEPTH = 100
MAX_LISTING_BYTES = 256 * 1024 * 1024

FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
OLD_FILE = "100664"  # what git wrote in its first years
_LISTED_BYTES = 80  # that git lists of an entry beside its path


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a snapshot."""

    path: bytes
    mode: str
    oid: str
    size: int


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


def why_refused(entries: Sequence[Entry]) -> str:
    """Returns why no host takes a snapshot of these entries; empty where hosts take it."""
    if len(entries) > MAX_FILES:
        return f"the snapshot has more than {MAX_FILES} files"
    if sum(entry.size for entry in entries) > MAX_TOTAL_BYTES:
        return f"the snapshot is larger than {MAX_TOTAL_BYTES // 1024**3} GiB"
    if sum(len(entry.path) + _LISTED_BYTES for entry in entries) > MAX_LISTING_BYTES:
        return f"the list of the snapshot's files is longer than {MAX_LISTING_BYTES // 1024**2} MiB"
    for entry in entries:
        if why := why_entry_refused(entry.path, entry.mode, entry.size):
            return why
    return _why_tree_refused(entries)


def why_entry_refused(path: bytes, mode: str, size: int) -> str:
    """Returns why no host takes a snapshot with this entry; empty where hosts take it."""
    if mode not in (FILE, PROGRAM, LINK, SUBMODULE, OLD_FILE):
        return f"{_shown(path)} is neither a file, nor a symbolic link, nor a submodule"
    if why := why_path_refused(path):
        return why
    limit = MAX_LINK_BYTES if mode == LINK else MAX_FILE_BYTES
    if size > limit:
        return f"{_shown(path)} is larger than {limit} bytes"
    return f"the symbolic link {_shown(path)} has no target" if mode == LINK and size == 0 else ""


def why_path_refused(path: bytes) -> str:
    """Returns why no host takes a snapshot with this path; empty where hosts take it."""
    names = path.split(b"/")
    if len(path) > MAX_PATH_BYTES or len(names) > MAX_DEPTH:
        return f"{_shown(path)} is longer than {MAX_PATH_BYTES} bytes or deeper than {MAX_DEPTH} folders"
    if any(len(name) > MAX_NAME_BYTES for name in names):
        return f"{_shown(path)} has a name of more than {MAX_NAME_BYTES} bytes"
    if any(name in (b"", b".", b"..") or name.lower() == b".git" for name in names):
        return f"{_shown(path)} is not a safe path"
    return ""


def why_target_refused(path: bytes, target: bytes) -> str:
    """Returns why no host takes a symbolic link with this target; empty where hosts take it."""
    return f"the symbolic link {_shown(path)} has no target" if not target or b"\0" in target else ""


def _why_tree_refused(entries: Sequence[Entry]) -> str:
    leaves = {entry.path for entry in entries if entry.mode != SUBMODULE}
    places = folders(entries)
    if len(places) > MAX_FILES:
        return f"the snapshot has more than {MAX_FILES} folders"
    if len(leaves) + sum(entry.mode == SUBMODULE for entry in entries) != len(entries):
        return "a path occurs twice in its tree"
    both = leaves.intersection(places)
    return f"{_shown(min(both))} is a file and a folder at once" if both else ""


def _shown(path: bytes) -> str:
    return repr(path[:100].decode(errors="backslashreplace"))
