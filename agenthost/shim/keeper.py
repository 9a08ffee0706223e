"""Runs the loop around a released agent: carries bytes, watches clocks, obeys the daemon.

Nothing here waits for the agent to read or for a daemon to listen; every clock, buffer and queue has a limit.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterable

from agenthost.shim.clocks import KILL, Clocks
from agenthost.shim.confinement import Sandbox
from agenthost.shim.control import MAX_UNSENT_BYTES, Connection
from agenthost.shim.kernel import now
from agenthost.shim.spool import APPLIED, CLOSED, INPUT, REFUSED, STDERR, STDOUT, Spool
from agenthost.shim.turns import INPUT_CLOSED, Inputs, Turns

LISTENER_FD = 4
READ_BYTES = 64 * 1024
MAX_CONNECTIONS = 8
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
    """Carries bytes, watches clocks and obeys the daemon while the agent runs."""

    def __init__(self, config: dict[str, Any], spool: Spool, sandbox: Sandbox) -> None:
        self.config, self.spool, self.sandbox = config, spool, sandbox
        self.said_bytes = self.denials = 0
        self.listener = socket.socket(fileno=LISTENER_FD)
        self.door: socket.socket | None = None  # to the model, where the agent has one
        self.connections: dict[int, Connection] = {}
        self.inputs = Inputs()
        self.turns = Turns(config["turns"])
        self.released = now()
        self.clocks = Clocks(config, self.released)
        self.poll = select.poll()
        self.handlers: dict[int, Callable[[int], None]] = {}

    def keep(self, prompt: bytes) -> None:
        """Runs until the last process of the sandbox is dead and its pipes are empty."""
        sandbox, clocks = self.sandbox, self.clocks
        clocks.start(self.released, now(), is_watched=self.turns.is_watched)
        self.inputs.feeding = b"" if self.config["prompt_is_file"] else prompt
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
        while vital & self.handlers.keys() and not clocks.is_drained:
            self.wait()
            self.act(clocks.look(now()))
            self.watch_resources()
            self.announce()
        if sandbox.bound.folders and clocks.cause == "exited" and sandbox.bound.is_exceeded(0):
            clocks.cause, clocks.message = "memory_exceeded", "The kernel killed it."
        if clocks.cause == "exited" and (end := sandbox.end_from_outside()):
            clocks.cause, clocks.message = "sandbox_killed", end

    def watch(self, fd: int, handler: Callable[[int], None], events: int = select.POLLIN) -> None:
        """Calls a handler when something happens to a descriptor."""
        self.handlers[fd] = handler
        self.poll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Stops watching a descriptor."""
        if self.handlers.pop(fd, None):
            self.poll.unregister(fd)

    def wait(self) -> None:
        """Handles what happens until the next deadline."""
        due = self.clocks.wait_until(min(self.sandbox.bound.next_look, self.sandbox.share.next_look))
        events = self.poll.poll(max(0.0, due - now()) * 1000 + 1)
        for fd, _ in events:
            if handler := self.handlers.get(fd):
                handler(fd)

    def act(self, to_do: Iterable[str]) -> None:
        """Terminates or kills the sandbox as the clocks say."""
        for deed in to_do:
            if deed == KILL:
                self.sandbox.kill()
            else:
                self.sandbox.terminate()

    def watch_resources(self) -> None:
        """Ends an attempt that took more memory than it may; keeps a crowd of its processes off the host's processors."""
        bound, share = self.sandbox.bound, self.sandbox.share
        if share.next_look <= now():
            share.look(self.sandbox.first)
        if bound.next_look <= now() and bound.is_exceeded(self.sandbox.first):
            self.stop("memory_exceeded", bound.reason, 0)

    def stop(self, cause: str, message: str, grace: float) -> None:
        """Ends the attempt for a reason. The first reason stays."""
        self.act(self.clocks.stop(cause, message, grace, now()))

    def on_output(self, fd: int, kind: int) -> None:
        """Spools what the agent says, up to its limit."""
        data = os.read(fd, READ_BYTES)
        if not data:
            self.forget(fd)
            return
        self.clocks.note_output(now())
        kept = data[: self.config["max_output_bytes"] - self.said_bytes]
        self.said_bytes += len(kept)
        if kind == STDERR:
            self.denials += sum(kept.count(denial) for denial in DENIALS)
        if kept and (fault := self.spool.append(kind, kept)):
            self.stop(fault, "", 0)
        elif len(kept) < len(data):
            self.stop("output_too_large", f"It wrote more than {self.config['max_output_bytes']} bytes.", 0)

    def on_agent(self, fd: int) -> None:
        """Notes that the agent ended. Bubblewrap notices at once, unless the agent stopped the namespace's first process."""
        self.forget(fd)
        self.clocks.note_agent_gone(now())

    def on_bwrap(self, _: int) -> None:
        """Ends whatever still runs inside: the agent ended, and with it bubblewrap, or bubblewrap was ended."""
        self.sandbox.take_end()
        self.forget(self.sandbox.bwrap_fd)
        self.sandbox.kill()
        self.clocks.note_sandbox_gone(now())

    def feed(self) -> None:
        """Starts the next input when the agent has read the last; closes its stdin when none will come."""
        if self.turns.may_begin and (begun := self.inputs.begin()):
            self.keep_input(INPUT, *begun)
            self.begin_turn()
        if self.inputs.feeding:
            if self.sandbox.stdin not in self.handlers:
                self.watch(self.sandbox.stdin, self.on_stdin, select.POLLOUT)
        else:
            self.forget(self.sandbox.stdin)
            if not self.config["keeps_stdin"] or self.turns.is_closed:
                self.close_stdin()

    def on_stdin(self, _: int) -> None:
        """Writes to the agent as much as it takes."""
        try:
            count = os.write(self.sandbox.stdin, self.inputs.feeding[:READ_BYTES])
        except BlockingIOError:
            return
        except OSError:  # the agent closed it, or is gone
            self.close_stdin()
            return
        if applied := self.inputs.take(count):
            if self.turns.are_asked:
                self.keep_input(APPLIED, applied[1])
            self.answer(*applied, applied=True)
        if not self.inputs.feeding:
            self.feed()

    def close_stdin(self) -> None:
        """Closes the agent's stdin, and refuses the inputs that wait."""
        self.forget(self.sandbox.stdin)
        if self.sandbox.stdin >= 0:
            os.close(self.sandbox.stdin)
            self.sandbox.stdin = -1
        for asker, number in self.inputs.close():
            self.refuse(asker, number, INPUT_CLOSED)

    def refuse(self, asker: int, number: int, reason: str) -> None:
        """Refuses an input."""
        if self.turns.are_asked:
            self.turns.begun -= number == self.inputs.last  # the agent has only a part of it, if any
            self.keep_input(REFUSED, number, reason.encode())
        self.answer(asker, number, applied=False)

    def keep_input(self, kind: int, number: int, text: bytes = b"") -> None:
        """Spools what becomes of an input."""
        if fault := self.spool.append(kind, number.to_bytes(8, "little") + text):
            self.stop(fault, "", 0)

    def begin_turn(self) -> None:
        """Begins the turn of an input, where turns were asked for."""
        if self.turns.are_asked:
            self.turns.begun += 1
            self.clocks.begin_turn(now(), is_watched=self.turns.is_watched)

    def settle(self) -> None:
        """Watches the agent as the turns say, and begins the next one if it may begin."""
        self.clocks.watch_silence(now(), is_watched=self.turns.is_watched)
        if self.turns.is_closed and not self.turns.is_in_turn:
            self.clocks.expect_exit(now())
        self.feed()

    def on_listener(self, _: int) -> None:
        """Accepts a daemon; closes the oldest connection when there are too many."""
        with contextlib.suppress(OSError):
            link = self.listener.accept()[0]
            link.setblocking(False)
            if len(self.connections) >= MAX_CONNECTIONS:
                self.hang_up(next(iter(self.connections)))
            self.connections[link.fileno()] = Connection(link)
            self.watch(link.fileno(), self.on_connection)

    def on_connection(self, fd: int) -> None:
        """Obeys a daemon's messages; hangs up on nonsense."""
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
        """Does what one message asks for."""
        match message["do"]:
            case "renew":
                self.clocks.renew_lease(now())
            case "read":
                self.turns.read(fd, int(message["ended"]))
                self.settle()
            case "leave":
                self.turns.leave(fd)
                self.settle()
            case "close" if self.turns.are_asked:
                self.take_close()
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
        """Queues an input once, in order, where there is room and stdin is open."""
        if self.inputs.is_next(number) and (reason := self.turns.refusal(self.inputs)):
            self.inputs.taken = number
            self.refuse(fd, number, reason)
            return
        applied = self.inputs.offer(number, text, fd)
        if applied is None:
            self.feed()
        else:
            self.answer(fd, number, applied=applied)

    def take_close(self) -> None:
        """Refuses the inputs that wait, and closes stdin when the agent has read all that was begun."""
        if not self.turns.is_closed:
            self.turns.is_closed = True
            self.keep_input(CLOSED, self.inputs.taken)
            for asker, number in self.inputs.drop_queued():
                self.refuse(asker, number, INPUT_CLOSED)
            self.settle()

    def answer(self, fd: int, number: int, *, applied: bool) -> None:
        """Sends the result of an input to its asker, if it is still connected."""
        if connection := self.connections.get(fd):
            connection.say({"input": number, "applied": applied})

    def announce(self) -> None:
        """Sends the spool's length to every daemon that has taken the last message."""
        for fd, connection in list(self.connections.items()):
            try:
                if not connection.is_gateway and not connection.unsent and connection.reported_size != self.spool.size:
                    connection.reported_size = self.spool.size
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
        self.turns.leave(fd)
        self.clocks.watch_silence(now(), is_watched=self.turns.is_watched)
