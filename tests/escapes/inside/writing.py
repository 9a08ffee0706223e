"""Changing what is shared: the snapshot, its history, the system, the kernel's settings."""

import fcntl
import mmap
import os
import struct
import subprocess

from .table import ATTEMPTS, attempt, held, opened, write


def locks_out(kind: int) -> bool:
    """Returns whether a lock of a file of the snapshot keeps out who opened it apart."""
    mine, others = opened(), opened()
    fcntl.flock(mine, kind | fcntl.LOCK_NB)
    try:
        fcntl.flock(others, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


for place in (
    "/workspace",
    "/history.git",
    "/opt/agent",
    "/usr",
    "/usr/local/bin",
    "/etc",
    "/bin",
    "/",
    "/dev",
    "/run",
    "/root",
    "/proc/sys/kernel",
):
    ATTEMPTS[f"create a file in {place}"] = lambda _, place=place: write(f"{place}/escaped", os.O_CREAT | os.O_EXCL)
for target in (
    "/workspace/hello.txt",
    "/history.git/HEAD",
    "/etc/passwd",
    "/usr/bin/env",
    "/run/prompt",
    "/opt/agent/attempts.py",
):
    ATTEMPTS[f"open {target} to write"] = lambda _, target=target: write(target)
ATTEMPTS |= {
    "truncate a file": lambda _: os.truncate("/workspace/hello.txt", 0),
    "remove a file": lambda _: os.unlink("/workspace/hello.txt"),
    "rename a file": lambda _: os.rename("/workspace/hello.txt", "/workspace/other.txt"),
    "rename a file out": lambda _: os.rename("/workspace/hello.txt", "/tmp/hello.txt"),
    "change a mode": lambda _: os.chmod("/workspace/hello.txt", 0o777),
    "change a mode by descriptor": lambda _: os.fchmod(opened(), 0o777),
    "change an owner": lambda _: os.chown("/workspace/hello.txt", os.getuid(), os.getgid()),
    "change times": lambda _: os.utime("/workspace/hello.txt", (1, 1)),
    "change times by descriptor": lambda _: os.utime(opened(), (1, 1)),
    "set an attribute": lambda _: os.setxattr("/workspace/hello.txt", "user.escaped", b"1"),
    "hard-link a file out": lambda _: os.link("/workspace/hello.txt", "/tmp/linked"),
    "make a link in the workspace": lambda _: os.symlink("/etc", "/workspace/link"),
    "make a folder in the workspace": lambda _: os.mkdir("/workspace/folder"),
    "make a FIFO in the workspace": lambda _: os.mkfifo("/workspace/fifo"),
    "write through a descriptor's path": lambda _: write(f"/proc/self/fd/{opened()}", 0),
    "write through the root of a process": lambda _: write("/proc/self/root/workspace/hello.txt", 0),
    "write through the working directory": lambda _: write("/proc/self/cwd/hello.txt", 0),
    "write through the host's first process": lambda bait: write(f"/proc/1/root{bait['file']}", 0),
    "write through a link that leads out": lambda _: write("/workspace/link-out", 0),
    "make an unnamed file": lambda _: os.open("/workspace", os.O_TMPFILE | os.O_WRONLY, 0o600),
    "lock out the host with a lease": lambda _: fcntl.fcntl(opened(), fcntl.F_SETLEASE, fcntl.F_RDLCK),
    "lock out others": lambda _: held(not locks_out(fcntl.LOCK_EX), "others would wait"),
    "lock out others with a shared lock": lambda _: held(not locks_out(fcntl.LOCK_SH), "others would wait"),
    "reserve space": lambda _: os.posix_fallocate(os.open("/workspace/hello.txt", os.O_RDWR), 0, 4096),
    "change a file's flags": lambda _: fcntl.ioctl(opened(), 0x40086602, struct.pack("l", 0x10)),
    "commit to the history": lambda _: held(
        subprocess.run(["git", "update-ref", "refs/heads/x", "HEAD"], check=False).returncode != 0
    ),
    "write the core pattern": lambda _: write("/proc/sys/kernel/core_pattern", 0),
    "drop the host's caches": lambda _: write("/proc/sys/vm/drop_caches", 0),
    "press a magic key": lambda _: write("/proc/sysrq-trigger", 0),
    "hide from the OOM killer": lambda _: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000"),
}


@attempt("write through a shared mapping")
def _(_: object) -> object:
    with mmap.mmap(
        os.open("/workspace/hello.txt", os.O_RDONLY), 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE
    ) as view:
        view[0] = 88
    return "mapped"
