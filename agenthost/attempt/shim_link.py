"""Connects the daemon to a shim's control.sock: lines of JSON both ways. Their meaning is the caller's.

It needs no task of its own: the event loop calls it when the shim sends something.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agenthost.system.socket_path import short_path

MAX_LINE_BYTES = 64 * 1024
STRAY_SECONDS = 2.0


class ShimLink:
    """The connection to the shim of a folder. It may be opened again as often as it ends."""

    def __init__(
        self, folder: Path, *, on_messages: Callable[[Sequence[dict[str, Any]]], None], on_end: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._on_messages = on_messages
        self._on_end = on_end
        self._heard = b""
        self._socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Returns whether there is a connection now."""
        return self._socket is not None

    def connect(self) -> bool:
        """Connects; returns False where the shim is ending, or too busy to accept."""
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(0)
        try:
            with short_path(self._folder, "control.sock") as path:
                link.connect(path)
        except OSError:
            link.close()
            return False
        self._socket, self._heard = link, b""
        self._loop.add_reader(link, self._hear)
        return True

    async def send(self, message: Mapping[str, object]) -> None:
        """Sends the shim a message; fails with OSError when the connection is gone."""
        if self._socket is None:
            raise ConnectionResetError("there is no connection")
        await self._loop.sock_sendall(self._socket, json.dumps(message).encode() + b"\n")

    def hang_up(self) -> None:
        """Ends the connection, if there is one, without a message."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _hear(self) -> None:
        if self._socket is None:
            return
        try:
            data = self._socket.recv(MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.hang_up()
            self._on_end()
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        self._on_messages([json.loads(line) for line in lines])


def end_stray(folder: Path) -> None:
    """Tells the shim of a folder to end its agent. Blocking, within bounds."""
    line = json.dumps({"do": "cancel", "reason": "its stored Start is damaged"}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link, short_path(folder, "control.sock") as path:
        link.settimeout(STRAY_SECONDS)
        link.connect(path)
        link.sendall(line)
        # Wait until the shim has read it: it closes a connection, with unread data, that it cannot write to.
        link.shutdown(socket.SHUT_WR)
        while link.recv(MAX_LINE_BYTES):
            pass
