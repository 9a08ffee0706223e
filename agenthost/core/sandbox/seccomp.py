"""Makes the kernel's filter of an agent's system calls (classic BPF, little endian). Pure: bytes out.

Written out here rather than made by libseccomp: that compares whole 64-bit arguments where the kernel looks at 32 (so that
`TIOCSTI | 1 << 32` slips through), does not know new calls, and takes 60 ms. A test runs every number through an interpreter.

The program looks at the architecture (another one means death: its numbers are different), finds the call's number in a
binary tree of ranges, and for a few calls looks at arguments. Every path ends in a verdict; there are no loops in BPF.
"""

import errno
import struct
from collections.abc import Mapping
from typing import NamedTuple

from agenthost.core.sandbox.syscall_numbers import ALLOWED, CHECKED, REFUSED

ARCHITECTURES: Mapping[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 1, "aarch64": 2}
_X32_BIT = 0x40000000  # the same kernel with another numbering

_LOAD, _AND, _JUMP, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data

ALLOW = 0x7FFF0000
KILL = 0x80000000
_ERRNO = 0x00050000
MAX_INSTRUCTIONS = 4096  # the kernel's own limit

# clone: any new namespace. clone3 hides its flags in memory; C libraries fall back to clone.
_NEW_NAMESPACES = 0x7E020000
_CLONE_FILES, _CLONE_THREAD = 0x400, 0x10000
# ioctl: typing into a terminal, and taking one over.
_TIOCSCTTY, _TIOCSTI, _TIOCLINUX, _TIOCCONS = 0x540E, 0x5412, 0x541C, 0x541D
_PR_SET_SECCOMP, _PR_SET_MM, _PR_SCHED_CORE, _PR_FUTEX_HASH = 22, 35, 62, 78
_SECCOMP_SET_MODE_FILTER = 1
_CLOSE_RANGE_UNSHARE = 2
_MAP_HUGETLB, _MFD_HUGETLB = 0x40000, 4
_F_SETLEASE, _F_NOTIFY, _F_SETPIPE_SZ = 1024, 1026, 1031
_F_OFD_SETLK, _F_OFD_SETLKW = 37, 38
_SOL_SOCKET = 1
_SO_SNDBUF, _SO_RCVBUF, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 7, 8, 32, 33
_SO_ATTACH_FILTER, _SO_ATTACH_BPF, _SO_ATTACH_REUSEPORT_CBPF, _SO_ATTACH_REUSEPORT_EBPF = 26, 50, 51, 52
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_STREAM, _DATAGRAM, _SEQPACKET, _KIND_MASK = 1, 2, 5, 0xF
_TCP, _UDP = 6, 17


class Instruction(NamedTuple):
    """A step of the program. The jumps count from the next one."""

    code: int
    if_true: int
    if_false: int
    value: int


Block = tuple[Instruction, ...]


def program(machine: str) -> bytes:
    """Returns the filter for a machine of `ARCHITECTURES`, as the kernel takes it."""
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions(machine))


def instructions(machine: str) -> Block:
    """Returns the same filter in readable form."""
    verdicts = _verdicts(_COLUMN[machine])
    head = (
        Instruction(_LOAD, 0, 0, _ARCHITECTURE),
        Instruction(_IF_EQUAL, 1, 0, ARCHITECTURES[machine]),
        _verdict(KILL)[0],
        Instruction(_LOAD, 0, 0, _NUMBER),
        Instruction(_IF_AT_LEAST, 0, 1, _X32_BIT),
        _verdict(KILL)[0],
    )
    whole = head + _tree(_ranges(verdicts))
    if len(whole) > MAX_INSTRUCTIONS:
        raise ValueError(f"the kernel takes {MAX_INSTRUCTIONS} instructions, not {len(whole)}")
    return whole


def refuse(number: int) -> int:
    """Returns the verdict that lets a call fail with an error."""
    return _ERRNO | number


def _verdict(verdict: int) -> Block:
    return (Instruction(_RETURN, 0, 0, verdict),)


def _verdicts(column: int) -> dict[int, Block]:
    """Returns the block for each known number."""
    found: dict[int, Block] = {}
    for table, block in ((ALLOWED, _verdict(ALLOW)), (REFUSED, _verdict(refuse(errno.EPERM))), (CHECKED, None)):
        for entry in table.split():
            fields = entry.split(":")
            if fields[column] != "-":
                found[int(fields[column])] = block or _CHECKS[fields[0]]
    return found


def _ranges(verdicts: Mapping[int, Block]) -> list[tuple[int, Block]]:
    """Returns the first number of each run of numbers with the same verdict; the last run has no end."""
    unknown = _verdict(refuse(errno.ENOSYS))
    runs: list[tuple[int, Block]] = []
    for number in range(max(verdicts) + 2):
        block = verdicts.get(number, unknown)
        if not runs or runs[-1][1] != block:
            runs.append((number, block))
    return runs


def _tree(runs: list[tuple[int, Block]]) -> Block:
    if len(runs) == 1:
        return runs[0][1]
    middle = len(runs) // 2
    below, above = _tree(runs[:middle]), _tree(runs[middle:])
    # A condition jumps at most 255 instructions, an unconditional jump as far as need be.
    pivot = Instruction(_IF_AT_LEAST, 0, 1, runs[middle][0])
    return (pivot, Instruction(_JUMP, 0, 0, len(below)), *below, *above)


def _low_half(argument: int) -> Instruction:
    """Loads the 32 bits that the kernel looks at for int and unsigned int arguments; the others do not matter to it."""
    return Instruction(_LOAD, 0, 0, 16 + 8 * argument)


