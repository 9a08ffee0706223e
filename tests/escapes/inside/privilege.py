"""Gaining more rights, other namespaces, or a hold on other processes."""

import fcntl
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time

from .table import ATTEMPTS, X86, call, exit_child, held, syscall

NEW = {
    "user": 0x10000000,
    "mount": 0x20000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "ipc": 0x8000000,
    "uts": 0x4000000,
    "cgroup": 0x2000000,
}
CLONE_ARGUMENTS = struct.pack("11Q", NEW["user"], 0, 0, 0, signal.SIGCHLD, *[0] * 6)
for kind, flag in NEW.items():
    ATTEMPTS[f"unshare a {kind} namespace"] = lambda _, flag=flag: call("unshare", flag)
ATTEMPTS |= {
    "clone into a user namespace": lambda _: exit_child(syscall(56, 220, NEW["user"] | signal.SIGCHLD, 0, 0, 0, 0)),
    "clone with the newer call": lambda _: exit_child(syscall(435, 435, CLONE_ARGUMENTS, 88)),
    "enter the first process's namespace": lambda _: call("setns", os.open("/proc/1/ns/user", os.O_RDONLY), 0),
    "mount a tmpfs": lambda _: call("mount", b"t", b"/tmp", b"tmpfs", 0, None),
    "remount the workspace writable": lambda _: call("mount", None, b"/workspace", None, 4096 | 32, None),
    "unmount the workspace": lambda _: call("umount2", b"/workspace", 2),
    "open a tree": lambda _: syscall(428, 428, -100, b"/", 1),
    "pivot the root": lambda _: syscall(155, 41, b"/tmp", b"/tmp"),
    "change the root": lambda _: os.chroot("/tmp"),
    "make a block device": lambda _: os.mknod("/tmp/disk", 0o060600, os.makedev(254, 0)),
    "become user 0": lambda _: os.setuid(0),
    "become group 0": lambda _: os.setgid(0),
    "set groups": lambda _: os.setgroups([0]),
    "raise a capability": lambda _: call("prctl", 47, 2, 21, 0, 0),
    "have any capability": lambda _: held(not any(int(value, 16) for value in _capabilities())),
    "run a setuid program as its owner": lambda _: held(_uid_of_setuid_program() != 0),
    "trace the first process": lambda _: call("ptrace", 16, 1, 0, 0),
    "trace a child": lambda _: call("ptrace", 0, 0, 0, 0),
    "read another's memory": lambda _: open("/proc/1/mem", "rb").read(1),
    "read memory by call": lambda _: syscall(310, 270, 1, None, 0, None, 0, 0),
    "take another's descriptor": lambda _: syscall(438, 438, os.pidfd_open(1), 0, 0),
    "use keys": lambda _: syscall(250, 219, 0, -4, 1, 0, 0),
    "add a key": lambda _: syscall(248, 217, b"user", b"escaped", b"x", 1, -4),
    "load a BPF program": lambda _: syscall(321, 280, 0, bytes(72), 72),
    "open a performance counter": lambda _: syscall(298, 241, struct.pack("IIQ", 1, 112, 0) + bytes(96), 0, -1, -1, 0),
    "handle page faults": lambda _: syscall(323, 282, 1),
    "set up an io_uring": lambda _: syscall(425, 425, 1, bytes(120)),
    "change personality": lambda _: held(call("personality", 0x0040000) == -1, "no address randomisation"),
    "load a module": lambda _: syscall(175, 105, b"", 0, b""),
    "load a kernel": lambda _: syscall(246, 104, 0, 0, 0, 0),
    "restart the machine": lambda _: syscall(169, 142, 0, 0, 0, 0),
    "swap": lambda _: call("swapon", b"/tmp/hello", 0),
    "set the clock": lambda _: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "set the host's name": lambda _: socket.sethostname("escaped"),
    "use IO ports": lambda _: call("iopl", 3) if X86 else held(True),
    "type into a terminal": lambda _: fcntl.ioctl(0, 0x5412, b"x"),
    "type with a long number": lambda _: syscall(16, 29, 0, 0x5412 | 1 << 32, b"x"),
    "take a terminal": lambda _: open("/dev/tty"),
    "account processes": lambda _: call("acct", b"/tmp/log"),
    "raise a limit": lambda _: call("setrlimit", resource.RLIMIT_NPROC, struct.pack("QQ", 100_000, 100_000)),
    "run at real-time priority": lambda _: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "run before others": lambda _: os.setpriority(os.PRIO_PROCESS, 0, -5),
    "signal the host": lambda bait: held(bait["pid"] < 50) if bait["pid"] < 50 else os.kill(bait["pid"], 0),
    "signal everything": lambda _: held(_signal_all()),
    "dump core": lambda _: held(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)),
    "watch the file system": lambda _: syscall(300, 262, 0, 0),
}


def _capabilities() -> list[str]:
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")]


def _uid_of_setuid_program() -> int:
    """Every setuid program of /usr that prints a user id would do; without any there is nothing to gain."""
    for name in ("su", "sudo", "mount", "passwd", "newgrp"):
        if path := shutil.which(name):
            child = subprocess.Popen([path, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                status = open(f"/proc/{child.pid}/status").read()
            except OSError:
                continue
            finally:
                child.wait()
            if "\nUid:\t1000\t0" in status:
                return 0
    return 1000


def _signal_all() -> bool:
    """Kills all that this process sees; whatever of the host goes with it is missed outside."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (1, os.getpid(), os.getppid()):
            os.kill(int(name), signal.SIGCONT)
    return True
