"""Weakens one bound after the other, and sees that just what it bounds gets by: the counting of memory, the share, the user.

A holder is a process in namespaces of its own that holds some memory of one kind. Without services and sandbox: a weakened bound
needs none to be found.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agenthost.shim.bounds import memory, processor, usage
from agenthost.shim.bounds.memory import Bound
from agenthost.shim.bounds.processor import Share
from agenthost.shim.bounds.usage import Usage
from agenthost.shim.bounds.user import User
from agenthost.shim.inspection import descendants

pytestmark = [pytest.mark.processes, pytest.mark.long]

MIB = 2**20
TMPFS = "/mnt"
LIMIT = 40 * MIB  # an empty Python has a quarter of it, each holder more than the whole
BEGIN = "import ctypes, fcntl, mmap, os, socket, sys, threading, time\nheld = []\n"
END = "\nprint('up', flush=True)\ntime.sleep(60)\n"
HOLDERS = {
    "pages": "held.append(b'x' * (48 << 20))",
    "pages of a process whose first thread ended": f"""
def hold():
    held.append(b'x' * (48 << 20)); time.sleep(0.1){END.replace(chr(10), chr(10) + "    ")}
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
""",
    "a mapping whose writer is gone": """
held.append(mmap.mmap(-1, 48 << 20))
if os.fork() == 0:
    held[0].write(bytes(48 << 20)); os._exit(0)
os.wait()
""",
    "files in memory": "held.append(os.memfd_create('m')); os.write(held[0], bytes(48 << 20))",
    "files in flight": """
ends = socket.socketpair()
fd = os.memfd_create('m'); os.write(fd, bytes(1 << 20)); socket.send_fds(ends[0], [b'x'], [fd]); os.close(fd)
""",
    "buffers of sockets": "held += [socket.socketpair() for _ in range(180)]",
    "pipes": "os.fork(); held += [os.pipe() for _ in range(480)]",
    "names in tmpfs": f"for n in range(32000): os.mknod(f'{TMPFS}/{{n}}')",
    "tables of pages": """
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
start = libc.mmap(None, ctypes.c_size_t(24 << 30), 1, 0x4022, -1, ctypes.c_long(0))
for at in range(0, 24 << 30, 2 << 20): ctypes.c_char.from_address(start + at).value
""",
}
# For each kind the one counter that finds it, and what a careless change would leave of that counter.
Weakening = tuple[Any, str, Any]
WEAKENED: dict[str, Weakening] = {
    "pages": (usage, "shown_bytes", lambda _: (0, 0)),
    "pages of a process whose first thread ended": (usage, "shown_by", lambda pid: pid),
    "a mapping whose writer is gone": (usage.Files, "_mapped", lambda *_: None),
    "files in memory": (usage.Files, "_open", lambda *_: None),
    "files in flight": (Usage, "_hidden", lambda *_: 0),
    "buffers of sockets": (Usage, "_sockets", lambda *_: 0),
    "pipes": (usage, "PIPE_BYTES", 0),
    "names in tmpfs": (usage, "tmpfs_bytes", lambda *_: 0),
    "tables of pages": (usage, "shown_bytes", lambda pid, whole=usage.shown_bytes: (whole(pid)[0], 0)),
}
# What else goes by the same counter.
ALSO = {
    "pages": {"pages of a process whose first thread ended", "tables of pages"},
    "files in memory": {"files in flight", "pipes"},
}


@contextmanager
def holder(script: str, said: str = "up\n") -> Iterator[int]:
    """A process that has done what its script says, in namespaces of its own."""
    place = f'mount -t tmpfs -o size=64m,nr_inodes=40k tmpfs {TMPFS} && "$@"; exit'
    python = (sys.executable, "-I", "-S", "-c", BEGIN + script + END)
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", place, "sh", *python]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == said
            yield process.pid
        finally:
            for pid in descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)
            process.kill()


def bound(cgroup: Any = ()) -> Bound:
    whole = {"memory_bytes": LIMIT, "cgroup": dict(cgroup), "writable": [TMPFS], "rlimits": {"RLIMIT_FSIZE": 64 * MIB}}
    return Bound(whole)


@pytest.mark.parametrize("kind", HOLDERS)
def test_each_counter_finds_its_kind_of_memory_and_no_other_does(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E3; and the suite can fail."""
    with holder(HOLDERS[kind]) as pid:
        assert bound().is_exceeded(pid)
        for other, weakening in WEAKENED.items():
            with monkeypatch.context() as weaker:
                weaker.setattr(*weakening)
                assert bound().is_exceeded(pid) == (kind not in {other, *ALSO.get(other, ())}), other


def test_a_process_that_holds_little_is_below_the_bound() -> None:
    with holder("held.append(b'x' * (8 << 20))") as pid:
        assert not bound().is_exceeded(pid)


