"""Compares a tree on the disk with its commit, byte for byte, for when the cheap witness says that it was touched.

It reads everything, so it is slow, and it trusts nothing but git's ids. It changes nothing. Blocking.
Paths are bytes here, as in git: they need not be text.
"""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from servicekit.snapshot_rules import LINK, PROGRAM, SUBMODULE, Entry, folders

PIECE_BYTES = 1024 * 1024


def find_damage(entries: Sequence[Entry], tree: Path) -> str:
    """Returns the first difference in words; empty when there is none."""
    expected: dict[bytes, Entry | None] = dict.fromkeys(folders(entries))
    expected |= {entry.path: entry for entry in entries if entry.mode != SUBMODULE}
    found = set[bytes]()
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.fsencode(tree) + b"/" + folder) as below:
            for item in below:
                path = folder + b"/" + item.name if folder else item.name
                if trouble := _judge(path, item, expected):
                    return f"{path.decode(errors='replace')!r} {trouble}"
                found.add(path)
                if item.is_dir(follow_symlinks=False):
                    waiting.append(path)
    missing = min(expected.keys() - found, default=b"")
    return f"{missing.decode(errors='replace')!r} is gone" if missing else ""


def _judge(path: bytes, item: "os.DirEntry[bytes]", expected: Mapping[bytes, Entry | None]) -> str:
    if path not in expected:
        return "was added"
    entry, mode = expected[path], item.stat(follow_symlinks=False).st_mode
    if entry is None:
        return "" if stat.S_ISDIR(mode) else "is no folder any more"
    if entry.mode == LINK:
        is_right = stat.S_ISLNK(mode) and _id(os.readlink(item.path)) == entry.oid  # noqa: PTH115 - bytes
    else:
        is_right = stat.S_ISREG(mode) and bool(mode & 0o111) == (entry.mode == PROGRAM) and _id_of(item) == entry.oid
    return "" if is_right else "is not what it was"


def _id_of(item: "os.DirEntry[bytes]") -> str:
    size = item.stat(follow_symlinks=False).st_size
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(os.open(item.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _id(whole: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(whole), whole), usedforsecurity=False).hexdigest()
