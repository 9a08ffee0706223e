"""Makes a cheap witness that a snapshot was not touched: a hash over what the file system says of every path.

Size and times alone can be put back after a change; the change time and the inode cannot, not without the kernel's
help. Contents are not read: they were checked against git's ids at checkout. The daemon takes it before and after an attempt,
the shim once more with the gate still closed: so it is here, from the standard library only.
"""

from __future__ import annotations

import os
import stat

try:
    from _sha2 import sha256  # type: ignore[import-not-found, unused-ignore] # hashlib would cost every attempt 5 ms
except ImportError:  # Python 3.11
    from _sha256 import sha256  # type: ignore[import-not-found, unused-ignore]

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any


def look_over(tree: str | os.PathLike[str]) -> tuple[str, bytes]:
    """Returns the witness, 64 hexadecimal digits, and the path of something that is no file, folder or link, usually empty."""
    digest, special = sha256(), b""
    _note(digest, b"", os.lstat(tree))
    waiting = [(b"", os.fsencode(tree))]
    while waiting:
        shown, folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path, status = shown + b"/" + entry.name, entry.stat(follow_symlinks=False)
                _note(digest, path, status)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((path, entry.path))
                elif not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
                    special = path
    return digest.hexdigest(), special


def fingerprint(tree: str | os.PathLike[str]) -> str:
    """Returns the witness alone."""
    return look_over(tree)[0]


def _note(digest: Any, path: bytes, status: os.stat_result) -> None:
    # The path ends with a NUL, which no path holds: two trees cannot read the same.
    values = (status.st_mode, status.st_uid, status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    digest.update(b"%s\0%s\n" % (path, b" ".join(b"%d" % value for value in values)))
