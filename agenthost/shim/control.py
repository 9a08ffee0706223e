"""Speaks the shim's side of control.sock: lines of JSON both ways, never waiting for the other side.

In: {"do": "renew"}, {"do": "cancel", "reason", "cause"}, {"do": "input", "number", "text"}, {"do": "door"}. Where turns were asked
for, also {"do": "read", "ended": turns} of a daemon that has read all output up to now, {"do": "leave"} when it does not read any
more, and {"do": "close"}.
Out: {"size": spool length} as it grows, {"input": number, "applied": true} when the agent's stdin has it; to "door", which a
gateway asks, {"door": true} with the descriptor, and from then on nothing but the end.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
from collections.abc import Iterator

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any

READ_BYTES = 64 * 1024
MAX_LINE_BYTES = 2 * 1024 * 1024  # an input of 256 KiB in JSON's widest spelling
MAX_UNSENT_BYTES = 64 * 1024


class Connection:
    """A connection to a daemon or a gateway. It never waits for the other side."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.heard = b""
        self.unsent = b""
        self.reported_size = -1
        self.is_gateway = False

    def say(self, message: dict[str, Any]) -> None:
        """Sends what can be sent now; the rest follows when there is room."""
        self.unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def hand(self, fd: int) -> None:
        """Sends a descriptor; from now on the connection is a gateway's."""
        self.is_gateway = True
        socket.send_fds(self.link, [b'{"door": true}\n'], [fd])

    def flush(self) -> None:
        """Sends more of what waits."""
        with contextlib.suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.link.send(self.unsent) :]

    def readable(self) -> bool:
        """Returns whether there is something to read, an end included."""
        with contextlib.suppress(BlockingIOError):
            self.link.recv(1, socket.MSG_PEEK)
            return True
        return False

    def hear(self) -> Iterator[dict[str, Any]]:
        """Yields the complete messages; fails with ValueError or OSError when the other side is faulty or gone."""
        data = self.link.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        *lines, self.heard = (self.heard + data).split(b"\n")
        if len(self.heard) > MAX_LINE_BYTES:
            raise ValueError("a line without end")
        for line in lines:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ValueError("not a message")  # noqa: TRY004 - one kind of error for every faulty message
            yield message
