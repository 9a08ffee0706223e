"""Taking more than an attempt may."""

import ctypes
import fcntl
import os
import signal
import socket
import stat
import struct
import time

from .table import ATTEMPTS, SECONDS, X86, attempt, call, exit_child, held, syscall

MIB = 1024 * 1024


@attempt("fork without end")
def _(_: object) -> object:
    children = []
    try:
        for _n in range(2000):
            pid = os.fork()
            if pid == 0:
                time.sleep(SECONDS)
                os._exit(0)
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return len(children)


def fill(path: str) -> object:
    """More than any limit of the sandbox, in pieces, so that no file is too large by itself."""
    try:
        for number in range(64):
            with open(f"{path}/fill{number}", "wb") as file:
                file.write(bytes(8 * MIB))
    finally:
        for name in os.listdir(path):
            if name.startswith("fill"):
                os.unlink(f"{path}/{name}")
    return path


@attempt("write an endless file")
def _(_: object) -> object:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("/tmp/endless", "wb") as file:
        file.writelines(bytes(MIB) for _n in range(128))
    return "128 MiB"


@attempt("take memory without end")
def _(_: object) -> object:
    try:
        return len(bytearray(6 * 1024 * MIB))
    except MemoryError:
        return held(True)


ATTEMPTS |= {
    "fill /tmp": lambda _: fill("/tmp"),
    "fill the home": lambda _: fill("/home/agent"),
    "fill /dev/shm": lambda _: fill("/dev/shm"),
    "open descriptors without end": lambda _: [os.open("/dev/null", os.O_RDONLY) for _n in range(5000)],
    "lock memory": lambda _: call("mlock", ctypes.create_string_buffer(MIB), MIB),
    "open a message queue": lambda _: call(
        "syscall", 240 if X86 else 180, b"escaped", os.O_CREAT | os.O_RDWR, 0o600, None
    ),
}


def enlarge_buffer(option: int) -> object:
    """The buffers of sockets are memory that no process shows."""
    with socket.socketpair()[0] as end:
        before = end.getsockopt(socket.SOL_SOCKET, option)
        end.setsockopt(socket.SOL_SOCKET, option, 4 * MIB)
        return held(end.getsockopt(socket.SOL_SOCKET, option) == before, "the buffer is larger")


def own_file() -> str:
    with open("/tmp/attributes", "wb"):
        return "/tmp/attributes"


IPC_PRIVATE, MODE = 0, 0o600
ATTEMPTS |= {
    "share memory of System V": lambda _: syscall(29, 194, IPC_PRIVATE, 64 * MIB, 0o1600),
    "open a queue of System V": lambda _: syscall(68, 186, IPC_PRIVATE, 0o1600),
    "open semaphores of System V": lambda _: syscall(64, 190, IPC_PRIVATE, 32000, 0o1600),
    "enlarge a pipe": lambda _: fcntl.fcntl(os.pipe()[1], 1031, MIB),
    "enlarge a socket's send buffer": lambda _: enlarge_buffer(socket.SO_SNDBUF),
    "enlarge a socket's receive buffer": lambda _: enlarge_buffer(socket.SO_RCVBUF),
    "attach a program to a socket": lambda _: socket.socketpair()[0].setsockopt(
        socket.SOL_SOCKET, 26, struct.pack("HP", 1, ctypes.addressof(RETURN))
    ),
    "give pages to a pipe": lambda _: syscall(
        278, 75, os.pipe()[1], struct.pack("PN", ctypes.addressof(RETURN), 8), 1, 0
    ),
    "lock a file for no process": lambda _: fcntl.fcntl(
        os.open("/tmp/lock", os.O_RDWR | os.O_CREAT), 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    ),
    "watch what the host starts": lambda _: syscall(294, 26, 0),
    "run on chosen processors": lambda _: os.sched_setaffinity(0, {0}),
    "run as another kind of process": lambda _: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
    "read and write before others": lambda _: syscall(251, 30, 1, 0, 2 << 13),
    "give an attribute to a file in memory": lambda _: os.setxattr(
        f"/proc/self/fd/{os.memfd_create('a')}", "user.escaped", bytes(1024)
    ),
    "give an attribute to a file of its own": lambda _: os.setxattr(own_file(), "user.escaped", bytes(1024)),
    "take a table of futexes": lambda _: call("prctl", 78, 1, ctypes.c_ulong(1024), 0, 0),
    "add a filter of its own": lambda _: call("prctl", 22, 2, LETS_THROUGH, 0, 0),
    "add a filter by the newer call": lambda _: syscall(317, 277, 1, 0, LETS_THROUGH),
    "make rules of Landlock": lambda _: syscall(444, 444, struct.pack("QQ", 1, 1), 16, 0),
    "have files that its process has not": lambda _: syscall(436, 436, 1000, 1000, 2),
    "share its files with a process": lambda _: exit_child(syscall(56, 220, 0x400 | signal.SIGCHLD, 0, 0, 0, 0)),
    "be woken by the machine's pressure": lambda _: held(stat.S_ISCHR(os.stat("/proc/pressure/memory").st_mode)),
    "keep a core to itself": lambda _: call("prctl", 62, 1, 0, 0, 0),
}

RETURN = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFF), 8)
LETS_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000), 8)
LETS_THROUGH = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(LETS_ALL)), 16)
