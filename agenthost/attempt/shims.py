"""Starts, finds, connects to and ends the shims of this machine. The simulation has a machine of its own.

A shim holds the lock of its folder for as long as it lives: that, and never a process id, says that an attempt is kept.
"""

import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from agenthost.attempt.launch import Launch
from agenthost.attempt.shim_link import ShimLink, end_stray
from agenthost.attempt.shim_start import start_shim


class Link(Protocol):
    """A connection to the shim of a folder."""

    @property
    def is_open(self) -> bool:
        """Returns whether there is a connection now."""

    def connect(self) -> bool:
        """Connects; returns False where the shim does not accept."""

    async def send(self, message: Mapping[str, object]) -> None:
        """Sends the shim a message; raises OSError where the connection is gone."""

    def hang_up(self) -> None:
        """Ends the connection, if there is one."""


class Shims:
    """The shims that this machine runs."""

    def start(self, folder: Path, launch: Launch) -> None:
        """Starts the shim of a folder that is prepared."""
        start_shim(folder, launch)

    def is_alive(self, folder: Path) -> bool:
        """Returns whether a shim keeps the attempt of a folder."""
        return is_alive(folder)

    def link(
        self, folder: Path, *, on_messages: Callable[[Sequence[dict[str, Any]]], None], on_end: Callable[[], None]
    ) -> Link:
        """Returns a connection, not open yet, to the shim of a folder."""
        return ShimLink(folder, on_messages=on_messages, on_end=on_end)

    def end_stray(self, folder: Path) -> None:
        """Ends the attempt of a folder that no conductor can ask for. Blocking."""
        end_stray(folder)


SHIMS = Shims()


def is_alive(folder: Path) -> bool:
    """Returns whether a shim keeps this attempt: whether its lock is held."""
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):  # the last two: no shim made this
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
