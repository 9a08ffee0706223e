"""Starts bubblewrap with the agent's gate in it, and holds what can end it. What the sandbox is, the policy in config.json says."""

from __future__ import annotations

import binascii
import contextlib
import json
import os
import select
import signal

from agenthost.shim.birth import become_bwrap, stage, start_guard
from agenthost.shim.inspection import descendants, exact_status, inspect, parent_of
from agenthost.shim.kernel import Refused, now, own_pipe, text_file
from agenthost.shim.memory import Bound

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any

READY_FD, GO_FD = 8, 9  # inside the sandbox, known to the gate
GIVE_UP_SECONDS = 5.0
READ_BYTES = 64 * 1024
DEADLY_SIGNALS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25, 31})


class Sandbox:
    """bubblewrap, its namespace's first process and the agent, from outside."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.bound = Bound(config)
        self.guard = self.bwrap = self.first = self.agent = 0
        self.bwrap_fd = self.first_fd = self.agent_fd = -1
        self.stdin = self.stdout = self.stderr = self.ready = self.go = self.info = self.fault = -1
        self.wait_status: int | None = None
        self.checks: list[str] = []
        self.released_ns = 0

    def start(self, prompt: bytes) -> None:
        """Starts bubblewrap with the gate in it. What is opened here is the sandbox's or is closed at once."""
        self.guard, self.guard_line = start_guard()
        stdin, self.stdin = own_pipe()
        self.stdout, stdout = own_pipe()
        self.stderr, stderr = own_pipe()
        self.ready, ready = own_pipe()
        go, self.go = own_pipe()
        self.info, info = own_pipe()
        self.fault, fault = own_pipe()
        texts = {name: text_file(text.encode()) for name, text in self.config["texts"].items()}
        texts["filter"] = text_file(binascii.a2b_base64(self.config["filter"]))
        if self.config["prompt_is_file"]:
            texts["prompt"] = text_file(prompt)
        places = (
            {name: f"{stage()}/{name}" for name in self.config["sources"]}
            if os.getuid() == 0
            else self.config["sources"]
        )
        known = {f"{{{name}}}": str(place) for name, place in (texts | places).items()}
        arguments = [known.get(argument, argument) for argument in self.config["arguments"]]
        arguments_fd = text_file("\0".join(["--info-fd", str(info), *arguments]).encode() + b"\0")
        handed = [info, arguments_fd, *texts.values()]
        program = f"{places['bwrap']}/{self.config['bwrap']}"
        argv = [program, "--args", str(arguments_fd), "--", *self.config["command"]]
        self.bound.make()
        keeper = os.getpid()
        self.bwrap = os.fork()
        if self.bwrap == 0:
            placed = {0: stdin, 1: stdout, 2: stderr, READY_FD: ready, GO_FD: go}
            become_bwrap(self.config, self.bound, argv, placed, handed, keeper=keeper, group=self.guard, fault=fault)
        self.bwrap_fd = os.pidfd_open(self.bwrap)
        for fd in (stdin, stdout, stderr, ready, go, fault, *handed):
            os.close(fd)

    def wait_at_gate(self, deadline: float) -> None:
        """Waits until the sandbox is complete and the gate says so; learns who is who."""
        described = b""
        while not described.rstrip().endswith(b"}"):
            piece = self._read(self.info, deadline)
            if not piece:
                raise Refused(self._complaint())
            described += piece
        self.first = json.loads(described)["child-pid"]
        self.first_fd = os.pidfd_open(self.first)
        if parent_of(self.first) != self.bwrap:
            raise Refused("bubblewrap named a process that is not its own")
        if self._read(self.ready, deadline) != b"READY\n":
            raise Refused(self._complaint())
        inside = list(descendants(self.first))
        if len(inside) != 1:
            raise Refused(f"{len(inside)} processes are in the sandbox where only the gate should be")
        self.agent = inside[0]
        self.agent_fd = os.pidfd_open(self.agent)
        if parent_of(self.agent) != self.first:
            raise Refused("the gate is not a child of the sandbox's first process")
        # From here on the kernel ties the sandbox's life to bubblewrap's, and that to ours.
        os.kill(self.guard, signal.SIGKILL)
        os.waitpid(self.guard, 0)
        self.guard = 0

    def verify(self) -> None:
        """Looks from outside whether the confinement is in force; refuses where any of it is not."""
        model, port = self.config["model"], self.config["model_port"]
        seen = inspect(self.agent, self.config["writable"], model, port)
        for check, holds in (*seen, self.bound.described(self.agent)):
            self.checks.append(check)
            if not holds:
                raise Refused(f"the sandbox was set up, but does not hold: {check}")

    def release(self) -> None:
        """Writes down that an agent is let go, then lets it go."""
        entry = {
            "execution": self.config["execution"],
            "pid": self.agent,
            "shim": os.getpid(),
            "time_ns": self.released_ns,
        }
        log = os.open(self.config["spawn_log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(log, json.dumps(entry).encode() + b"\n")
        os.close(log)
        os.write(self.go, b"GO\n")
        os.close(self.go)

    def terminate(self) -> None:
        """Asks every process inside, however it was forked, to end."""
        inside = {self.first, *descendants(self.first)}
        for pid in inside - {self.first}:
            with contextlib.suppress(OSError):
                fd = os.pidfd_open(pid)
                # Opened first, looked at afterwards: what the descriptor means was in the sandbox, or is gone.
                with contextlib.suppress(OSError):
                    if parent_of(pid) in inside:
                        signal.pidfd_send_signal(fd, signal.SIGTERM)
                os.close(fd)

    def kill(self) -> None:
        """Ends everything, the namespace's first process before bubblewrap: otherwise it would become an orphan."""
        self.bound.kill()
        for fd in (self.first_fd, self.bwrap_fd if self.first_fd < 0 else -1):
            if fd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)

    def give_up(self) -> None:
        """Ends a sandbox that was not released, with the gate still closed."""
        self.kill()
        if self.guard:
            os.killpg(self.guard, signal.SIGKILL)
        if self.bwrap_fd >= 0:
            os.close(self.go)  # the gate reads EOF, should the rest fail
            ended = select.poll()
            ended.register(self.bwrap_fd, select.POLLIN)
            if not ended.poll(GIVE_UP_SECONDS * 1000):
                signal.pidfd_send_signal(self.bwrap_fd, signal.SIGKILL)
            os.waitpid(self.bwrap, 0)

    def ending(self) -> dict[str, int]:
        """The agent's exit code or signal; nothing when it never ran."""
        status = exact_status(self.agent_fd)
        if status is not None:
            return {"signal": status & 127} if status & 127 else {"exit_code": status >> 8}
        if self.wait_status is None or os.WIFSIGNALED(self.wait_status):
            return {"signal": int(signal.SIGKILL)}
        code = os.WEXITSTATUS(self.wait_status)
        # Older kernels: bubblewrap tells a signal as 128 + number, and programs exit with such codes too.
        return {"signal": code - 128} if code - 128 in DEADLY_SIGNALS else {"exit_code": code}

    def _read(self, fd: int, deadline: float) -> bytes:
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        if not waiting.poll(max(0.0, deadline - now()) * 1000):
            raise Refused(f"the sandbox was not ready within {self.config['setup_seconds']:g} s")
        return os.read(fd, READ_BYTES)

    def _complaint(self) -> str:
        """What the set-up died of, in its own words."""
        words = b""
        for fd in (self.fault, self.stderr):
            os.set_blocking(fd, False)
            with contextlib.suppress(OSError):
                words += os.read(fd, 4096)
        return words.decode(errors="replace").strip() or "the sandbox ended before it was ready, without a word"
