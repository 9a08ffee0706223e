"""Writes the index that an agent's git reads.

Without it `git grep` and `git ls-files` see nothing, and for `git status` everything is deleted.

It is not made by `git update-index`, which would consult the repository's attributes. Version 2 of the format
(gitformat-index): a header, entries in the order of their paths, a hash over all of it.
"""

import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from servicekit.snapshot_rules import Entry

_HEADER = struct.Struct(">4sLL")
_ENTRY = struct.Struct(">10L20sH")
_LOW = 0xFFFFFFFF
_LONGEST_NAME = 0xFFF


def write_index(target: Path, entries: Sequence[Entry], tree: Path) -> None:
    """Writes the index of a tree that is checked out."""
    root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        parts = [_HEADER.pack(b"DIRC", 2, len(entries))]
        parts += [_record(entry, root) for entry in sorted(entries, key=lambda entry: entry.path)]
    finally:
        os.close(root)
    content = b"".join(parts)
    target.write_bytes(content + hashlib.sha1(content, usedforsecurity=False).digest())


def _record(entry: Entry, root: int) -> bytes:
    status = os.stat(entry.path, dir_fd=root, follow_symlinks=False)
    fixed = _ENTRY.pack(
        int(status.st_ctime) & _LOW,
        status.st_ctime_ns % 1_000_000_000,
        int(status.st_mtime) & _LOW,
        status.st_mtime_ns % 1_000_000_000,
        status.st_dev & _LOW,
        status.st_ino & _LOW,
        int(entry.mode, 8),
        status.st_uid & _LOW,
        status.st_gid & _LOW,
        entry.size & _LOW,
        bytes.fromhex(entry.oid),
        min(len(entry.path), _LONGEST_NAME),
    )
    # One to eight NULs, so that the next entry begins at a multiple of eight.
    length = len(fixed) + len(entry.path)
    return fixed + entry.path + b"\0" * (8 - length % 8)
