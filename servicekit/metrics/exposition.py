"""Serves one page over HTTP: `GET /metrics`. One answer a connection, a few connections at a time, and a clock for each.

Readers are hostile: a head that is too long or too slow ends the connection, and a reader that takes nothing is cut off.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import h11
import structlog

from servicekit.addresses import Address, SocketLock, unusable

MAX_READERS = 8
MAX_CONNECTIONS = 32  # more are closed unread
MAX_HEAD_BYTES = 8 * 1024
HEAD_SECONDS = 5.0
SEND_SECONDS = 10.0
BACKLOG = 16

_log = structlog.get_logger(__name__)


class Exposition:
    """The page's server. It is a part that works until it is cancelled."""

    def __init__(self, address: Address, read: Callable[[], Awaitable[bytes]], content_type: str) -> None:
        self._asked = address
        self._read = read
        self._content_type = content_type
        self._readers = 0
        self.address = ""
        self.serves = asyncio.Event()

    async def run(self) -> None:
        """Listens and serves. AddressError: nothing can listen there."""
        lock = SocketLock(self._asked.socket) if self._asked.socket else None
        if lock:
            lock.acquire()
        try:
            server = await self._listen()
            async with server:
                self.serves.set()
                _log.info("metrics_served", address=self.address)
                await server.serve_forever()
        finally:
            if lock:
                lock.release()

    async def _listen(self) -> asyncio.Server:
        address = self._asked
        if address.socket:
            server = await asyncio.start_unix_server(self._serve, address.socket, limit=MAX_HEAD_BYTES, backlog=BACKLOG)
            address.socket.chmod(0o600)
            self.address = address.text
            return server
        host, _, port = address.target.rpartition(":")
        try:
            server = await asyncio.start_server(
                self._serve, host.strip("[]"), int(port), limit=MAX_HEAD_BYTES, backlog=BACKLOG
            )
        except (OSError, socket.gaierror) as error:
            raise unusable(address) from error
        self.address = f"{host}:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._readers += 1
        try:
            if self._readers <= MAX_CONNECTIONS:
                with contextlib.suppress(OSError, TimeoutError, h11.ProtocolError):
                    await self._answer(reader, writer)
        finally:
            self._readers -= 1
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        async with asyncio.timeout(HEAD_SECONDS):
            while (head := http.next_event()) is h11.NEED_DATA:
                http.receive_data(await reader.read(MAX_HEAD_BYTES))
        if not isinstance(head, h11.Request):
            return
        status, content_type, body = await self._choose(head)
        headers = [("content-type", content_type), ("content-length", str(len(body))), ("connection", "close")]
        pieces = [http.send(h11.Response(status_code=status, headers=headers))]
        pieces += [http.send(h11.Data(data=b"" if head.method == b"HEAD" else body)), http.send(h11.EndOfMessage())]
        writer.write(b"".join(piece or b"" for piece in pieces))
        async with asyncio.timeout(SEND_SECONDS):
            writer.transport.set_write_buffer_limits(high=0)
            await writer.drain()

    async def _choose(self, head: h11.Request) -> tuple[int, str, bytes]:
        plain = "text/plain; charset=utf-8"
        if head.method not in {b"GET", b"HEAD"}:
            return 405, plain, b"only GET and HEAD are served\n"
        if head.target.partition(b"?")[0] != b"/metrics":
            return 404, plain, b"the metrics are at /metrics\n"
        if self._readers > MAX_READERS:
            return 503, plain, b"too many readers at once\n"
        return 200, self._content_type, await self._read()
