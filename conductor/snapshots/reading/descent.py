"""Goes down a folder that may be hostile, by descriptors that follow no link.

Whatever is renamed or planted meanwhile, the way never leads outside. It reads no file.
"""

import errno
import os
from pathlib import Path
from typing import Self

from servicekit import snapshot_rules

MAX_DEPTH = snapshot_rules.MAX_DEPTH  # of folders: each entered folder is held open
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Descent:
    """A folder, held open. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._open = [(b"", os.open(folder, _FLAGS), 0)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            os.close(self._open.pop()[1])

    @property
    def changed_ns(self) -> int:
        """Returns when any folder on the way to the last entered one changed last; the top folder does not count."""
        return self._open[-1][2]

    def enter(self, parts: tuple[bytes, ...]) -> int:
        """Opens a folder below, and keeps those above it open for its neighbours. Raises OSError at a link and at `..`."""
        if b".." in parts:
            raise NotADirectoryError(errno.ENOTDIR, "leads out of the folder")
        kept = 1
        while kept <= len(parts) and kept < len(self._open) and self._open[kept][0] == parts[kept - 1]:
            kept += 1
        while len(self._open) > kept:
            os.close(self._open.pop()[1])
        for part in parts[kept - 1 :]:
            _, above, changed_ns = self._open[-1]
            opened = os.open(part, _FLAGS, dir_fd=above)
            self._open.append((part, opened, max(changed_ns, os.fstat(opened).st_ctime_ns)))
        return self._open[-1][1]
