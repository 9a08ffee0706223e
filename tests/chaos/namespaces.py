"""Namespaces of networks and mounts, and what stands in them, by system calls alone: no program, no name, nothing to clean up.

A namespace lives as long as a process or a descriptor is in it, and a tunnel as long as its descriptor: whatever ends the process
that holds them ends them. Also starts a program inside of one: `python -I -S namespaces.py PID[:DESCRIPTOR] PROGRAM …`, in the
network namespace of a process, or in one that it holds by a descriptor; with `PID:mnt`, among the mounts of a process.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TUN_DEVICE = "/dev/net/tun"
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWNS = 0x10000000, 0x40000000, 0x20000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_IFF_UP = 0x1
_MASK = "255.255.255.252"
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace, by a descriptor of it."""

    descriptor: int

    @classmethod
    def make(cls) -> Self:
        """A new one, in which this thread is from then on."""
        _unshare(_CLONE_NEWNET)
        return cls.here()

    @classmethod
    def here(cls) -> Self:
        """The one that this thread is in."""
        return cls(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that are made meanwhile belong to it. There must be no await within."""
        before = Namespace.here()
        _set_namespace(self.descriptor, _CLONE_NEWNET)
        try:
            yield
        finally:
            _set_namespace(before.descriptor, _CLONE_NEWNET)
            os.close(before.descriptor)


def become_owner() -> None:
    """Makes namespaces possible for those who are not root: in a user namespace of their own, as the same user."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        return
    _unshare(_CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)


def enter_new_mounts() -> None:
    """Gives this process mounts of its own."""
    _unshare(_CLONE_NEWNS)


def open_tunnel(name: str, address: str, mask: str = _MASK) -> int:
    """An interface in this namespace whose packets are read from and written to the descriptor; gives that."""
    descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH14x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    set_address(name, address, mask)
    set_link(name, is_up=True)
    return descriptor


def set_address(name: str, address: str, mask: str) -> None:
    """Gives an interface of this namespace its only address; one that it had before is gone."""
    for request, text in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, mask)):
        _control(request, struct.pack("16sHH4s8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(text)))


def set_link(name: str, *, is_up: bool) -> None:
    """Does what `ip link set NAME up` or `down` does, in this namespace."""
    asked = struct.pack("16sH14x", name.encode(), 0)
    (flags,) = struct.unpack_from("16xH", _control(_SIOCGIFFLAGS, asked))
    flags = flags | _IFF_UP if is_up else flags & ~_IFF_UP
    _control(_SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags))


def inhabitants(namespace: Namespace | None = None) -> list[int]:
    """Every other process in a network namespace, by default in the one of this process."""
    inode = os.fstat(namespace.descriptor).st_ino if namespace else Path("/proc/self/ns/net").stat().st_ino
    others = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in others if pid != os.getpid() and _is_in(pid, inode)]


def _is_in(pid: int, namespace: int) -> bool:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino == namespace
    except OSError:
        return False


def _control(request: int, asked: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, request, asked)


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")


def _set_namespace(descriptor: int, kind: int) -> None:
    if _libc.setns(descriptor, kind) != 0:
        raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


def _run_inside(place: str, program: list[str]) -> None:
    """Becomes the program, in the namespaces of a process."""
    pid, _, held = place.partition(":")
    kind = ("ns/mnt", _CLONE_NEWNS) if held == "mnt" else (f"fd/{held}" if held else "ns/net", _CLONE_NEWNET)
    kinds = [kind] if os.geteuid() == 0 else [("ns/user", _CLONE_NEWUSER), kind]
    found = [(os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in kinds]
    for descriptor, kind in found:
        _set_namespace(descriptor, kind)
    os.execvp(program[0], program)  # noqa: S606 - the very program that was asked for


if __name__ == "__main__":
    _run_inside(sys.argv[1], sys.argv[2:])
