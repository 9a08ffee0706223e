"""Tries, from inside the sandbox, what an agent must not be able to do, and reports each attempt.

Run as `python -I -S -c ITS_TEXT` with the bait on stdin, as JSON: {"file", "folder", "port", "abstract", "pid"}.
Prints one line of JSON per attempt: {"name", "passed", "detail"}. An attempt passes when the kernel refused it.
Success would do no harm: what is opened is not written, and what is mounted is empty.
"""

import ctypes
import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
PTRACE_ATTACH = 16
# By number, because the C library has no name for them; the same on x86_64 and aarch64 but for the first.
X86 = os.uname().machine == "x86_64"
SYSCALLS = {"keyctl": 250 if X86 else 219, "io_uring_setup": 425, "shmget": 29 if X86 else 194}
SYSCALLS |= {"mq_open": 240 if X86 else 180, "inotify_init1": 294 if X86 else 26, "vmsplice": 278 if X86 else 75}
SECONDS = 2.0

libc = ctypes.CDLL(None, use_errno=True)


def create(path: str) -> str:
    """Creates a new file."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return f"{path} was created"


def open_to_write(path: str) -> str:
    """Opens an existing file for writing."""
    os.close(os.open(path, os.O_WRONLY))
    return f"{path} could be written"


def read(path: str) -> str:
    """Reads a file's first byte, or lists a folder."""
    if os.path.isdir(path):
        return f"{path} could be listed: {len(os.listdir(path))} names"
    with open(path, "rb") as file:
        file.read(1)
    return f"{path} could be read"


def connect(family: int, kind: int, address: Any) -> str:
    """Connects, or sends a datagram that a listener may have received."""
    with socket.socket(family, kind) as link:
        link.settimeout(SECONDS)
        link.connect(address)
        if kind == socket.SOCK_DGRAM:
            link.send(b"escaped")
            link.recv(1)  # no process listens in this namespace, and its kernel says so
    return f"{address} could be reached"


def call(name: str, *arguments: Any) -> str:
    """Makes a call of the C library that must fail."""
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)
    return f"{name} succeeded"


def pin() -> str:
    """Chooses the processors on which this process runs."""
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    return "the processors could be chosen"


def make_socket(family: int, kind: int) -> str:
    """Makes a socket of a family that namespaces do not divide."""
    socket.socket(family, kind).close()
    return f"a socket of family {family} could be made"


def make_pair() -> str:
    """Makes a pair of sockets, each of which could send to any address of this machine's unix sockets."""
    for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM):
        end.close()
    return "a pair of datagram sockets could be made"


def change_mode(path: str) -> str:
    """Changes the mode of an existing file."""
    os.chmod(path, 0o777)
    return f"the mode of {path} could be changed"


def signal_host(pid: int) -> str:
    """Sends a harmless signal to a process of the host. Another process may have that number here."""
    if pid > len(visible_processes()) + 100:
        os.kill(pid, 0)
        return f"process {pid} of the host could be signalled"
    raise ProcessLookupError(errno.ESRCH, "not visible")


def visible_processes() -> list[int]:
    """Returns the processes that are visible from here."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def demand(*, holds: bool, otherwise: str) -> str:
    """Raises PermissionError where a condition holds, so that it counts like a refusal."""
    if holds:
        raise PermissionError(errno.EPERM, "as it must be")
    return otherwise


def status(name: str) -> str:
    """Returns a line of this process's status."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(line.split(":", 1)[1].strip() for line in file if line.startswith(f"{name}:"))


