"""Bounds the memory of an attempt: by a control group where the host may make one, else by a look every 250 ms.

The group is the kernel's own bound; a look finds what it does not count. Without a group the look can be late, and does not see
pages of a shared mapping that was cut short: so it also ends attempts where the machine itself has little memory left. The
attestation says which of the two it was.
"""

from __future__ import annotations

import contextlib
import os
import time

from agenthost.shim.bounds.usage import MAX_LOCKS, Usage, count_locks
from agenthost.shim.kernel import now, read_file

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any

LOOK_SECONDS = 0.25
UNSEEN_BYTES = 64 * 1024 * 1024  # that a group does not count: answers of netlink, and with version 1 datagrams
LEAST_FREE = 0.03  # of the machine's memory; with less, what has no group ends
REMOVE_TRIES, REMOVE_PAUSE_SECONDS = 50, 0.01
MIB = 1024 * 1024
SHARE_FILES = ("cpu.shares", "cpu.weight")


class Bound:
    """The bound of one attempt. `folders` are its group's, none where there is no group."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.limit: int = config["memory_bytes"]
        self.group: dict[str, Any] = config["cgroup"]
        self.folders: list[str] = []
        self.has_share = False  # of the processor, by the group
        self.next_look = now() + LOOK_SECONDS
        self.usage = Usage(config["writable"], config["rlimits"].get("RLIMIT_FSIZE", self.limit))
        self.reason = ""  # for which it is exceeded, where the limit is not the whole of it

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
                    self.has_share |= file in SHARE_FILES
        except OSError:
            self.has_share = False
            self.remove()

    def join(self) -> None:
        """Joins the group in the child that becomes bubblewrap, so that nothing inside was ever outside of the group."""
        for folder in self.folders:
            write(f"{folder}/cgroup.procs", "0")

    def described(self, agent: int) -> tuple[str, bool]:
        """Returns the bound in words, and whether it is in force for a process."""
        most = f"memory: at most {self.limit // MIB} MiB in all"
        if not self.folders:
            told = f"with the kernel's own for it, looked at every {LOOK_SECONDS * 1000:g} ms"
            return f"{most}, {told}; it ends where the machine has less than {LEAST_FREE:.0%} left", True
        inside = all(str(agent) in read_file(f"{folder}/cgroup.procs").split() for folder in self.folders)
        unseen = f"and {UNSEEN_BYTES // MIB} MiB of what a group does not count"
        return f"{most}, by a control group ({self.group['version']}), {unseen}", inside

    def is_exceeded(self, first: int) -> bool:
        """Returns whether the attempt took more than it may. `first` is the first process inside."""
        self.next_look = now() + LOOK_SECONDS
        if first and count_locks(first) > MAX_LOCKS:
            self.reason = f"It held more than {MAX_LOCKS} locks of files."
            return True
        return self._is_group_exceeded(first) if self.folders else self._is_usage_exceeded(first)

    def _is_group_exceeded(self, first: int) -> bool:
        if any(kills(folder) for folder in self.folders):
            return True
        counts_udp = self.group["version"] == "v1"
        if first and self.usage.unseen_bytes(first, counts_udp=counts_udp) > UNSEEN_BYTES:
            self.reason = f"It took more than {UNSEEN_BYTES // MIB} MiB that its control group does not count."
            return True
        return False

    def _is_usage_exceeded(self, first: int) -> bool:
        if self.usage.used_bytes(first, self.limit) > self.limit:
            return True
        if self.has_free_memory():
            return False
        self.reason = f"The machine had less than {LEAST_FREE:.0%} of its memory left, and no control group for it."
        return True

    @staticmethod
    def has_free_memory() -> bool:
        """Returns whether the machine has memory left for what no look finds."""
        told = dict(line.split(":", 1) for line in read_file("/proc/meminfo").splitlines())
        total, free = (int(told[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
        return free >= total * LEAST_FREE

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
