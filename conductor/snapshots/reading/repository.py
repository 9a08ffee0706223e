"""Finds the repository that a folder belongs to, by looking at files only.

Git's own discovery is not used: it follows `core.worktree`, and it climbs beyond the allowed roots. Every place that a git folder
points to (the folder of a linked worktree, alternates) must lie below an allowed root too: otherwise a crafted `.git` file would
let a caller read another user's repository.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import RootNotAllowedError
from conductor.snapshots.git import Git
from conductor.snapshots.roots import WorkspaceRoots

MAX_POINTER_BYTES = 8192
MAX_SHALLOW_BYTES = 64 * 1024 * 1024
MAX_ALTERNATES = 32


@dataclass(frozen=True, slots=True)
class Repository:
    """A user's repository. `top` is its work tree, or the git folder itself when it is bare; `inside` is below `top`."""

    git_folder: Path
    common_folder: Path
    top: Path
    inside: Path
    is_bare: bool = False

    @property
    def objects(self) -> Path:
        """The folder of its objects."""
        return self.common_folder / "objects"

    @property
    def is_at_top(self) -> bool:
        """The workspace is the whole repository."""
        return self.top == self.inside

    def refs(self) -> Git:
        """A view of its refs, index and ignore rules: the only one in which its configuration is opened."""
        return Git(self.git_folder, work_tree=None if self.is_bare else self.top)

    def contents(self, own_folder: Path) -> Git:
        """A view of its objects from a git folder of our own."""
        return Git(own_folder, objects=self.objects, shallow=self.common_folder / "shallow")

    def shallow_commits(self) -> frozenset[str]:
        """Returns the commits whose parents it lacks."""
        try:
            return frozenset(_read_file(self.common_folder / "shallow").decode("ascii").split())
        except (OSError, UnicodeDecodeError):
            return frozenset()


def find_repository(folder: Path, roots: WorkspaceRoots) -> Repository | None:
    """Returns the repository around a folder, at most up to the allowed root."""
    if _is_git_folder(folder, folder):
        return _allowed(Repository(folder, folder, folder, folder, is_bare=True), roots)
    ceiling = roots.ceiling(folder)
    for candidate in (folder, *folder.parents):
        git_folder = follow_git_entry(candidate / ".git")
        if git_folder is not None:
            common = _common_folder(git_folder)
            if _is_git_folder(git_folder, common):
                return _allowed(Repository(git_folder, common, candidate, folder), roots)
        if candidate == ceiling:
            break
    return None


def follow_git_entry(entry: Path) -> Path | None:
    """Follows a `.git` entry, which is a folder, or a file with the path of one."""
    if entry.is_dir():
        return entry.resolve()
    if not entry.is_file():
        return None
    pointer = _read_pointer(entry)
    if not pointer.startswith("gitdir:"):
        return None
    return (entry.parent / pointer.removeprefix("gitdir:").strip()).resolve()


def _common_folder(git_folder: Path) -> Path:
    pointer = git_folder / "commondir"
    return (git_folder / _read_pointer(pointer).strip()).resolve() if pointer.is_file() else git_folder


def _is_git_folder(git_folder: Path, common: Path) -> bool:
    head = git_folder / "HEAD"
    return (head.is_file() or head.is_symlink()) and (common / "objects").is_dir() and (common / "refs").is_dir()


def _allowed(repository: Repository, roots: WorkspaceRoots) -> Repository:
    for place in (repository.git_folder, repository.common_folder, *object_folders(repository.objects)):
        if not roots.contains(place.resolve()):
            raise RootNotAllowedError(
                f"the repository of this workspace keeps data at {place}, outside the allowed roots",
                hint="allow that folder too: conductor serve --root DIR",
            )
    return repository


def object_folders(objects: Path) -> list[Path]:
    """Returns the object folder and every alternate that git would read with it."""
    found = [objects]
    for folder in found:
        listing = folder / "info" / "alternates"
        if listing.is_file():
            lines = _read_pointer(listing).splitlines()
            found += [folder / line for line in lines if line and not line.startswith("#")]
        if len(found) > MAX_ALTERNATES:
            raise RootNotAllowedError("the repository of this workspace borrows from too many others")
    return found


def _read_pointer(path: Path) -> str:
    return _read_file(path, MAX_POINTER_BYTES).decode("utf-8", "surrogateescape")


def _read_file(path: Path, max_bytes: int = MAX_SHALLOW_BYTES) -> bytes:
    """Reads a regular file. A FIFO in its place is not waited for, and not read."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read(max_bytes) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
