"""Starts a program under one rule that a container has by default, for machines without a container engine.

`python -m tests.kit.container_imitation seccomp|apparmor|proc PROGRAM …`.
"""

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path

USER = 10001
NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000
BIND, PRIVATE, RECURSIVE = 0x1000, 0x40000, 0x4000
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
# Numbers of clone, unshare, mount: Docker's profile refuses the first two with these flags, AppArmor's the third.
CALLS = {"x86_64": (56, 272, 165), "aarch64": (220, 97, 40)}
NAMESPACES = 0x7E020000
LOAD, IF_EQUAL, IF_ANY_BIT, RETURN, ALLOW, REFUSE = 0x20, 0x15, 0x45, 0x06, 0x7FFF0000, 0x00050000

libc = ctypes.CDLL(None, use_errno=True)


def imitate(rule: str) -> None:
    """Puts this process, and all that it starts, under a rule."""
    _become_user()
    if rule == "proc":
        _mask_proc()
    _check(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    clone, unshare, mount = CALLS[os.uname().machine]
    if rule == "seccomp":
        _refuse({clone: NAMESPACES, unshare: NAMESPACES}, errno.EPERM)
    if rule == "apparmor":
        _refuse({mount: 0xFFFFFFFF}, errno.EACCES)


def _become_user() -> None:
    """Becomes the image's user without rights, by a namespace in which the caller is called so."""
    user, group = os.getuid(), os.getgid()
    _check(libc.unshare(NEW_USER | NEW_MOUNTS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{USER} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{USER} {group} 1")


def _mask_proc() -> None:
    """Lays /dev/null over files of /proc, as engines do: the kernel then refuses a fresh /proc."""
    _check(libc.mount(b"none", b"/", None, PRIVATE | RECURSIVE, None))
    for path in (b"/proc/keys", b"/proc/timer_list", b"/proc/kcore"):
        if Path(os.fsdecode(path)).exists():
            _check(libc.mount(b"/dev/null", path, None, BIND, None))


def _refuse(calls: dict[int, int], error: int) -> None:
    """Makes calls fail whose first argument has one of these bits; `mount`, whose first is an address, always."""
    steps = [(LOAD, 0, 0, 0)]
    for number, bits in calls.items():
        judged = [(LOAD, 0, 0, 16), (IF_ANY_BIT, 0, 1, bits)] if bits != 0xFFFFFFFF else []
        judged.append((RETURN, 0, 0, REFUSE | error))
        if bits != 0xFFFFFFFF:
            judged.append((RETURN, 0, 0, ALLOW))
        steps += [(IF_EQUAL, 0, len(judged), number), *judged]
    steps.append((RETURN, 0, 0, ALLOW))
    code = b"".join(struct.pack("<HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(code)
    program = struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(kept))
    _check(libc.prctl(SET_SECCOMP, FILTER, ctypes.c_char_p(program), 0, 0))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    imitate(sys.argv[1])
    os.execvpe(sys.argv[2], sys.argv[2:], os.environ | {"container": "oci"})  # noqa: S606
