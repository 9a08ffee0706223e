"""Starts bubblewrap with the agent's gate in it, and holds the descriptors that can end it. config.json has the policy."""

from __future__ import annotations

import binascii
import contextlib
import json
import os
import select
import signal

from agenthost.shim.bounds.memory import Bound
from agenthost.shim.bounds.processor import Share
from agenthost.shim.bounds.user import User
from agenthost.shim.bwrap_start import become_bwrap, stage, start_guard
from agenthost.shim.inspection import descendants, exact_status, inspect, parent_of, pinned
from agenthost.shim.kernel import Interrupted, Refused, now, own_pipe, text_file
from agenthost.shim.setup_failure import describe_end, judge_setup_failure, signal_in

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any

READY_FD, GO_FD = 8, 9  # inside the sandbox, known to the gate
GIVE_UP_SECONDS = 5.0
NICENESS = 5  # on a busy machine, a third of the time of processes without niceness
READ_BYTES = 64 * 1024
# From the moment a process cannot be inspected any more until the kernel reports its end.
DYING_SECONDS = 0.1
SILENCE = "the sandbox ended before it was ready, without a message"


class Sandbox:
    """Controls bubblewrap, its namespace's first process and the agent from outside."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.user = User(config["uid"])
        self.uid = self.user.uid
        self.bound = Bound(config)
        self.share = Share(self.bound, NICENESS)
        self.guard = self.bwrap = self.first = self.agent = 0
        self.bwrap_fd = self.first_fd = self.agent_fd = -1
        self.stdin = self.stdout = self.stderr = self.ready = self.go = self.info = self.fault = -1
        self.wait_status: int | None = None
        self.was_killed = self.was_killed_externally = False
        self.words = b""
        self.checks: list[str] = list(config["remarks"])
        self.released_ns = 0

    def start(self, prompt: bytes) -> None:
        """Starts bubblewrap with the gate in it. Every descriptor opened here is the sandbox's, or is closed at once."""
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
        given = self.config["arguments"]
        # A variable's value is the agent's own text, even where it reads as one of our names.
        arguments = [
            argument if given[at - 2 : at - 1] == ["--setenv"] else known.get(argument, argument)
            for at, argument in enumerate(given)
        ]
        arguments_fd = text_file("\0".join(["--info-fd", str(info), *arguments]).encode() + b"\0")
        handed = [info, arguments_fd, *texts.values()]
        program = f"{places['bwrap']}/{self.config['bwrap']}"
        argv = [program, "--args", str(arguments_fd), "--", *self.config["command"]]
        self.bound.make()
        keeper = os.getpid()
        self.bwrap = os.fork()
        if self.bwrap == 0:
            placed = {0: stdin, 1: stdout, 2: stderr, READY_FD: ready, GO_FD: go}
            become_bwrap(
                self.config,
                self.bound,
                argv,
                placed,
                handed,
                uid=self.uid,
                keeper=keeper,
                group=self.guard,
                fault=fault,
            )
        self.bwrap_fd = os.pidfd_open(self.bwrap)
        for fd in (stdin, stdout, stderr, ready, go, fault, *handed):
            os.close(fd)

    def wait_at_gate(self, deadline: float) -> None:
        """Waits until the sandbox is complete and the gate says so; learns its processes' ids."""
        described = b""
        while not described.rstrip().endswith(b"}"):
            piece = self._read(self.info, deadline)
            if not piece:
                raise Refused(self.hear() or SILENCE)
            described += piece
        self.first = json.loads(described)["child-pid"]
        try:
            self.first_fd = os.pidfd_open(self.first)
        except ProcessLookupError as error:  # it ended at once, and has said why
            raise Refused(self.hear() or SILENCE) from error
        if (word := self._read(self.ready, deadline)) != b"READY\n":
            raise Refused(self.hear() or (f"the gate said {word!r}" if word else SILENCE))
        # Only now: if bubblewrap is killed before its child is bound to it, the child gets ready all the same.
        if parent_of(self.first) != self.bwrap:
            raise Refused("bubblewrap named a process that is not its own")
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
        """Checks from outside that the confinement is in force; refuses where any of it is not."""
        model, port = self.config["model"], self.config["model_port"]
        seen = inspect(self.agent, self.config["writable"], model, port)
        bounds = (self.share.described(), True), (self.user.described(), True), self.bound.described(self.agent)
        for check, holds in (*seen, *pinned(self.agent, self.config["pins"]), *bounds):
            self.checks.append(check)
            if not holds:
                raise Refused(f"the sandbox was set up, but does not hold: {check}")

    def release(self) -> None:
        """Writes to the spawn log that an agent is released, then releases it."""
        self.share.give_way(self.agent)
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
                # Opened before the check: the descriptor means a process that was in the sandbox, or is gone.
                with contextlib.suppress(OSError):
                    if parent_of(pid) in inside:
                        signal.pidfd_send_signal(fd, signal.SIGTERM)
                os.close(fd)

    def kill(self) -> None:
        """Ends everything, the namespace's first process before bubblewrap: otherwise it would become an orphan.

        Bubblewrap then ends by itself, unless it was stopped: a second call finds it alive, and ends it too.
        """
        self.bound.kill()
        processes = [self.first_fd if self.first_fd >= 0 else self.bwrap_fd]
        if self.was_killed and self._ends_within(0, processes[0]):
            processes.append(self.bwrap_fd)
        self.was_killed = True
        for fd in processes:
            if fd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)

    def explain(self, error: Exception) -> dict[str, Any]:
        """Returns why the agent was not released. Call it before ending anything for it."""
        self._see_end()
        ended_by, words = signal_in(self.wait_status), self.hear()
        was_starved = bool(ended_by and self.bound.folders and self.bound.is_exceeded(0))
        cause = judge_setup_failure(error, ended_by=ended_by, has_words=bool(words), was_starved=was_starved)
        end = "" if words else describe_end(self.wait_status, was_starved=was_starved)
        return {"cause": cause, "message": f"{error}{end}"}

    def give_up(self) -> None:
        """Ends a sandbox that was not released, with the gate still closed."""
        self.kill()
        if self.guard:
            os.killpg(self.guard, signal.SIGKILL)
        if self.bwrap_fd >= 0:
            os.close(self.go)  # the gate reads EOF, even if the rest fails
        if self.bwrap_fd >= 0 and self.wait_status is None:
            if not self._ends_within(GIVE_UP_SECONDS, self.bwrap_fd):
                signal.pidfd_send_signal(self.bwrap_fd, signal.SIGKILL)
            os.waitpid(self.bwrap, 0)

    def _see_end(self) -> None:
        """Learns how the sandbox ended by itself, if it did. Waits a moment for one that is dying."""
        known = [fd for fd in (self.bwrap_fd, self.first_fd, self.agent_fd) if fd >= 0]
        if known and self._ends_within(DYING_SECONDS, *known) and self._ends_within(GIVE_UP_SECONDS, self.bwrap_fd):
            self.wait_status = os.waitpid(self.bwrap, 0)[1]

    @staticmethod
    def _ends_within(seconds: float, *processes: int) -> bool:
        """Returns whether any of these processes ends in time."""
        ended = select.poll()
        for fd in processes:
            ended.register(fd, select.POLLIN)
        return bool(ended.poll(seconds * 1000))

    def take_end(self) -> None:
        """Reaps bubblewrap, which reports the end of what was inside by an exit code."""
        self.wait_status = os.waitpid(self.bwrap, 0)[1]
        self.was_killed_externally = os.WIFSIGNALED(self.wait_status) and not self.was_killed

    def end_from_outside(self) -> str:
        """Returns the signal by which a process on the host ended bubblewrap, and with it a working agent; empty if none did."""
        if not self.was_killed_externally or self.ending() != {"signal": int(signal.SIGKILL)}:
            return ""
        return f"signal {signal_in(self.wait_status)}"

    def ending(self) -> dict[str, int]:
        """Returns the agent's exit code or signal; nothing when it never ran."""
        status = exact_status(self.agent_fd)
        if status is not None:
            return {"signal": status & 127} if status & 127 else {"exit_code": status >> 8}
        if self.wait_status is None or os.WIFSIGNALED(self.wait_status):
            return {"signal": int(signal.SIGKILL)}
        # Older kernels: bubblewrap reports a signal as 128 + number, and programs exit with such codes too.
        number = signal_in(self.wait_status)
        return {"signal": number} if number else {"exit_code": os.WEXITSTATUS(self.wait_status)}

    def _read(self, fd: int, deadline: float) -> bytes:
        """Reads what comes, or nothing when nothing will: another process may hold the pipe of a bubblewrap that is dead."""
        waiting = select.poll()
        for watched in (fd, self.bwrap_fd):
            waiting.register(watched, select.POLLIN)
        if not waiting.poll(max(0.0, deadline - now()) * 1000):
            raise Interrupted(f"the sandbox was not ready within {self.config['setup_seconds']:g} s")
        waiting.unregister(self.bwrap_fd)
        return os.read(fd, READ_BYTES) if waiting.poll(0) else b""

    def hear(self) -> str:
        """Returns what was said during the set-up: bubblewrap's own message."""
        for fd in (self.fault, self.stderr):
            with contextlib.suppress(OSError):
                os.set_blocking(fd, False)
                self.words += os.read(fd, 4096)
        return self.words.decode(errors="replace").strip()
