"""Finds the files that would make git wait forever: FIFOs and devices under the names that git itself opens.

Git opens its own files without asking what they are, and waits in `open` for a writer that never comes. So these names are looked
at before the first git command over a user's repository; nothing is opened. Sockets are harmless: opening one fails at once, and
git's own file watcher keeps one in the git folder.

This is a look at names, not a promise: a user who renames files meanwhile, or hides a FIFO behind `include.path`, causes a wait,
which `git.TIMEOUT_SECONDS` and `CONFIGURATION_SECONDS` end. The creation of runs makes sure that no other workspace waits for it.
"""

import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from conductor.errors import InvalidRequestError, ProgramError, ProgramUnavailableError, Violation
from conductor.snapshots.reading.entries import shown
from conductor.snapshots.reading.repository import Repository, follow_git_entry, object_folders
from servicekit.threads import in_thread

CONFIGURATION_SECONDS = 10.0
MAX_ENTRIES = 200_000
MAX_SECONDS = 3.0

_PER_FOLDER = frozenset({".gitignore", ".gitattributes", ".gitmodules"})
# Large folders in which git opens nothing when it lists files or reads objects.
_UNREAD = frozenset({"hooks", "lfs", "annex", "modules", "worktrees"})


async def refuse_blocking_files(repository: Repository) -> None:
    """Raises InvalidRequestError with the first path that git would wait at."""
    found = await in_thread(lambda: next(_blocking(repository), None))
    if found is None and not (found := await _excludes(repository)):
        return
    text = f"holds a FIFO or a device under a name that git opens: {shown(os.fsencode(found))}; remove it"
    raise InvalidRequestError(Violation("workspace.path", text))


def _blocking(repository: Repository) -> Iterator[Path]:
    budget = _Budget()
    for folder in dict.fromkeys((repository.git_folder, repository.common_folder)):
        yield from _in_git_folder(folder, budget)
    for folder in object_folders(repository.objects):
        yield from _in_git_folder(folder, budget)
    if repository.is_bare:
        return
    # Git reads these from the top down to the workspace.
    way = [repository.inside, *repository.inside.parents]
    for folder in way[: way.index(repository.top) + 1]:
        yield from (path for name in sorted(_PER_FOLDER) if _blocks(path := folder / name))
    yield from _in_work_tree(repository.inside, budget)


class _Budget:
    """A limit of the entries that are looked at in all, the nearest first. Beyond it git is trusted."""

    def __init__(self) -> None:
        self._entries = MAX_ENTRIES
        self._end = time.monotonic() + MAX_SECONDS

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Returns the entries of a folder; none where it is gone, or the budget is spent."""
        found: list[os.DirEntry[str]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if self._entries <= 0 or time.monotonic() > self._end:
                        break
                    self._entries -= 1
                    found.append(entry)
        except OSError:
            pass
        return found


def _in_git_folder(top: Path, budget: _Budget) -> Iterator[Path]:
    waiting = deque([top])
    while waiting:
        folder = waiting.popleft()
        for entry in budget.entries(folder):
            if entry.is_dir(follow_symlinks=False):
                if folder != top or entry.name not in _UNREAD:
                    waiting.append(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False) and _blocks(Path(entry.path)):
                yield Path(entry.path)


def _in_work_tree(top: Path, budget: _Budget) -> Iterator[Path]:
    waiting = deque([top])
    while waiting:
        folder = waiting.popleft()
        for entry in budget.entries(folder):
            if entry.name == ".git" and folder != top:
                # A repository inside this one: git asks it for its HEAD.
                inner = follow_git_entry(Path(entry.path))
                yield from () if inner is None else _in_git_folder(inner, budget)
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


async def _excludes(repository: Repository) -> Path | None:
    """Returns the file of further ignore rules that the configuration names, where opening it blocks.

    This is the first command that opens the configuration: where it takes long, the configuration includes a file that never
    ends.
    """
    asked = ("config", "--null", "--type=path", "--get", "core.excludesFile")
    try:
        answer = await repository.refs().attempt(*asked, cwd=repository.top, timeout_seconds=CONFIGURATION_SECONDS)
    except ProgramUnavailableError:
        raise
    except ProgramError as error:
        text = f"is a repository whose configuration git cannot read: {error}"
        raise InvalidRequestError(Violation("workspace.path", text)) from error
    named = answer.stdout.rstrip(b"\0")
    if not named:
        return None
    path = repository.top / os.fsdecode(named)
    return path if _blocks(path) else None
