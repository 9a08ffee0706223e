"""Bounds the memory of an attempt: by a control group where the host may make one, else by a look every 250 ms.

The group is the kernel's own bound. The look can be late, and does not see what a process gave away through a socket and no process
has taken yet. It is used where the machine gives no group, and the attestation says which of the two it was.
"""

from __future__ import annotations

import contextlib
import os
import time

from agenthost.shim.inspection import descendants
from agenthost.shim.kernel import now, read_file

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any

LOOK_SECONDS = 0.25
GROUP_LOOK_SECONDS = 1.0  # the kernel bounds it by itself: this only finds out that it killed
REMOVE_TRIES, REMOVE_PAUSE_SECONDS = 50, 0.01
MIB = 1024 * 1024
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Bound:
    """The bound of one attempt. `folders` are its group's, none where there is no group."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.limit: int = config["memory_bytes"]
        self.group: dict[str, Any] = config["cgroup"]
        self.folders: list[str] = []
        self.next_look = now() + LOOK_SECONDS

    def make(self) -> None:
        """Makes the group and sets its limits; without a limit that is needed, there is no group."""
        folders = dict(self.group.get("folders", {}))
        try:
            for folder in folders.values():
                os.mkdir(folder)
                self.folders.append(folder)
            for controller, file, value, needed in self.group.get("settings", ()):
                with contextlib.nullcontext() if needed else contextlib.suppress(OSError):
                    write(f"{folders[controller]}/{file}", value)
        except OSError:
            self.remove()

    def join(self) -> None:
        """Joins the group in the child that becomes bubblewrap, so that nothing inside was ever outside of the group."""
        for folder in self.folders:
            write(f"{folder}/cgroup.procs", "0")

    def described(self, agent: int) -> tuple[str, bool]:
        """Returns the bound in words, and whether it is in force for a process."""
        most = f"memory: at most {self.limit // MIB} MiB in all"
        if not self.folders:
            return f"{most}, looked at every {LOOK_SECONDS * 1000:g} ms", True
        inside = all(str(agent) in read_file(f"{folder}/cgroup.procs").split() for folder in self.folders)
        return f"{most}, by a control group ({self.group['version']})", inside

    def is_exceeded(self, first: int) -> bool:
        """Returns whether the attempt took more than it may. `first` is the first process inside."""
        self.next_look = now() + (GROUP_LOOK_SECONDS if self.folders else LOOK_SECONDS)
        if self.folders:
            return any(kills(folder) for folder in self.folders)
        return used_bytes(first, self.limit) > self.limit

    def kill(self) -> None:
        """Ends all in the group at once, where the kernel can."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                write(f"{folder}/cgroup.kill", "1")

    def remove(self) -> None:
        """Removes the group, after a moment for what is still dying in it. The daemon sweeps what stays."""
        for _ in range(REMOVE_TRIES):
            for folder in list(self.folders):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
                    self.folders.remove(folder)
            if not self.folders:
                return
            time.sleep(REMOVE_PAUSE_SECONDS)


def write(path: str, value: str) -> None:
    """Writes a kernel file, which must be there."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def kills(folder: str) -> int:
    """Returns how often the kernel killed in a group that was out of memory."""
    for name in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError):
            told = dict(line.split() for line in read_file(f"{folder}/{name}").splitlines())
            return int(told.get("oom_kill", 0))
    return 0


def used_bytes(first: int, limit: int) -> int:
    """Returns the memory of a process and all below it: roughly below the limit, with shared pages divided above it."""
    pids = [first, *descendants(first)]
    held = sum(held_files(pids).values())
    rough = held
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            rough += int(read_file(f"/proc/{pid}/statm").split()[1]) * PAGE_BYTES
    if rough <= limit:
        return rough
    own = shared = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = [line.split() for line in read_file(f"/proc/{pid}/smaps_rollup").splitlines()[1:]]
            kilobytes = {line[0]: int(line[1]) for line in lines}
            own += kilobytes.get("Pss_Anon:", 0) * 1024
            shared += kilobytes.get("Pss_Shmem:", 0) * 1024
    # A file in memory may be mapped as well: counted once, for certain.
    return own + max(shared, held)


def held_files(pids: list[int]) -> dict[int, int]:
    """Returns the files in memory that processes hold open, mapped or not: inode and bytes."""
    found: dict[int, int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{name}").startswith("/memfd:"):
                        status = os.stat(f"/proc/{pid}/fd/{name}")
                        found[status.st_ino] = status.st_blocks * 512
    return found
