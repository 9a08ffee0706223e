import errno
import struct

import pytest

from agenthost.core.sandbox.seccomp import ALLOW, ARCHITECTURES, KILL, instructions, program, refuse
from agenthost.core.sandbox.syscall_numbers import ALLOWED, CHECKED, REFUSED

DENIED, ABSENT, NO_FAMILY = refuse(errno.EPERM), refuse(errno.ENOSYS), refuse(errno.EAFNOSUPPORT)
IGNORED = refuse(0)
MACHINES = pytest.mark.parametrize("machine", ARCHITECTURES)


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """Runs the bytes as the kernel does."""
    arch = ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    code = list(struct.iter_unpack("<HBBI", program(machine)))
    at, accumulator = 0, 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        match operation:
            case 0x20:
                accumulator = int(struct.unpack_from("<I", data, value)[0])
            case 0x54:
                accumulator &= value
            case 0x05:
                at += value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(operation)


def numbers(table: str, machine: str) -> dict[str, int]:
    column = 1 + list(ARCHITECTURES).index(machine)
    fields = [entry.split(":") for entry in table.split()]
    return {one[0]: int(one[column]) for one in fields if one[column] != "-"}


@MACHINES
def test_every_number_gets_the_verdict_of_its_table(machine: str) -> None:
    """Keeps E3."""
    allowed, refused = numbers(ALLOWED, machine), numbers(REFUSED, machine)
    checked = set(numbers(CHECKED, machine).values())
    for number in {*range(700), 0x3FFFFFFF} - checked:
        expected = ALLOW if number in allowed.values() else DENIED if number in refused.values() else ABSENT
        assert verdict(machine, number) == expected, number


@MACHINES
def test_no_call_is_in_two_tables_and_no_number_twice(machine: str) -> None:
    all_numbers = [number for table in (ALLOWED, CHECKED, REFUSED) for number in numbers(table, machine).values()]
    assert len(all_numbers) == len(set(all_numbers))


@MACHINES
@pytest.mark.parametrize("architecture", [0x40000003, 0x40000028, 0, 0xFFFFFFFF])
def test_another_architecture_is_deadly(machine: str, architecture: int) -> None:
    assert verdict(machine, 0, architecture=architecture) == KILL


@MACHINES
@pytest.mark.parametrize("number", [0x40000000, 0x40000001, 0x7FFFFFFF, 0xFFFFFFFF])
def test_the_other_numbering_of_the_same_machine_is_deadly(machine: str, number: int) -> None:
    assert verdict(machine, number) == KILL


