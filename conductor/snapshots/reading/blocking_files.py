"""Finds the files that would make git wait forever, or lead it outside the allowed roots, under the names that git itself opens.

Git opens its own files without asking what they are. At a FIFO or a device it waits for a writer that never comes; a link may
lead to another user's repository. So these names are looked at before git is; nothing is opened. Sockets are harmless: opening
one fails at once, and git's own file watcher keeps one in the git folder.

This is a look at names, not a promise: a user who renames files meanwhile, or hides a FIFO behind `include.path`, causes a wait,
which `git.TIMEOUT_SECONDS` and `settings.CONFIGURATION_SECONDS` end. The creation of runs makes sure that no other workspace
waits for it.
"""

import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.reading.entries import shown
from conductor.snapshots.reading.repository import Repository, follow_git_entry
from conductor.snapshots.roots import WorkspaceRoots
from servicekit.threads import in_thread

MAX_ENTRIES = 200_000
MAX_SECONDS = 3.0

_PER_FOLDER = frozenset({".gitignore", ".gitattributes", ".gitmodules"})
# Large folders in which git opens nothing when it lists files or reads objects.
_UNREAD = frozenset({"hooks", "lfs", "annex", "modules", "worktrees"})


async def refuse_blocking_files(repository: Repository, roots: WorkspaceRoots, excludes: Path | None) -> None:
    """Raises InvalidRequestError with the first path that git would wait at, RootNotAllowedError with one that leads outside."""
    found = await in_thread(lambda: next(_blocking(repository, roots, excludes), None))
    if found is None:
        return
    text = f"holds a FIFO or a device under a name that git opens: {shown(os.fsencode(found))}; remove it"
    raise InvalidRequestError(Violation("workspace.path", text))


def _blocking(repository: Repository, roots: WorkspaceRoots, excludes: Path | None) -> Iterator[Path]:
    budget = _Budget()
    folders = (repository.git_folder, repository.common_folder, *repository.object_folders)
    for folder in dict.fromkeys(folders):
        yield from _in_git_folder(folder, budget, roots)
    if roots.are_given and budget.is_spent:
        text = f"has a repository with more than {MAX_ENTRIES} files, too many to look at each; run git gc in it"
        raise InvalidRequestError(Violation("workspace.path", text))
    if repository.is_bare:
        return
    if excludes is not None and _blocks(excludes):
        yield excludes
    # Git reads these from the top down to the workspace.
    way = [repository.inside, *repository.inside.parents]
    for folder in way[: way.index(repository.top) + 1]:
        yield from (path for name in sorted(_PER_FOLDER) if _blocks(path := folder / name))
    yield from _in_work_tree(repository.inside, budget, roots)


class _Budget:
    """A limit of the entries that are looked at in all, the nearest first. Beyond it git is trusted."""

    def __init__(self) -> None:
        self._entries = MAX_ENTRIES
        self._end = time.monotonic() + MAX_SECONDS
        self.is_spent = False

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Returns the entries of a folder; none where it is gone, or the budget is spent."""
        found: list[os.DirEntry[str]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if self._entries <= 0 or time.monotonic() > self._end:
                        self.is_spent = True
                        break
                    self._entries -= 1
                    found.append(entry)
        except OSError:
            pass
        return found


def _in_git_folder(top: Path, budget: _Budget, roots: WorkspaceRoots) -> Iterator[Path]:
    waiting = deque([top])
    while waiting:
        folder = waiting.popleft()
        for entry in budget.entries(folder):
            if entry.is_dir(follow_symlinks=False):
                if folder != top or entry.name not in _UNREAD:
                    waiting.append(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                path = Path(entry.path)
                if entry.is_symlink() and (folder != top or entry.name not in _UNREAD):
                    roots.check(Path(os.path.realpath(path)), path)
                if _blocks(path):
                    yield path


def _in_work_tree(top: Path, budget: _Budget, roots: WorkspaceRoots) -> Iterator[Path]:
    waiting = deque([top])
    while waiting:
        folder = waiting.popleft()
        for entry in budget.entries(folder):
            if entry.name == ".git" and folder != top:
                # A repository inside this one: git asks it for its HEAD.
                inner = follow_git_entry(Path(entry.path))
                if inner is not None:
                    roots.check(inner, Path(entry.path))
                    yield from _in_git_folder(inner, budget, roots)
            elif entry.is_dir(follow_symlinks=False):
                if entry.name != ".git":
                    waiting.append(Path(entry.path))
            elif entry.name in _PER_FOLDER and _blocks(Path(entry.path)):
                yield Path(entry.path)


def _blocks(path: Path) -> bool:
    """Opening the path may take forever. Links are followed, as git does."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
