"""Prepares the forked child that becomes bubblewrap: user, paths, limits, descriptors; and a guard until then."""

from __future__ import annotations

import os
import resource
import signal

from agenthost.shim.bounds.memory import Bound
from agenthost.shim.kernel import (
    CLONE_NEWNS,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    PR_SET_PDEATHSIG,
    call,
    own_pipe,
)

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any

STAGES = ("/mnt", "/media", "/srv", "/tmp")  # noqa: S108 - covered in a mount namespace of our own


def stage() -> str:
    """Returns where, in a mount namespace of our own, sources are put within reach of the sandbox's user."""
    return next(place for place in STAGES if os.path.isdir(place))


def start_guard() -> tuple[int, int]:
    """Starts a process that kills its group when the shim dies while bubblewrap sets up; returns its id and a pipe to it.

    Without it, a shim's death just then leaves bubblewrap's child behind, which waits for bubblewrap and is not yet bound
    to its life. The sandbox leaves the group in the last steps of its set-up, when the gate is all that it waits for.
    """
    alarm, line = own_pipe()
    guard = os.fork()
    if guard == 0:
        try:
            os.setpgid(0, 0)
            os.close(line)
            os.read(alarm, 1)
            os.kill(0, signal.SIGKILL)
        finally:
            os._exit(0)  # it must never unwind into the shim's code
    os.setpgid(guard, guard)  # parent and child both do it: either may run first
    os.close(alarm)
    return guard, line


def become_bwrap(
    config: dict[str, Any],
    bound: Bound,
    argv: list[str],
    placed: dict[int, int],
    handed: list[int],
    *,
    uid: int,
    keeper: int,
    group: int,
    fault: int,
) -> None:
    """Drops root's rights in the forked child, sets limits, and becomes bubblewrap. Never returns."""
    try:
        for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, group)
        bound.join()
        if os.getuid() == 0:
            put_within_reach(config["sources"])
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        # After the change of user, which clears it. If the shim died before this line, our parent is another process.
        call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(125)
        for name, value in config["rlimits"].items():
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
            resource.setrlimit(kind, (value, value))
        for low, fd in placed.items():
            os.dup2(fd, low)
        for fd in handed:
            os.set_inheritable(fd, True)
        os.execve(argv[0], argv, {})
    except BaseException as error:  # noqa: BLE001 - the child must neither return nor unwind into the shim's code
        os.write(fault, f"cannot start bubblewrap: {error}".encode())
    finally:
        os._exit(126)


def put_within_reach(sources: dict[str, str]) -> None:
    """Binds every source below the stage, as root, because its own path may lead through folders closed to others."""
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    handles = {name: os.open(path, os.O_PATH) for name, path in sources.items()}  # before the stage covers anything
    call("mount", b"tmpfs", stage().encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=0755,size=1m")
    for name, handle in handles.items():
        place = f"{stage()}/{name}"
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            os.mkdir(place, 0o755)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL, 0o644))
        call("mount", f"/proc/self/fd/{handle}".encode(), place.encode(), None, MS_BIND | MS_REC, None)
        os.close(handle)