def _choose(cases: Mapping[int, Block], otherwise: Block) -> Block:
    """Branches by the value that was loaded last."""
    chosen: Block = ()
    for value, block in cases.items():
        chosen += (Instruction(_IF_EQUAL, 0, len(block), value), *block)
    return chosen + otherwise


_YES, _NO, _NO_SUCH_FAMILY = _verdict(ALLOW), _verdict(refuse(errno.EPERM)), _verdict(refuse(errno.EAFNOSUPPORT))
_INVALID, _NONE_LEFT = _verdict(refuse(errno.EINVAL)), _verdict(refuse(errno.EMFILE))
_NO_MEMORY, _UNSUPPORTED = _verdict(refuse(errno.ENOMEM)), _verdict(refuse(errno.EOPNOTSUPP))
_IGNORED = _verdict(refuse(0))  # the call returns 0, and the kernel does nothing


def _without(argument: int, bit: int, otherwise: Block) -> Block:
    """Allows a call where an argument lacks a bit."""
    return (_low_half(argument), Instruction(_IF_ANY_BIT, 0, len(otherwise), bit), *otherwise, *_YES)


def _protocols(*numbers: int) -> Block:
    """Allows only these protocols: for rare ones the kernel would load modules."""
    return (_low_half(2), *_choose(dict.fromkeys(numbers, _YES), _NO_SUCH_FAMILY))


_KIND = (_low_half(1), Instruction(_AND, 0, 0, _KIND_MASK))
_INTERNET: Block = (*_KIND, *_choose({_STREAM: _protocols(0, _TCP), _DATAGRAM: _protocols(0, _UDP)}, _NO))
# A larger buffer is memory that no process shows; programs know that the kernel gives them less than they ask for.
_SOCKET_OPTIONS: Block = (
    _low_half(2),
    *_choose(
        dict.fromkeys((_SO_SNDBUF, _SO_RCVBUF, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE), _IGNORED)
        | dict.fromkeys((_SO_ATTACH_FILTER, _SO_ATTACH_BPF, _SO_ATTACH_REUSEPORT_CBPF, _SO_ATTACH_REUSEPORT_EBPF), _NO),
        _YES,
    ),
)
_CHECKS: Mapping[str, Block] = {
    # A look finds files by their process alone: threads share its files, and no other process does. Locks would outlive theirs.
    "clone": (
        _low_half(0),
        Instruction(_IF_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        *_NO,
        Instruction(_AND, 0, 0, _CLONE_FILES | _CLONE_THREAD),
        *_choose(dict.fromkeys((0, _CLONE_FILES | _CLONE_THREAD), _YES), _NO),
    ),
    "close_range": _without(2, _CLOSE_RANGE_UNSHARE, _INVALID),
    # A lease on a file of the snapshot, which may be the agent's own where the host is no root, makes others wait for it.
    # The locks of open files name no process that the shim could count them for.
    "fcntl": (
        _low_half(1),
        *_choose(
            dict.fromkeys((_F_SETLEASE, _F_NOTIFY, _F_SETPIPE_SZ), _NO)
            | dict.fromkeys((_F_OFD_SETLK, _F_OFD_SETLKW), _INVALID),
            _YES,
        ),
    ),
    # A lock on a file that others see makes them wait, and needs no right to write it. Where an agent may write it is alone, and
    # programs end without locks: so they get none, and are told that they have it.
    "flock": _IGNORED,
    # An attribute of a file in memory is memory that neither its size nor its file system shows.
    **dict.fromkeys(("setxattr", "lsetxattr", "fsetxattr"), _UNSUPPORTED),
    # A watch on /usr/bin tells which programs the host starts, and a user has few: programs know that there may be none left.
    "inotify_init": _NONE_LEFT,
    "inotify_init1": _NONE_LEFT,
    "ioctl": (_low_half(1), *_choose(dict.fromkeys((_TIOCSTI, _TIOCLINUX, _TIOCCONS, _TIOCSCTTY), _NO), _YES)),
    # The machine's huge pages are few, no group counts them, and programs know that there may be none.
    "memfd_create": _without(1, _MFD_HUGETLB, _INVALID),
    "mmap": _without(3, _MAP_HUGETLB, _NO_MEMORY),
    # As it is, or asking how it is: other personalities switch protections off.
    "personality": (_low_half(0), *_choose({0: _YES, 0xFFFFFFFF: _YES}, _NO)),
    # Tables of futexes and filters of calls are memory that no process shows; all users share the room for compiled filters.
    "prctl": (
        _low_half(0),
        *_choose(
            dict.fromkeys((_PR_SET_MM, _PR_SCHED_CORE), _NO)
            | dict.fromkeys((_PR_SET_SECCOMP, _PR_FUTEX_HASH), _INVALID),
            _YES,
        ),
    ),
    "seccomp": (_low_half(0), *_choose({_SECCOMP_SET_MODE_FILTER: _INVALID}, _YES)),
    "setsockopt": (_low_half(1), *_choose({_SOL_SOCKET: _SOCKET_OPTIONS}, _YES)),
    # No unix sockets: a path leads wherever a snapshot might hold one. Netlink only asks about the namespace's own routes.
    "socket": (
        _low_half(0),
        *_choose({_AF_INET: _INTERNET, _AF_INET6: _INTERNET, _AF_NETLINK: _protocols(0)}, _NO_SUCH_FAMILY),
    ),
    # One of a pair that sends datagrams could send them to any other socket, by path or name.
    "socketpair": (
        _low_half(0),
        *_choose({_AF_UNIX: (*_KIND, *_choose({_STREAM: _YES, _SEQPACKET: _YES}, _NO))}, _NO_SUCH_FAMILY),
    ),
}
