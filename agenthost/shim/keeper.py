"""The loop around a released agent: carries bytes, watches clocks, does as the daemon says.

Nothing here waits for the agent to read or for a daemon to listen; every clock, buffer and queue has a limit.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections import deque
from collections.abc import Callable

from agenthost.shim.confinement import Sandbox
from agenthost.shim.control import MAX_UNSENT_BYTES, Connection
from agenthost.shim.kernel import now
from agenthost.shim.spool import INPUT, STDERR, STDOUT, Spool

LISTENER_FD = 4
DRAIN_SECONDS = 5.0  # from the death of the last process to the end of its pipes
UNNOTICED_SECONDS = 1.0
LATE_SECONDS = 1.0
LATE_GRACE_SECONDS = 10.0  # the daemon gets this to come back after the machine slept
LONGEST_WAIT_SECONDS = 1.0  # a signal is acted upon after this at the latest
READ_BYTES = 64 * 1024
MAX_CONNECTIONS = 8
MAX_WAITING_INPUTS = 8
MAX_WAITING_INPUT_BYTES = 1024 * 1024
DENIALS = (
    b"Read-only file system",
    b"EROFS",
    b"Permission denied",
    b"Operation not permitted",
    b"Network is unreachable",
)

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any


class Keeper:
    """The loop around a released agent: carries bytes, watches clocks, does as the daemon says, writes the end down."""

    def __init__(self, config: dict[str, Any], spool: Spool, sandbox: Sandbox) -> None:
        self.config, self.spool, self.sandbox = config, spool, sandbox
        self.cause, self.message = "exited", ""
        self.said_bytes = self.denials = 0
        self.listener = socket.socket(fileno=LISTENER_FD)
        self.door: socket.socket | None = None  # to the model, where the agent has one
        self.connections: dict[int, Connection] = {}
        self.inputs: deque[tuple[int, bytes, int]] = deque()  # number, text, who asked
        self.last_input = 0
        self.feeding = b""  # what of the prompt, or of the first input, the agent has not read yet
        self.released = now()
        self.looked = self.due = self.released  # when the clocks were last looked at, and until when that held
        self.deadlines: dict[str, float] = {}
        self.poll = select.poll()
        self.handlers: dict[int, Callable[[int], None]] = {}

    def keep(self, prompt: bytes) -> None:
        """Runs until the last process of the sandbox is dead and its pipes are empty."""
        config, sandbox = self.config, self.sandbox
        self.looked = self.due = now()
        self.deadlines = {
            "first_output_timeout": self.released + config["first_output_timeout_seconds"],
            "timeout": self.released + config["timeout_seconds"],
            "idle_timeout": self.released + config["idle_timeout_seconds"],
            "orphaned": self.released + config["orphan_timeout_seconds"],
        }
        self.feeding = b"" if config["prompt_is_file"] else prompt
        self.listener.setblocking(False)
        for fd in (sandbox.stdin, sandbox.stdout, sandbox.stderr):
            os.set_blocking(fd, False)
        self.watch(LISTENER_FD, self.on_listener)
        self.watch(sandbox.stdout, lambda _: self.on_output(sandbox.stdout, STDOUT))
        self.watch(sandbox.stderr, lambda _: self.on_output(sandbox.stderr, STDERR))
        self.watch(sandbox.bwrap_fd, self.on_bwrap)
        self.watch(sandbox.agent_fd, self.on_agent)
        self.watch(sandbox.first_fd, lambda _: self.forget(sandbox.first_fd))
        self.feed()
        vital = {sandbox.stdout, sandbox.stderr, sandbox.bwrap_fd, sandbox.first_fd}
        while vital & self.handlers.keys() and "drained" not in self.overdue():
            self.wait()
            self.obey_clocks()
            self.watch_memory()
            self.announce()
        if sandbox.bound.folders and self.cause == "exited" and sandbox.bound.is_exceeded(0):
            self.cause, self.message = "memory_exceeded", "It was killed for it."
        if self.cause == "exited" and (end := sandbox.end_from_outside()):
            self.cause, self.message = "sandbox_killed", end

    def watch(self, fd: int, handler: Callable[[int], None], events: int = select.POLLIN) -> None:
        """Calls a handler when something happens to a descriptor."""
        self.handlers[fd] = handler
        self.poll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Stops watching a descriptor."""
        if self.handlers.pop(fd, None):
            self.poll.unregister(fd)

    def overdue(self) -> list[str]:
        """The clocks that ran out when they were last looked at."""
        return [cause for cause, deadline in self.deadlines.items() if deadline <= self.looked]

    def wait(self) -> None:
        """Handles what happens until the next deadline."""
        next_look = self.sandbox.bound.next_look
        self.due = max(self.looked, min(self.looked + LONGEST_WAIT_SECONDS, next_look, *self.deadlines.values()))
        events = self.poll.poll(max(0.0, self.due - now()) * 1000 + 1)
        for fd, _ in events:
            if handler := self.handlers.get(fd):
                handler(fd)

    def obey_clocks(self) -> None:
        """Ends what ran out of time; kills what did not end when asked.

        Who looks late was asleep, wherever that was, and so was whoever is to renew the lease: both get some time to wake up.
        """
        self.looked = now()
        if self.looked > self.due + LATE_SECONDS:
            for cause in {"orphaned", "idle_timeout", "first_output_timeout"} & self.deadlines.keys():
                self.deadlines[cause] = max(self.deadlines[cause], self.looked + LATE_GRACE_SECONDS)
        for cause in self.overdue():
            if cause == "kill":
                self.sandbox.kill()
                self.deadlines["kill"] = now() + 1
            elif cause != "drained":
                self.stop(cause, "", self.config["grace_seconds"])

    def watch_memory(self) -> None:
        """Ends an attempt that took more memory than it may."""
        bound = self.sandbox.bound
        if bound.next_look <= now() and bound.is_exceeded(self.sandbox.first):
            self.stop("memory_exceeded", "", 0)

    def stop(self, cause: str, message: str, grace: float) -> None:
        """Ends the attempt for a reason. The first reason stays."""
        if "kill" not in self.deadlines and self.sandbox.wait_status is None:
            self.cause, self.message = cause, message
            self.deadlines = {"kill": now() + grace}
            if grace > 0:
                self.sandbox.terminate()
        elif "kill" in self.deadlines:
            self.deadlines["kill"] = min(self.deadlines["kill"], now() + grace)

    def on_output(self, fd: int, kind: int) -> None:
        """Spools what the agent says, up to its limit."""
        data = os.read(fd, READ_BYTES)
        if not data:
            self.forget(fd)
            return
        self.deadlines.pop("first_output_timeout", None)
        if "idle_timeout" in self.deadlines:
            self.deadlines["idle_timeout"] = now() + self.config["idle_timeout_seconds"]
        kept = data[: self.config["max_output_bytes"] - self.said_bytes]
        self.said_bytes += len(kept)
        if kind == STDERR:
            self.denials += sum(kept.count(denial) for denial in DENIALS)
        if kept and (fault := self.spool.append(kind, kept)):
            self.stop(fault, "", 0)
        elif len(kept) < len(data):
            self.stop("output_too_large", f"It wrote more than {self.config['max_output_bytes']} bytes.", 0)

    def on_agent(self, fd: int) -> None:
        """The agent ended. Bubblewrap notices at once, unless the agent stopped the namespace's first process."""
        self.forget(fd)
        if "kill" not in self.deadlines and self.sandbox.wait_status is None:
            self.deadlines = {"kill": now() + UNNOTICED_SECONDS}

    def on_bwrap(self, _: int) -> None:
        """The agent ended, and with it bubblewrap, or bubblewrap was ended: whatever else runs inside ends now."""
        self.sandbox.take_end()
        self.forget(self.sandbox.bwrap_fd)
        self.sandbox.kill()
        self.deadlines = {"drained": now() + DRAIN_SECONDS}

    def feed(self) -> None:
        """Starts the next input when the agent has read the last; closes its stdin when none will come."""
        if not self.feeding and self.inputs and self.inputs[0][0] > self.last_input:
            self.last_input, text, _ = self.inputs[0]
            if fault := self.spool.append(INPUT, self.last_input.to_bytes(8, "little") + text):
                self.stop(fault, "", 0)
            self.feeding = text
        if self.feeding:
            if self.sandbox.stdin not in self.handlers:
                self.watch(self.sandbox.stdin, self.on_stdin, select.POLLOUT)
        else:
            self.forget(self.sandbox.stdin)
            if not self.config["keeps_stdin"]:
                self.close_stdin()

    def on_stdin(self, _: int) -> None:
        """Gives the agent as much as it takes."""
        try:
            self.feeding = self.feeding[os.write(self.sandbox.stdin, self.feeding[:READ_BYTES]) :]
        except BlockingIOError:
            return
        except OSError:  # the agent closed it, or is gone
            self.close_stdin()
            return
        if not self.feeding and self.inputs and self.inputs[0][0] == self.last_input:
            number, _text, asker = self.inputs.popleft()
            self.answer(asker, number, applied=True)
        if not self.feeding:
            self.feed()

    def close_stdin(self) -> None:
        """Ends what the agent can be told."""
        self.feeding = b""
        self.forget(self.sandbox.stdin)
        if self.sandbox.stdin >= 0:
            os.close(self.sandbox.stdin)
            self.sandbox.stdin = -1
        while self.inputs:
            number, _text, asker = self.inputs.popleft()
            self.answer(asker, number, applied=False)

    def on_listener(self, _: int) -> None:
        """Lets a daemon in; the oldest goes when there are too many."""
        with contextlib.suppress(OSError):
            link = self.listener.accept()[0]
            link.setblocking(False)
            if len(self.connections) >= MAX_CONNECTIONS:
                self.hang_up(next(iter(self.connections)))
            self.connections[link.fileno()] = Connection(link)
            self.watch(link.fileno(), self.on_connection)

    def on_connection(self, fd: int) -> None:
        """Does what a daemon says; hangs up on nonsense."""
        connection = self.connections[fd]
        try:
            for message in connection.hear() if connection.readable() else ():
                self.obey(fd, message)
            connection.flush()
        except BlockingIOError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            self.hang_up(fd)

    def obey(self, fd: int, message: dict[str, Any]) -> None:
        """Does one thing that a daemon asked for."""
        match message["do"]:
            case "renew":
                if "orphaned" in self.deadlines:
                    self.deadlines["orphaned"] = now() + self.config["orphan_timeout_seconds"]
            case "cancel":
                cause = "host_stopped" if message.get("cause") == "host_stopped" else "cancelled"
                self.stop(cause, str(message["reason"])[:1000], self.config["grace_seconds"])
            case "input":
                self.take_input(fd, int(message["number"]), str(message["text"]).encode())
            case "door" if self.door:
                self.connections[fd].hand(self.door.fileno())
            case other:
                raise ValueError(other)

    def take_input(self, fd: int, number: int, text: bytes) -> None:
        """Queues an input once, in order, where there is room and somebody to read it."""
        waiting = [queued for queued, _, _ in self.inputs]
        if number in waiting:
            at = waiting.index(number)
            self.inputs[at] = (*self.inputs[at][:2], fd)
        elif number <= self.last_input:
            self.answer(fd, number, applied=True)
        elif (
            self.sandbox.stdin < 0
            or number != max([self.last_input, *waiting]) + 1
            or len(waiting) >= MAX_WAITING_INPUTS
            or sum(len(queued) for _, queued, _ in self.inputs) + len(text) > MAX_WAITING_INPUT_BYTES
        ):
            self.answer(fd, number, applied=False)
        else:
            self.inputs.append((number, text, fd))
            self.feed()

    def answer(self, fd: int, number: int, *, applied: bool) -> None:
        """Tells who asked what became of an input, if it is still there."""
        if connection := self.connections.get(fd):
            connection.say({"input": number, "applied": applied})

    def announce(self) -> None:
        """Tells every daemon how long the spool is, unless it has not taken the last word yet."""
        for fd, connection in list(self.connections.items()):
            try:
                if not connection.is_gateway and not connection.unsent and connection.told_size != self.spool.size:
                    connection.told_size = self.spool.size
                    connection.say({"size": self.spool.size})
            except OSError:
                self.hang_up(fd)
                continue
            if len(connection.unsent) > MAX_UNSENT_BYTES:
                self.hang_up(fd)
            else:
                self.poll.modify(fd, select.POLLIN | (select.POLLOUT if connection.unsent else 0))

    def hang_up(self, fd: int) -> None:
        """Ends a connection. The attempt goes on: only the lease ends it."""
        self.forget(fd)
        self.connections.pop(fd).link.close()
