"""The list of attempts, and what they share. An attempt escapes when it returns; it is blocked when the kernel refuses."""

import ctypes
import os
from collections.abc import Callable
from typing import Any

ATTEMPTS: dict[str, Callable[[dict[str, Any]], object]] = {}
SECONDS = 10
X86 = os.uname().machine == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)


def attempt(name: str) -> Callable[[Callable[[dict[str, Any]], object]], Callable[[dict[str, Any]], object]]:
    def enter(function: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
        ATTEMPTS[name] = function
        return function

    return enter


def call(name: str, *arguments: Any) -> int:
    result: int = getattr(libc, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def syscall(x86: int, arm: int, *arguments: Any) -> int:
    return call("syscall", x86 if X86 else arm, *arguments)


def exit_child(pid: int) -> object:
    if pid == 0:
        os._exit(0)
    return pid


def held(condition: bool, detail: object = "") -> object:
    """Escapes where a condition does not hold that is no error of the kernel's."""
    if condition:
        raise PermissionError("as it must be")
    return detail


def opened() -> int:
    """A file of the snapshot, open to read."""
    return os.open("/workspace/hello.txt", os.O_RDONLY)


def write(path: str, flags: int = os.O_CREAT) -> object:
    fd = os.open(path, os.O_WRONLY | flags, 0o666)
    os.close(fd)
    return path
