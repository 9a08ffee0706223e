"""Copies the snapshot into the sandbox's own room, where the command may write. Nothing is copied that would not fit."""

import os
import shutil
from pathlib import Path

# Of the free room: the command itself needs some, and files take whole pages.
MOST_SHARE = 0.8
PAGE_BYTES = 4096


class NoRoomError(Exception):
    """The copy does not fit. The text says how much room it takes, and what to do."""


def copy_tree(source: Path, target: Path) -> None:
    """Copies a folder with its links as they are. Raises NoRoomError before anything is written."""
    needed, room = count_bytes(source), int(shutil.disk_usage(target.parent).free * MOST_SHARE)
    if needed > room:
        raise NoRoomError(
            f"the copy of the snapshot takes {needed} bytes, and the command has room for {room}."
            " Give it a larger resources.tmp_bytes in the host's configuration"
        )
    shutil.copytree(source, target, symlinks=True)
    for folder, _, names in os.walk(target):  # the snapshot's own files are read-only
        for path in (Path(folder), *(Path(folder) / name for name in names)):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o600)


def count_bytes(folder: Path) -> int:
    """Returns the room that a copy takes in memory, in whole pages."""
    total = 0
    for place, _, names in os.walk(folder):
        sizes = (os.lstat(Path(place) / name).st_size for name in names)
        total += PAGE_BYTES + sum(-(-size // PAGE_BYTES) * PAGE_BYTES for size in sizes)
    return total
