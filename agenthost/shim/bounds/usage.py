"""Counts the memory that an attempt takes, from outside: what its processes show, and what the kernel holds for them.

Roughly below the limit; above it, shared pages are divided between processes. What cannot be seen (a buffer, a table) is counted at
the most that it can be.
"""

from __future__ import annotations

import contextlib
import os

from agenthost.shim.inspection import descendants, shown_by
from agenthost.shim.kernel import read_file

KIB, MIB = 1024, 1024 * 1024
TASK_BYTES, MAPPING_BYTES, INODE_BYTES, FILE_BYTES, WATCH_BYTES = 32 * KIB, 256, 1536, 1024, 256
PIPE_BYTES, SMALL_PIPE_BYTES, LARGE_PIPES = 64 * KIB, 8 * KIB, 1024  # a user's pipes are small beyond 64 MiB
FREE_SOCKETS = 64  # buffers of so many are not counted: ordinary agents have fewer, with little in them
IN_MEMORY = ("/memfd:", "/dev/zero (deleted)")
MAX_LOCKS, MAX_TABLE_BYTES = 1000, 512 * KIB  # the whole of a very long table would take seconds
FREE_TCP = 8  # connections' ends: the kernel walks a table of the whole machine, 9 ms, to tell what is in their buffers
SOCKET_BUFFER = "/proc/sys/net/core/wmem_default"


class Usage:
    """The memory of one attempt, looked at again and again."""

    def __init__(self, writable: list[str], file_bytes: int) -> None:
        self.writable = writable
        self.file_bytes = file_bytes  # the largest file, for those that no process has open
        self.socket_bytes = int(read_file(SOCKET_BUFFER))
        self.hidden_looks = 0  # in a row, at which descriptors were on their way through a socket

    def unseen_bytes(self, first: int, *, counts_udp: bool) -> int:
        """Returns what a control group does not count: answers of netlink; with version 1, datagrams."""
        found = 0
        with contextlib.suppress(OSError, IndexError, ValueError):
            found += sum(int(line.split()[4]) for line in read_file(f"/proc/{first}/net/netlink").splitlines()[1:])
        if counts_udp:
            found += max(0, sockets_of(first, "UDP") - FREE_SOCKETS) * self.socket_bytes
        return found

    def used_bytes(self, first: int, limit: int) -> int:
        """Returns the memory of a process and all below it."""
        pids = [first, *map(shown_by, descendants(first))]
        files = Files(pids)
        in_memory = sum(files.held.values()) + tmpfs_bytes(pids, self.writable)
        kernel = files.kernel_bytes + self._sockets(first) + self._hidden(files.hidden)
        rough = in_memory + kernel
        for pid in pids:
            with contextlib.suppress(OSError, KeyError, ValueError):
                resident, tables = shown_bytes(pid)
                rough += resident
                kernel += tables
                rough += tables
        if rough <= limit:
            return rough
        own, shared = divided_bytes(pids)
        # A file in memory may be mapped as well: counted once, for certain.
        return own + max(shared, in_memory) + kernel

    def _sockets(self, first: int) -> int:
        queued = 0
        if sockets_of(first, "TCP") > FREE_TCP:
            for family in ("tcp", "tcp6"):
                with contextlib.suppress(OSError, IndexError, ValueError):
                    rows = [
                        line.split()[4].split(":") for line in read_file(f"/proc/{first}/net/{family}").splitlines()[1:]
                    ]
                    queued += 2 * sum(int(sent, 16) + int(received, 16) for sent, received in rows)
        return queued + max(0, sockets_of(first, "sockets") - FREE_SOCKETS) * self.socket_bytes

    def _hidden(self, count: int) -> int:
        """Returns the most that descriptors hold that were sent and not taken. More may hide behind them, so they may not stay."""
        self.hidden_looks = self.hidden_looks + 1 if count else 0
        return count * self.file_bytes * (1 if self.hidden_looks < 4 else 1024)


