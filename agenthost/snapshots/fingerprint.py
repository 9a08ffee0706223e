"""A cheap witness that nobody touched a snapshot: a hash over what the file system says of every path.

Size and times alone can be put back after a change; the change time and the inode cannot, not without the kernel's
help. Contents are not read: they were checked against git's ids at checkout.
"""

import hashlib
import os
from pathlib import Path


def fingerprint(tree: Path) -> str:
    """The witness, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    _note(digest, b"", os.lstat(tree))
    waiting = [(b"", os.fsencode(tree))]
    while waiting:
        shown, folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = shown + b"/" + entry.name
                _note(digest, path, entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((path, entry.path))
    return digest.hexdigest()


def _note(digest: "hashlib._Hash", path: bytes, status: os.stat_result) -> None:
    # The path ends with a NUL, which no path holds: two trees cannot read the same.
    values = (status.st_mode, status.st_uid, status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    digest.update(b"%s\0%s\n" % (path, b" ".join(b"%d" % value for value in values)))