def no_capabilities() -> str:
    """Checks that every set of capabilities is empty."""
    held = {name: status(name) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    return demand(holds=not any(int(value, 16) for value in held.values()), otherwise=str(held))


def attempts(bait: dict[str, Any]) -> dict[str, Callable[[], str]]:
    """Returns every attempt by name."""
    workspace = sorted(os.listdir("/workspace"))
    some_file = f"/workspace/{workspace[0]}" if workspace else "/workspace"
    tries: dict[str, Callable[[], str]] = {}
    for folder in ("/workspace", "/", "/usr", "/etc", "/opt/agent", "/dev", "/run", "/proc", "/var", "/home"):
        tries[f"write {folder}"] = lambda folder=folder: create(f"{folder}/escaped")  # type: ignore[misc]
    for path in (
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/dev/mem",
        "/dev/kmsg",
    ):
        tries[f"open {path} for writing"] = lambda path=path: open_to_write(path)  # type: ignore[misc]
    for path in (
        bait["file"],
        "/etc/shadow",
        "/etc/hostname",
        "/sys",
        "/proc/kcore",
        "/var/log",
    ):
        tries[f"read {'a file of the host' if path == bait['file'] else path}"] = lambda path=path: read(path)  # type: ignore[misc]
    port = bait["port"]
    return tries | {
        "list a folder of the host": lambda: read(bait["folder"]),
        "change a mode in /workspace": lambda: change_mode(some_file),
        "connect to the host's loopback": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port)),
        "send a datagram to the host": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port)),
        "connect to an address outside": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)),
        "connect to an abstract socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{bait['abstract']}"),
        "see other processes": lambda: demand(holds=len(visible_processes()) <= 2, otherwise=str(visible_processes())),
        "signal a process of the host": lambda: signal_host(bait["pid"]),
        "trace the sandbox's first process": lambda: call("ptrace", PTRACE_ATTACH, 1, 0, 0),
        "read another process's memory": lambda: call("process_vm_readv", 1, None, 0, None, 0, 0),
        "use the kernel's keys": lambda: call("syscall", SYSCALLS["keyctl"], 0, -3, 1, 0, 0),
        "set up an io_uring": lambda: call("syscall", SYSCALLS["io_uring_setup"], 1, bytes(120)),
        "share memory of System V": lambda: call("syscall", SYSCALLS["shmget"], 0, 4096, 0o1600),
        "open a message queue": lambda: call("syscall", SYSCALLS["mq_open"], b"escaped", os.O_RDWR | os.O_CREAT, 0o600, None),
        "give pages to a pipe": lambda: call("syscall", SYSCALLS["vmsplice"], os.pipe()[1], None, 0, 0),
        "watch what the host starts": lambda: call("syscall", SYSCALLS["inotify_init1"], 0),
        "run on chosen processors": pin,
        "make a pair of datagram sockets": make_pair,
        "make a unix socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "/workspace/door"),
        "reach the hypervisor": lambda: make_socket(40, socket.SOCK_STREAM),
        "use the kernel's cryptography": lambda: make_socket(38, 5),
        "be user 0": lambda: demand(holds=os.getuid() != 0 != os.getgid(), otherwise="user or group is 0"),
        "become user 0": lambda: call("setuid", 0),
        "hold capabilities": no_capabilities,
        "gain privileges by execve": lambda: demand(holds=status("NoNewPrivs") == "1", otherwise="no_new_privs is off"),
        "make a user namespace": lambda: call("unshare", CLONE_NEWUSER),
        "make a mount namespace": lambda: call("unshare", CLONE_NEWNS),
        "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "unmount /workspace": lambda: call("umount2", b"/workspace", 2),
        "change the root": lambda: call("chroot", b"/tmp"),
        "make a device": lambda: call("mknod", b"/tmp/device", 0o020600, os.makedev(1, 1)),
        "set the host's name": lambda: call("sethostname", b"escaped", 7),
    }  # fmt: skip


def main() -> None:
    """Makes every attempt and reports it, after a check that the sandbox is of any use."""
    with open("/tmp/scratch", "w", encoding="ascii") as file:
        file.write("a sandbox in which nothing works would pass every attempt")
    os.listdir("/workspace")
    for name, attempt in attempts(json.load(sys.stdin)).items():
        try:
            passed, detail = False, attempt()
        except OSError as error:
            passed, detail = True, error.strerror or type(error).__name__
        print(json.dumps({"name": name, "passed": passed, "detail": detail}), flush=True)


if __name__ == "__main__":
    main()
