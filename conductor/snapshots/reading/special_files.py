"""Finds what git does not list: FIFOs, sockets, devices and unreadable folders. They are left out, and a note says so.

Only the kind of each entry is looked at. Ignored entries and repositories inside this one are passed over.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from conductor.snapshots.git import Git
from conductor.snapshots.reading.descent import MAX_DEPTH, Descent
from conductor.snapshots.reading.entries import LeftOut, Listed
from conductor.snapshots.reading.view import View
from conductor.snapshots.reading.working_tree import SPECIAL, UNREADABLE_FOLDERS
from servicekit.threads import in_thread

MAX_ENTRIES = 1_000_000
NOT_ALL = f"folders that were not searched for special files, beyond {MAX_ENTRIES} entries"


async def find_special_files(view: View, listed: Collection[Listed], left_out: LeftOut) -> None:
    """Adds special files to those that are left out. Listed paths are skipped: their reader sees what they are."""
    git, folder = view.git, view.repository.inside
    asked = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    ignored = frozenset((await git.run(*asked, cwd=folder)).split(b"\0"))
    found = set(await in_thread(lambda: list(_walk(folder, ignored, left_out))))
    found -= {entry.path for entry in listed}
    for path in found - await _ignored(git, folder, found):
        left_out.add(SPECIAL, path)


def _walk(top: Path, ignored: Collection[bytes], left_out: LeftOut) -> Iterator[bytes]:
    waiting: list[tuple[bytes, ...]] = [()]
    seen = 0
    with Descent(top) as descent:
        while waiting:
            parts = waiting.pop()
            entries = _entries(descent, parts, left_out)
            seen += len(entries)
            if seen > MAX_ENTRIES:
                left_out.add(NOT_ALL, b"/".join(parts))
                return
            if parts and any(name == b".git" for name, _ in entries):
                continue
            for name, kind in entries:
                path = b"/".join((*parts, name))
                # Nothing deeper is taken, and a note says so.
                is_open = name != b".git" and path + b"/" not in ignored and len(parts) < MAX_DEPTH
                if kind == "folder" and is_open:
                    waiting.append((*parts, name))
                elif kind == "special":
                    yield path


def _entries(descent: Descent, parts: tuple[bytes, ...], left_out: LeftOut) -> list[tuple[bytes, str]]:
    """Returns the entries of a folder; none where it is gone, or not readable: git then lists nothing of it either."""
    try:
        with os.scandir(descent.enter(parts)) as entries:
            return [(os.fsencode(entry.name), _kind(entry)) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        left_out.add(UNREADABLE_FOLDERS.format(error.strerror), b"/".join(parts))
        return []


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink() or entry.is_file(follow_symlinks=False):
        return "file"
    return "folder" if entry.is_dir(follow_symlinks=False) else "special"


async def _ignored(git: Git, folder: Path, paths: Collection[bytes]) -> frozenset[bytes]:
    """Returns the paths that git ignores. Its exit code says whether there are any, so it is no failure."""
    if not paths:
        return frozenset()
    # The only command without literal paths; a path with this prefix is read as it stands.
    asked = b"".join(b"./%s\0" % path for path in sorted(paths))
    willing = replace(git, takes_literally=False)
    answer = await willing.attempt("check-ignore", "-z", "--stdin", cwd=folder, stdin=asked)
    return frozenset(path.removeprefix(b"./") for path in answer.stdout.split(b"\0"))
