"""Agents that take all they can get, bounded both ways: by a control group, and by the shim's own look at memory."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.sandbox.policy import MIB, Resources
from agenthost.shim.inspection import descendants
from tests.kit.attempts import Done, Workbench, finish, gone, output
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

RESOURCES = Resources(
    memory_bytes=96 * MIB, home_bytes=16 * MIB, tmp_bytes=16 * MIB, file_bytes=32 * MIB, processes=60, data_bytes=2**32
)
WAIT = "\nprint('survived', flush=True)\ntime.sleep(100)\n"
# Far more than the limit, yet not so much that a bound that fails would hurt the machine.
MEMORY = {
    "anonymous": "held = [bytearray(b'x') * (8 << 20) for _ in range(64)]",
    "by many": "[os.fork() for _ in range(3)]\nheld = [bytearray(b'x') * (8 << 20) for _ in range(10)]",
    "shared": "held = mmap.mmap(-1, 512 << 20)\nfor at in range(512): held.write(b'x' * (1 << 20))",
    "in memory files": """
held = [os.memfd_create(str(n)) for n in range(32)]
for fd in held:
    for _ in range(16): os.write(fd, b'x' * (1 << 20))
""",
}
# Memory of the kernel's that no process shows.
KERNEL_MEMORY = {
    "in files that were sent and closed": """
import socket
ends = socket.socketpair()
for n in range(16):
    fd = os.memfd_create(str(n))
    for _ in range(16): os.write(fd, b'x' * (1 << 20))
    socket.send_fds(ends[0], [b'x'], [fd]); os.close(fd)
""",
    "in a mapping whose writer is gone": """
held = mmap.mmap(-1, 256 << 20)
if os.fork() == 0:
    for at in range(256): held.write(b'x' * (1 << 20))
    os._exit(0)
os.wait()
""",
    "in buffers of sockets": """
import socket
held = []
for _ in range(3):
    if os.fork() == 0: break
for _ in range(480):
    held.append(socket.socketpair()); held[-1][0].setblocking(False)
    try:
        while True: held[-1][0].send(b'x' * 65536)
    except BlockingIOError: pass
""",
    "in names of empty files": """
for n in range(110000): os.mknod(f'/tmp/{n}')
""",
    "in tables of pages": """
import ctypes
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
start = libc.mmap(None, ctypes.c_size_t(128 << 30), 1, 0x4022, -1, ctypes.c_long(0))
for at in range(0, 128 << 30, 2 << 20): ctypes.c_char.from_address(start + at).value
""",
    "in answers of netlink": """
import socket, struct
for _ in range(3):
    if os.fork() == 0: break
held = []
for _ in range(400):
    held.append(socket.socket(16, 3, 0)); held[-1].setblocking(False)
    for n in range(120): held[-1].send(struct.pack('IHHII', 2064, 9999, 1, n, 0) + bytes(2048))
""",
    "of a process whose first thread ended": """
import ctypes, threading
def take():
    held = [bytearray(b'x') * (8 << 20) for _ in range(32)]
    print('survived', flush=True)
    time.sleep(100)
threading.Thread(target=take).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
""",
    "in locks of files": """
import fcntl
for n in range(20):
    fd = os.open(f'/tmp/{n}', os.O_RDWR | os.O_CREAT)
    for at in range(300): fcntl.lockf(fd, fcntl.LOCK_EX, 1, at * 2)
