"""Taking more than an attempt may."""

import ctypes
import os
import signal
import time

from .table import ATTEMPTS, SECONDS, X86, attempt, call, held

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