class Files:
    """The open files of processes. `held` are files in memory: inode and bytes."""

    def __init__(self, pids: list[int]) -> None:
        self.held: dict[int, int] = {}
        self.hidden = 0  # descriptors on their way through a socket, and processes that keep theirs to themselves
        self.kernel_bytes = 0
        pipes = set[str]()
        for pid in pids:
            with contextlib.suppress(OSError):
                self._mapped(pid)
            try:
                names = os.listdir(f"/proc/{pid}/fd")
            except OSError as error:
                self.hidden += isinstance(error, PermissionError) and is_alive(pid)
                continue
            self.kernel_bytes += FILE_BYTES * len(names)
            for name in names:
                with contextlib.suppress(OSError):
                    self._open(pid, name, len(names), pipes)
        self.kernel_bytes += (
            min(len(pipes), LARGE_PIPES) * PIPE_BYTES + max(0, len(pipes) - LARGE_PIPES) * SMALL_PIPE_BYTES
        )

    def _open(self, pid: int, name: str, count: int, pipes: set[str]) -> None:
        target = os.readlink(f"/proc/{pid}/fd/{name}")
        if target.startswith("/memfd:"):
            status = os.stat(f"/proc/{pid}/fd/{name}")
            self.held[status.st_ino] = max(self.held.get(status.st_ino, 0), status.st_blocks * 512)
        elif target.startswith("pipe:"):
            pipes.add(target)
        elif target == "anon_inode:[eventpoll]":
            self.kernel_bytes += count * WATCH_BYTES
        elif target.startswith("socket:"):
            text = read_file(f"/proc/{pid}/fdinfo/{name}").partition("scm_fds:")[2].split()
            self.hidden += int(text[0]) if text else 0

    def _mapped(self, pid: int) -> None:
        """Counts a process's mappings, and what it shares without a name: at its size, because pages stay that no process shows."""
        text = read_file(f"/proc/{pid}/maps")
        self.kernel_bytes += text.count("\n") * MAPPING_BYTES
        if not any(name in text for name in IN_MEMORY):
            return
        for line in text.splitlines():
            fields = line.split(None, 5)
            if len(fields) == 6 and fields[5].startswith(IN_MEMORY):
                start, end = (int(part, 16) for part in fields[0].split("-"))
                inode = int(fields[4])
                self.held[inode] = max(self.held.get(inode, 0), int(fields[2], 16) + end - start)


def shown_bytes(pid: int) -> tuple[int, int]:
    """Returns the resident memory of a process, and what the kernel needs for its tables and threads."""
    lines = read_file(f"/proc/{pid}/status").splitlines()
    told = dict(line.split(":", 1) for line in lines if line.startswith(("VmRSS", "VmPTE", "Threads")))
    kilobytes = {name: int(value.split()[0]) for name, value in told.items()}
    return kilobytes["VmRSS"] * KIB, kilobytes["VmPTE"] * KIB + kilobytes["Threads"] * TASK_BYTES


def is_alive(pid: int) -> bool:
    """Returns whether a process has memory: one that ends has none, and an ordinary user may not look at its files."""
    with contextlib.suppress(OSError):
        return "\nVmRSS:" in read_file(f"/proc/{pid}/status")
    return False


def divided_bytes(pids: list[int]) -> tuple[int, int]:
    """Returns the anonymous and the shared memory of processes, shared pages divided."""
    own = shared = 0
    for pid in pids:
        try:
            lines = [line.split() for line in read_file(f"/proc/{pid}/smaps_rollup").splitlines()[1:]]
        except OSError as error:
            # The kernel shows an ordinary user no more of a program whose file that user may not read.
            with contextlib.suppress(OSError, KeyError, ValueError):
                own += shown_bytes(pid)[0] if isinstance(error, PermissionError) else 0
            continue
        kilobytes = {line[0]: int(line[1]) for line in lines}
        own += kilobytes.get("Pss_Anon:", 0) * KIB
        shared += kilobytes.get("Pss_Shmem:", 0) * KIB
    return own, shared


def tmpfs_bytes(pids: list[int], writable: list[str]) -> int:
    """Returns what lies in the file systems that an attempt may write: contents, and names without any."""
    for pid in pids:
        with contextlib.suppress(OSError):
            places = [os.statvfs(f"/proc/{pid}/root{path}") for path in writable]
            return sum(
                (place.f_blocks - place.f_bfree) * place.f_frsize + (place.f_files - place.f_ffree) * INODE_BYTES
                for place in places
            )
    return 0


def sockets_of(pid: int, kind: str) -> int:
    """Returns how many sockets are in the network of a process: of a protocol, or `sockets` for all, wherever they are held."""
    files = ("sockstat",) if kind == "sockets" else ("sockstat", "sockstat6")
    found = 0
    for file in files:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in read_file(f"/proc/{pid}/net/{file}").splitlines():
                if line.split(":")[0] in {kind, f"{kind}6"}:
                    found += int(line.split()[2])
    return found


def count_locks(first: int) -> int:
    """Returns how many locks of files an attempt holds: the kernel bounds them for no user, and no group counts them."""
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii", errors="replace") as table:
        lines = table.read(MAX_TABLE_BYTES).splitlines()
        if len(lines) > MAX_LOCKS:
            inside = {first, *descendants(first)}
            return sum(_owner(line) in inside for line in lines)
    return 0


def _owner(line: str) -> int:
    """Returns the process of a line such as `1: POSIX  ADVISORY  WRITE 24563 fe:00:10478283 0 EOF`."""
    fields = line.replace("->", "").split()
    return int(fields[4]) if len(fields) > 4 and fields[4].lstrip("-").isdigit() else 0
