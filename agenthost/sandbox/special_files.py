"""Looks over what sandboxes are given read-only: a pipe, a socket or a device in it leads out of the mount. Blocking.

Kinds come with the names of a folder, so that no file is opened or asked for: an install has tens of thousands.
"""

import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def special_file(folder: Path) -> str:
    """Returns the first path below a folder that is neither a file, a folder nor a link, with its kind; nothing where none is."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not entry.is_symlink() and not entry.is_file(follow_symlinks=False):
                        return f"{entry.path} is {_kind(entry)}"
        except OSError:  # what the host may not read, an agent may not either; what is gone leads nowhere
            continue
    return ""


def _kind(entry: os.DirEntry[str]) -> str:
    return KINDS.get(stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode), "no ordinary file")
