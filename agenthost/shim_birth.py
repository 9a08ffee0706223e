"""Starts the shim of an attempt. What it inherits is locked and listening before it is born.

So there is no moment in which it lives and cannot be seen. Whoever started it may go: it is a session of its own.
"""

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from agenthost import process
from agenthost.errors import PreconditionError
from agenthost.eviction import hold
from agenthost.launch import Launch
from agenthost.socket_path import short_path

PYTHON = Path(sys.executable).resolve()  # without the detour through a virtual environment
SHIM = Path(__file__).parent / "shim" / "__main__.py"
BACKLOG = 8


def start_shim(folder: Path, launch: Launch) -> None:
    """Starts the shim of a folder that is prepared."""
    # From the loop's thread, as all programs: parent-death signals follow threads.
    with _descriptors(folder, launch) as descriptors:
        pid = process.spawn_apart(PYTHON, "-I", "-S", SHIM, folder, descriptors=descriptors)
    process.reap_later(pid)


@contextlib.contextmanager
def _descriptors(folder: Path, launch: Launch) -> Iterator[dict[int, int]]:
    """What a shim inherits."""
    with contextlib.ExitStack() as stack:
        opened = {
            0: os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC),
            2: os.open(folder / "shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600),
            3: os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600),
            5: _hold(launch.held) if launch.held else os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC),
        }
        for fd in opened.values():
            stack.callback(os.close, fd)
        fcntl.flock(opened[3], fcntl.LOCK_EX | fcntl.LOCK_NB)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with short_path(folder, "control.sock") as path:
            listener.bind(path)
        listener.listen(BACKLOG)
        yield opened | {1: opened[2], 4: listener.fileno()}


def _hold(snapshot: Path) -> int:
    try:
        return hold(snapshot)
    except OSError as error:
        raise PreconditionError(
            "SNAPSHOT_MISSING", "the snapshot was on its way out; nothing ran", hint="push it again"
        ) from error