""",
}


@pytest.fixture(params=["by a control group", "looked at every"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Workbench:
    bench = await Workbench.make(tmp_path)
    if request.param == "looked at every":
        bench.sandbox = replace(bench.sandbox, cgroups=None)
    elif bench.sandbox.cgroups is None:
        pytest.skip("no control group is to be had here")
    return bench


def bomb(script: str) -> tuple[str, ...]:
    return str(Path(sys.executable).resolve()), "-I", "-S", "-c", f"import mmap, os, sys, time\n{script}"


async def explode(bench: Workbench, script: str, number: int = 0, **launch: Any) -> Done:
    """Runs it, and waits until nothing of it is left."""
    marker = f"bomb{os.getpid()}-{number}-{bench.folder.name}"
    done = await bench.run(*bomb(script), marker, resources=RESOURCES, timeout_seconds=20, **launch)
    await gone(marker)
    return done


def groups(bench: Workbench) -> list[str]:
    """The control groups that are there."""
    place = bench.sandbox.cgroups
    return [str(path) for above in place.above.values() for path in above.glob(f"{place.prefix}*")] if place else []


@pytest.mark.parametrize("kind", MEMORY)
async def test_a_memory_bomb_ends_as_one(bench: Workbench, kind: str, request: pytest.FixtureRequest) -> None:
    """Keeps E3."""
    done = await explode(bench, MEMORY[kind] + WAIT)

    assert done.status.cause == "memory_exceeded"
    assert request.node.callspec.params["bench"] in done.status.attestation.checks[-1]
    while groups(bench):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", KERNEL_MEMORY)
async def test_memory_that_no_process_shows_is_bounded_too(bench: Workbench, kind: str) -> None:
    """Keeps E3."""
    if bench.sandbox.cgroups is None and os.getuid() == 0:
        pytest.skip("an ordinary user has no group: `test_ordinary_user` tries it as one")
    done = await explode(bench, KERNEL_MEMORY[kind] + WAIT)

    assert done.status.cause == "memory_exceeded", done.stderr
    while groups(bench):
        await asyncio.sleep(0.01)


async def test_an_agent_below_its_bound_is_left_alone(bench: Workbench) -> None:
    """Keeps E3: pages that forked processes share count once."""
    script = "held = bytearray(b'x') * (40 << 20)\nfor _ in range(4):\n if os.fork() == 0: time.sleep(1); os._exit(0)\n"
    done = await explode(bench, f"{script}time.sleep(1)\nprint(len(held))")

    assert (done.status.cause, done.status.exit_code, done.stdout) == ("exited", 0, f"{40 << 20}\n")


async def test_a_fork_bomb_is_bounded_and_ends_whole(bench: Workbench) -> None:
    """Keeps D6 and E3."""
    script = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
born = 0
try:
    while born < 2000:
        if os.fork() == 0:
            os.setsid(); time.sleep(100)
        born += 1
except OSError:
    print(born, flush=True)
    sys.exit(9)
"""
    done = await explode(bench, script)

    assert (done.status.cause, done.status.exit_code) == ("exited", 9)
    assert 20 < int(done.stdout) < 60


async def test_a_crowd_of_sessions_leaves_the_host_its_processors(bench: Workbench) -> None:
    """Keeps E3: each session would have a full share, whatever its niceness."""
    script = """
for _ in range(12):
    if os.fork() == 0:
        os.setsid()
        while True: pass
print('up', flush=True)
time.sleep(100)
"""
    async with await bench.spawn(*bomb(script), resources=RESOURCES, timeout_seconds=20) as attempt:
        await output(attempt, "up")
        started = await attempt.wait_started()
        assert started
        told = next(check for check in started.checks if check.startswith("processor: "))
        place = bench.sandbox.cgroups
        if place and place.divides_processor:
            assert "by a control group" in told
        elif len(os.sched_getaffinity(0)) > 1:
            assert "one where it has a crowd" in told
            last = {max(os.sched_getaffinity(0))}
            await until(lambda: all(os.sched_getaffinity(pid) == last for pid in descendants(started.pid)))
        await attempt.cancel("enough")


async def test_a_tmpfs_that_is_filled_is_full(bench: Workbench) -> None:
    """Keeps E3."""
    script = "for n in range(64):\n open(f'/tmp/{n}', 'wb').write(bytes(8 << 20))"
    done = await explode(bench, script)

    assert (done.status.cause, done.status.exit_code) == ("exited", 1)
    assert "No space left on device" in done.stderr


async def test_a_file_without_end_ends_its_writer(bench: Workbench) -> None:
    """Keeps E3."""
    script = (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nos.ftruncate(os.memfd_create('f'), 33 << 20)"
    )
    done = await explode(bench, script)

    assert (done.status.cause, done.status.signal) == ("exited", 25)


FLOOD = "while True: os.write(1, b'x' * 65536)"


async def test_eight_bombs_at_once_leave_their_neighbour_alone(bench: Workbench) -> None:
    """Keeps E3: every bomb ends in its own typed way, and the neighbour's answer is what it would be."""
    scripts = [*(script + WAIT for script in MEMORY.values()), FLOOD, *(script + WAIT for script in MEMORY.values())][
        :8
    ]
    healthy = (
        "print('up', flush=True)\nsys.stdin.readline()\nprint(sum(range(10**6)), open('/workspace/hello.txt').read())"
    )
    async with await bench.spawn(*bomb(healthy), resources=RESOURCES, prompt=b"", keeps_stdin=True) as neighbour:
        await output(neighbour, "up")
        ends = await asyncio.gather(
            *(explode(bench, script, number, max_output_bytes=MIB) for number, script in enumerate(scripts))
        )
        assert await neighbour.give_input(1, "go\n")
        answer = await finish(neighbour)

    causes = [end.status.cause for end in ends]
    assert causes == ["memory_exceeded"] * 4 + ["output_too_large"] + ["memory_exceeded"] * 3
    assert (answer.status.exit_code, answer.stdout) == (0, "up\n499999500000 hello\n\n")