def test_a_process_that_no_user_may_look_at_is_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E3: a program whose file an ordinary user may not read shows that user neither pages nor files."""
    read, listdir = usage.read_file, os.listdir
    with holder("held.append(b'x' * (48 << 20))") as pid:
        closed = tuple(f"/proc/{below}/{name}" for below in descendants(pid) for name in ("smaps_rollup", "maps", "fd"))

        def refuse(path: str) -> None:
            if path in closed:
                raise PermissionError(path)

        monkeypatch.setattr(usage, "read_file", lambda path: refuse(path) or read(path))
        monkeypatch.setattr("agenthost.shim.bounds.usage.os.listdir", lambda path: refuse(path) or listdir(path))
        assert usage.divided_bytes(descendants(pid))[0] > LIMIT
        assert usage.Files(descendants(pid)).hidden == 1
    assert usage.Files([pid]).hidden == 0


UNSEEN = {
    "answers of netlink": """
import struct
for _ in range(60):
    held.append(socket.socket(16, 3, 0)); held[-1].setblocking(False)
    for n in range(60): held[-1].send(struct.pack('IHHII', 2064, 9999, 1, n, 0) + bytes(2048))
""",
    "datagrams": """
for _ in range(120):
    held.append(socket.socket(type=socket.SOCK_DGRAM)); held[-1].bind(('', 0))
""",
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_what_a_group_does_not_count_is_found(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E3; and the suite can fail."""
    monkeypatch.setattr(memory, "UNSEEN_BYTES", 4 * MIB)
    grouped = bound({"version": "v1"})
    grouped.folders = [str(tmp_path)]
    with holder(UNSEEN[kind]) as pid:
        assert grouped.is_exceeded(pid)
        monkeypatch.setattr(Usage, "unseen_bytes", lambda *_, **__: 0)
        assert not grouped.is_exceeded(pid)


def test_locks_of_files_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E3; and the suite can fail."""
    locks = f"""
for n in range(6):
    held.append(open(f'{TMPFS}/{{n}}', 'wb'))
    for at in range(200): fcntl.lockf(held[-1], fcntl.LOCK_EX, 1, at * 2)
"""
    with holder(locks) as pid:
        assert bound().is_exceeded(pid)
        monkeypatch.setattr(memory, "count_locks", lambda _: 0)
        assert not bound().is_exceeded(pid)


def test_an_attempt_without_a_group_ends_where_the_machine_runs_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E3; and the suite can fail."""
    monkeypatch.setattr(memory, "LEAST_FREE", 1.1)
    with holder("") as pid:
        assert bound().is_exceeded(pid)
        monkeypatch.setattr(Bound, "has_free_memory", lambda _: True)
        assert not bound().is_exceeded(pid)


def test_a_group_is_no_bound_without_its_limit_or_with_the_agent_outside(tmp_path: Path) -> None:
    """Keeps E3: plain folders have no file for the limit, and name no process."""
    group = {"version": "v2", "folders": {"": str(tmp_path / "group")}, "settings": [("", "memory.max", "1", True)]}
    made = bound(group)
    made.make()
    assert (made.folders, made.described(os.getpid())[1]) == ([], True)
    assert "looked at every" in made.described(os.getpid())[0]
    made.folders = [str(tmp_path)]
    for inside in ("", str(os.getpid())):
        (tmp_path / "cgroup.procs").write_text(inside)
        assert made.described(os.getpid())[1] == bool(inside)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one processor there is none to keep free")
@pytest.mark.parametrize("what", ["processes in sessions of their own", "threads behind a first one that ended"])
def test_a_crowd_is_kept_off_the_hosts_processors(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E3; and the suite can fail."""
    crowd = {
        "processes in sessions of their own": """
for _ in range(8):
    if os.fork() == 0:
        os.setsid()
        while True: pass
""",
        "threads behind a first one that ended": """
def spin():
    data = bytes(1 << 24)
    while True: hashlib.sha256(data)
import hashlib
for _ in range(8): threading.Thread(target=spin).start()
threading.Thread(target=lambda: (time.sleep(0.1), print('up', flush=True), time.sleep(60))).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
""",
    }[what]
    allowed = os.sched_getaffinity(0)
    with holder(crowd) as pid:
        with monkeypatch.context() as weaker:
            weaker.setattr(processor, "busy_threads", lambda _: 0)
            Share(bound(), 5).look(pid)
            assert os.sched_getaffinity(descendants(pid)[-1]) == allowed
        share = Share(bound(), 5)
        until_confined(share, pid)
        assert all(os.sched_getaffinity(inside) == {max(allowed)} for inside in threads_below(pid))


def until_confined(share: Share, pid: int) -> None:
    """Looks as the shim does: threads take a moment to be busy."""
    for _ in range(40):
        share.look(pid)
        if share.calm == 0:
            return
        time.sleep(0.02)


def threads_below(pid: int) -> list[int]:
    found = [int(each.name) for below in descendants(pid) for each in Path(f"/proc/{below}/task").iterdir()]
    return [each for each in found if Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[0] != "Z"]


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user's host has no other user")
def test_no_two_attempts_have_one_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E3: what the kernel counts for a user is each attempt's own; and the suite can fail."""
    first = 65000
    users = [User(first) for _ in range(3)]
    assert len({user.uid for user in users} - {0}) == 3
    assert all("for this attempt alone" in user.described() for user in users)
    monkeypatch.setattr("agenthost.shim.bounds.user.USERS", 0)
    shared = [User(first), User(first)]
    for user in users:
        assert user.claim
        user.claim.close()
    assert len({user.uid for user in shared}) == 1
    assert all("shared with what else runs" in user.described() for user in shared)
