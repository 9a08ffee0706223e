"""Finds the repository that a folder belongs to, by looking at files only.

Git's own discovery is not used: it follows `core.worktree`, and it climbs beyond the allowed roots. Every place that a git folder
points to (the folder of a linked worktree, alternates) must lie below an allowed root too: otherwise a crafted `.git` file would
let a caller read another user's repository.
"""

import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from conductor.errors import RootNotAllowedError
from conductor.snapshots.roots import WorkspaceRoots

MAX_POINTER_BYTES = 8192
MAX_LISTING_BYTES = 1024 * 1024
MAX_ALTERNATES = 32
_QUOTED = re.compile(rb'"((?:[^"\\]|\\[abfnrtv"\\]|\\[0-3][0-7]{2})*)"')


@dataclass(frozen=True, slots=True)
class Repository:
    """A user's repository. `top` is its work tree, or the git folder itself when it is bare; `inside` is below `top`.

    `object_folders` are its own and all that it borrows from.
    """

    git_folder: Path
    common_folder: Path
    top: Path
    inside: Path
    is_bare: bool = False
    object_folders: tuple[Path, ...] = ()

    @property
    def objects(self) -> Path:
        """The folder of its objects."""
        return self.common_folder / "objects"

    @property
    def is_at_top(self) -> bool:
        """The workspace is the whole repository."""
        return self.top == self.inside


def find_repository(folder: Path, roots: WorkspaceRoots) -> Repository | None:
    """Returns the repository around a folder, at most up to the allowed root. OSError: some of it cannot be looked at."""
    if _is_git_folder(folder, folder):
        return _allowed(Repository(folder, folder, folder, folder, is_bare=True), roots)
    ceiling = roots.ceiling(folder)
    for candidate in (folder, *folder.parents):
        entry = candidate / ".git"
        git_folder = follow_git_entry(entry)
        if git_folder is not None:
            roots.check(git_folder, entry)
            common = _common_folder(git_folder)
            roots.check(common, git_folder / "commondir")
            if _is_git_folder(git_folder, common):
                return _allowed(Repository(git_folder, common, candidate, folder), roots)
        if candidate == ceiling:
            break
    return None


def follow_git_entry(entry: Path) -> Path | None:
    """Follows a `.git` entry, which is a folder, or a file with the path of one."""
    try:
        kind = entry.stat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(kind):
        return real_path(entry)
    pointer = _read_pointer(entry) if stat.S_ISREG(kind) else ""
    return _pointed_at(entry.parent, pointer.removeprefix("gitdir:")) if pointer.startswith("gitdir:") else None


def real_path(path: Path) -> Path:
    """Returns a path without links; with those that lead in a circle, at which every reader fails."""
    return Path(os.path.realpath(path))


def _common_folder(git_folder: Path) -> Path:
    pointer = git_folder / "commondir"
    return _pointed_at(git_folder, _read_pointer(pointer)) if pointer.is_file() else git_folder


def _pointed_at(folder: Path, pointer: str) -> Path:
    # Git reads such a path up to the first NUL.
    return real_path(folder / pointer.partition("\0")[0].strip())


def _is_git_folder(git_folder: Path, common: Path) -> bool:
    head = git_folder / "HEAD"
    return (head.is_file() or head.is_symlink()) and (common / "objects").is_dir() and (common / "refs").is_dir()


def _allowed(repository: Repository, roots: WorkspaceRoots) -> Repository:
    return replace(repository, object_folders=tuple(_object_folders(repository.objects, roots)))


def _object_folders(objects: Path, roots: WorkspaceRoots) -> list[Path]:
    """Returns the object folder and every alternate that git would read with it, each once: two may borrow from each other."""
    found = {real_path(objects): objects}
    waiting = [objects]
    for folder in waiting:
        roots.check(real_path(folder), folder)
        lines = read_bytes(folder / "info" / "alternates", MAX_LISTING_BYTES, roots).split(b"\n")
        for line in lines:
            if line and not line.startswith(b"#"):
                lender = folder / os.fsdecode(_unquoted(line))
                if found.setdefault(real_path(lender), lender) is lender:
                    waiting.append(lender)
        if len(waiting) > MAX_ALTERNATES:
            raise RootNotAllowedError("the repository of this workspace borrows from too many others")
    return waiting


def _unquoted(line: bytes) -> bytes:
    """Returns the path in a line of `alternates`, which git quotes as C does where it must."""
    quoted = _QUOTED.fullmatch(line)
    path = quoted[1].decode("latin-1").encode("latin-1").decode("unicode_escape").encode("latin-1") if quoted else line
    return path.partition(b"\0")[0]


def _read_pointer(path: Path) -> str:
    return os.fsdecode(read_bytes(path, MAX_POINTER_BYTES))


def read_bytes(path: Path, max_bytes: int, roots: WorkspaceRoots | None = None) -> bytes:
    """Reads a regular file; nothing where there is none. A FIFO in its place is not waited for, and not read.

    RootNotAllowedError: the path leads to a file outside the roots, also where it was replaced a moment ago.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if roots is not None and roots.are_given:
            roots.check(Path(f"/proc/self/fd/{descriptor}").readlink(), path)
        return file.read(max_bytes) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
