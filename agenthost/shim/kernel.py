"""Makes kernel calls that the standard library leaves out or makes heavy. It decides nothing."""

from __future__ import annotations

import ctypes
import fcntl
import os
import time

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any

FIRST_OWN_FD = 32  # everything that is opened here lies above what the gate uses

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS = 0x00020000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18

libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):  # noqa: N818 - a verdict, not a defect
    """The agent must not run, or could not be confined. It did not run."""


class SnapshotChanged(Refused):
    """The snapshot changed since it was checked."""


class Interrupted(Exception):  # noqa: N818 - a verdict, not a defect
    """The set-up was killed or held up by something that says nothing of the confinement. The agent did not run."""


def call(name: str, *arguments: Any) -> None:
    """Calls the C library; fails with the kernel's reason."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def own(fd: int) -> int:
    """Moves a descriptor out of the way of those that the gate has."""
    moved: int = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_OWN_FD)
    os.close(fd)
    return moved


def own_pipe() -> tuple[int, int]:
    """Makes a pipe out of the way."""
    reader, writer = os.pipe()
    return own(reader), own(writer)


def text_file(content: bytes) -> int:
    """Returns a file in memory, at its beginning, for bubblewrap to read."""
    fd = own(os.memfd_create("text"))
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def read_file(path: str) -> str:
    """Returns the whole of a small file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def now() -> float:
    """Returns seconds that also pass while the machine sleeps, as they do for the conductor."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
