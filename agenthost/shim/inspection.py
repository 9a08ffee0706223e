"""Inspects a sandbox from outside: its processes, whether the confinement is in force, how the agent ended.

It looks and judges; it changes nothing.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator

from agenthost.shim.door import listeners_of
from agenthost.shim.fingerprint import look_over
from agenthost.shim.kernel import Refused, SnapshotChanged, read_file

LOOPBACK_IN_HEX = "0100007F"


def parent_of(pid: int) -> int:
    """Returns the parent's process id; fails with OSError when the process is gone."""
    return int(read_file(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])


def descendants(ancestor: int) -> list[int]:
    """Returns every process below another one. Inside a pid namespace orphans go to its first process, so none escapes."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(name)] = parent_of(int(name))
    found, new = set[int](), {ancestor}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new}
        found |= new
    return sorted(found)


def shown_by(pid: int) -> int:
    """Returns the thread that shows what a process has: another one where its first thread ended before the others."""
    with contextlib.suppress(OSError):
        if read_file(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] == "Z":
            for thread in map(int, os.listdir(f"/proc/{pid}/task")):
                with contextlib.suppress(OSError):
                    if thread != pid and read_file(f"/proc/{thread}/stat").rpartition(")")[2].split()[0] not in "ZX":
                        return thread
    return pid


def inspect(pid: int, writable: list[str], model: str = "", port: int = 0) -> Iterator[tuple[str, bool]]:
    """Yields what the kernel says of a process: each thing in words, and whether it is as it must be."""
    status = dict(line.split(":\t", 1) for line in read_file(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    users = set(status["Uid"].split()) | set(status["Gid"].split())
    yield f"user and group: {', '.join(sorted(users))}, never 0", "0" not in users
    yield "capabilities: none", not any(int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    yield "no new privileges", status["NoNewPrivs"] == "1"
    yield "system calls: filtered", status["Seccomp"] == "2"
    spaces = ("user", "pid", "net", "ipc", "uts", "mnt", "cgroup")
    foreign = [
        space for space in spaces if os.readlink(f"/proc/{pid}/ns/{space}") == os.readlink(f"/proc/self/ns/{space}")
    ]
    yield f"namespaces of its own: {', '.join(spaces)}", not foreign
    routes, listeners = len(read_file(f"/proc/{pid}/net/route").splitlines()) - 1, listeners_of(pid)
    yield (
        f"network: model {model}, through 127.0.0.1:{port} alone" if model else "network: none",
        routes <= 0 and listeners == ([(LOOPBACK_IN_HEX, port)] if model else []),
    )
    mounts = [line.split()[4:6] for line in read_file(f"/proc/{pid}/mountinfo").splitlines()]
    open_to_write = {where for where, options in mounts if "rw" in options.split(",")}
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "pts")}
    yield f"writable: only {', '.join(writable)}", not open_to_write - devices - {"/proc"} - set(writable)
    yield (
        "read-only: /workspace",
        ["/workspace"] in [[where] for where, options in mounts if "ro" in options.split(",")],
    )
    limit = next(
        line for line in read_file(f"/proc/{pid}/limits").splitlines() if line.startswith("Max processes")
    ).split()[3]
    yield f"processes: at most {limit}", limit != "unlimited"


def pinned(pid: int, pins: dict[str, list[int]]) -> Iterator[tuple[str, bool]]:
    """Yields whether what lies at each place of the sandbox is the folder that was proven, by its device and inode."""
    for place, identity in pins.items():
        seen = os.stat(f"/proc/{pid}/root{place}")
        yield f"{place}: the folder that was proven", [seen.st_dev, seen.st_ino] == identity


def exact_status(pidfd: int) -> int | None:
    """Returns the wait status of a process that is not our child; None before kernel 6.15."""
    answer = bytearray(struct.pack("<QQ11Ii", 8, *[0] * 13))  # struct pidfd_info, asking for PIDFD_INFO_EXIT
    try:
        fcntl.ioctl(pidfd, 0xC040FF0B, answer)
    except OSError:
        return None
    fields = struct.unpack("<QQ11Ii", answer)
    return fields[-1] if fields[0] & 8 else None


def refuse_changes(tree: str, fingerprint: str) -> None:
    """Refuses a tree that changed since it was checked, or that holds a FIFO or a socket, which lead out of a mount."""
    seen, special = look_over(tree)
    if special:
        raise Refused(
            f"the snapshot holds {special.decode(errors='replace')!r}, which is neither a file, a directory nor a link"
        )
    if fingerprint not in {"", seen}:
        raise SnapshotChanged("its fingerprint changed during the set-up")
