"""Starts the programs that outlive this daemon: shims and the gateway. Others start from `servicekit.programs`."""

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from agenthost.errors import ProgramError

FIRST_FREE_FD = 64


def spawn_apart(program: str | Path, *args: str | Path, descriptors: Mapping[int, int]) -> int:
    """Starts a program that outlives this process, with exactly these descriptors (its number → ours); returns its pid.

    asyncio would kill it at this process's end; `reap_later` reaps it instead.
    """
    # Copied to high numbers first: one of ours may have a number that another is to get.
    copies = {theirs: fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE_FD) for theirs, ours in descriptors.items()}
    try:
        return os.posix_spawn(
            program,
            [str(program), *map(str, args)],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in copies.items()],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM),
        )
    except OSError as error:
        raise ProgramError(f"cannot start {program}: {error.strerror}") from error
    finally:
        for fd in copies.values():
            os.close(fd)


def reap_later(pid: int) -> None:
    """Reaps a child when it exits, from the running event loop, so that no zombie stays."""
    loop = asyncio.get_running_loop()
    pidfd = os.pidfd_open(pid)

    def reap() -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    loop.add_reader(pidfd, reap)