HIGH = 1 << 32
CASES = [
    ("clone", (0x11,), ALLOW),  # fork
    ("clone", (0x3D0F00,), ALLOW),  # a thread
    *[
        ("clone", (0x11 | flag,), DENIED)
        for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    ],
    ("clone", (0x11 | 0x10000000 | HIGH,), DENIED),
    ("clone", (0x4111,), ALLOW),  # vfork
    # Files of two processes, and files of a thread's own: a look from outside finds neither.
    *[("clone", (flags,), DENIED) for flags in (0x11 | 0x400, 0x3D0F00 & ~0x400, 0x3D0F00 & ~0x10000)],
    ("close_range", (3, 0xFFFFFFFF, 0), ALLOW),
    ("close_range", (3, 0xFFFFFFFF, 4), ALLOW),
    *[("close_range", (3, 0xFFFFFFFF, flags), refuse(errno.EINVAL)) for flags in (2, 6, 2 | HIGH)],
    *[(name, (3,), refuse(errno.EOPNOTSUPP)) for name in ("setxattr", "lsetxattr", "fsetxattr")],
    ("memfd_create", (0, 1), ALLOW),
    ("memfd_create", (0, 4 | 21 << 26), refuse(errno.EINVAL)),  # of the machine's huge pages
    ("mmap", (0, 4096, 3, 0x22), ALLOW),
    ("mmap", (0, 1 << 21, 3, 0x40022), refuse(errno.ENOMEM)),
    *[("prctl", (option,), refuse(errno.EINVAL)) for option in (22, 78)],
    ("seccomp", (2, 0), ALLOW),  # a question
    ("seccomp", (1, 0), refuse(errno.EINVAL)),
    ("fcntl", (3, 1), ALLOW),
    ("fcntl", (3, 1033), ALLOW),
    ("fcntl", (3, 1024), DENIED),
    ("fcntl", (3, 1024 | HIGH), DENIED),
    ("fcntl", (3, 1031), DENIED),  # a larger pipe
    ("fcntl", (3, 6), ALLOW),
    *[("fcntl", (3, command), refuse(errno.EINVAL)) for command in (37, 38)],  # locks without a process
    *[("flock", (3, operation), IGNORED) for operation in (1, 2, 5, 6, 8)],
    ("inotify_init1", (0o2000000,), refuse(errno.EMFILE)),
    ("ioctl", (0, 0x5401), ALLOW),
    ("ioctl", (0, 0x5413), ALLOW),
    *[("ioctl", (0, request), DENIED) for request in (0x5412, 0x541C, 0x541D, 0x540E)],
    ("ioctl", (0, 0x5412 | HIGH), DENIED),  # libseccomp's natural rule lets this through
    ("personality", (0,), ALLOW),
    ("personality", (0xFFFFFFFF,), ALLOW),
    ("personality", (0x0040000,), DENIED),
    ("personality", (8,), DENIED),
    ("prctl", (15,), ALLOW),
    ("prctl", (35,), DENIED),
    ("prctl", (35 | HIGH,), DENIED),
    ("prctl", (62,), DENIED),  # a processor's core for itself
    *[("setsockopt", (3, 1, option), IGNORED) for option in (7, 8, 32, 33, 7 | HIGH)],  # a buffer's size
    *[("setsockopt", (3, 1, option), DENIED) for option in (26, 50, 51, 52)],  # a program for the kernel
    ("setsockopt", (3, 1, 2), ALLOW),
    ("setsockopt", (3, 6, 7), ALLOW),
    ("socket", (2, 1, 0), ALLOW),
    ("socket", (2, 1 | 0o2004000, 6), ALLOW),  # with CLOEXEC and NONBLOCK
    ("socket", (10, 2, 17), ALLOW),
    ("socket", (2, 3, 1), DENIED),  # raw
    ("socket", (2, 1, 132), NO_FAMILY),  # SCTP
    ("socket", (2, 2, 136), NO_FAMILY),  # UDP-Lite
    ("socket", (16, 3, 0), ALLOW),
    ("socket", (16, 3, 15), NO_FAMILY),  # kernel events
    ("socket", (1, 1, 0), NO_FAMILY),
    ("socket", (1 | HIGH, 1, 0), NO_FAMILY),
    *[
        ("socket", (family, 1, 0), NO_FAMILY) for family in (0, 3, 5, 17, 29, 38, 40, 44)
    ],  # packet, CAN, crypto, vsock, XDP ...
    ("socketpair", (1, 1, 0), ALLOW),
    ("socketpair", (1, 1 | 0o2004000, 0), ALLOW),
    ("socketpair", (1, 5, 0), ALLOW),
    *[("socketpair", (1, kind, 0), DENIED) for kind in (2, 2 | 0o2000000, 3)],  # could send to any address
    ("socketpair", (2, 1, 0), NO_FAMILY),
]


@MACHINES
@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_arguments_decide_where_a_call_is_two_things(
    machine: str, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    """Keeps E3."""
    assert verdict(machine, numbers(CHECKED, machine)[name], *arguments) == expected


@MACHINES
@pytest.mark.parametrize(
    "name",
    [
        "ptrace",
        "mount",
        "unshare",
        "setns",
        "bpf",
        "keyctl",
        "add_key",
        "userfaultfd",
        "process_vm_writev",
        "pidfd_getfd",
        "fanotify_init",
        "vmsplice",
        "sched_setaffinity",
        "sched_setscheduler",
        "ioprio_set",
    ],
)
def test_the_dangerous_are_refused_by_name(machine: str, name: str) -> None:
    assert name in numbers(REFUSED, machine)


@MACHINES
@pytest.mark.parametrize("name", ["io_uring_setup", "clone3", "io_submit", "shmget", "msgget", "semget", "mq_open"])
def test_what_programs_can_do_without_does_not_exist(machine: str, name: str) -> None:
    known = ALLOWED + CHECKED + REFUSED
    assert f"{name}:" not in known


@MACHINES
def test_every_jump_lands_in_the_program_and_every_path_is_short(machine: str) -> None:
    whole = instructions(machine)
    assert len(whole) <= 1000

    def longest(at: int) -> int:
        code, if_true, if_false, value = whole[at]
        match code:
            case 0x06:
                return 1
            case 0x05:
                return 1 + longest(at + 1 + value)
            case 0x15 | 0x35 | 0x45:
                return 1 + max(longest(at + 1 + if_true), longest(at + 1 + if_false))
            case _:
                return 1 + longest(at + 1)

    assert longest(0) < 50
