"""Starts the shim of an attempt. Its lock is held and its socket listens before it runs.

So a living shim can always be seen. It is a session of its own, and outlives the process that started it.
"""

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from agenthost.attempt.launch import Launch
from agenthost.core.damage import is_shortage
from agenthost.errors import PreconditionError
from agenthost.snapshots.eviction import hold
from agenthost.system import process
from agenthost.system.socket_path import short_path

PYTHON = Path(sys.executable).resolve()  # without the detour through a virtual environment
SHIM = Path(__file__).parents[1] / "shim" / "__main__.py"
BACKLOG = 8


def start_shim(folder: Path, launch: Launch) -> None:
    """Starts the shim of a folder that is prepared."""
    # From the loop's thread, like all programs: a parent-death signal comes when the starting thread ends.
    with _descriptors(folder, launch) as descriptors:
        pid = process.spawn_apart(PYTHON, "-I", "-S", SHIM, folder, descriptors=descriptors)
    process.reap_later(pid)


@contextlib.contextmanager
def _descriptors(folder: Path, launch: Launch) -> Iterator[dict[int, int]]:
    """Opens what the shim inherits, and closes it again in this process."""
    with contextlib.ExitStack() as stack:

        def opened(path: Path, flags: int = os.O_RDONLY) -> int:
            return kept(os.open(path, flags | os.O_CLOEXEC, 0o600))

        def kept(fd: int) -> int:  # registered at once: the next open may fail for lack of descriptors
            stack.callback(os.close, fd)
            return fd

        nothing = Path("/dev/null")
        inherited = {
            0: opened(nothing),
            2: opened(folder / "shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
            3: opened(folder / "lock", os.O_RDWR | os.O_CREAT),
            5: kept(_hold(launch.held)) if launch.held else opened(nothing),
        }
        fcntl.flock(inherited[3], fcntl.LOCK_EX | fcntl.LOCK_NB)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with short_path(folder, "control.sock") as path:
            listener.bind(path)
        listener.listen(BACKLOG)
        yield inherited | {1: inherited[2], 4: listener.fileno()}


def _hold(snapshot: Path) -> int:
    try:
        return hold(snapshot)
    except OSError as error:
        # BlockingIOError: eviction holds the lock. Any other shortage says nothing about the snapshot.
        if is_shortage(error) and not isinstance(error, BlockingIOError):
            raise
        raise PreconditionError(
            "SNAPSHOT_MISSING", "the snapshot is being evicted; nothing ran", hint="push it again"
        ) from error
