"""Serves one page over HTTP: `GET /metrics`. One answer a connection, a few connections at a time, and a clock for each.

Readers are hostile: a head that is too long or too slow ends the connection, and a reader that takes nothing is cut off. Beyond
this machine the page is served by TLS, to readers that a door admits.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import h11
import structlog

from servicekit.addresses import Address, SocketLock
from servicekit.errors import StatusError
from servicekit.listeners import open_listeners
from servicekit.tls.strangers import Strangers

if TYPE_CHECKING:
    from servicekit.tls.readers import ReaderDoor

MAX_READERS = 8
MAX_CONNECTIONS = 32  # a newer one ends the oldest of the machine with the most
MAX_HEAD_BYTES = 8 * 1024
HANDSHAKE_SECONDS = 5.0
HEAD_SECONDS = 5.0
SEND_SECONDS = 5.0
RETRY_SECONDS = 0.2

_PLAIN = "text/plain; charset=utf-8"
_STATUSES = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403}

_log = structlog.get_logger(__name__)


class Exposition:
    """The page's server. It is a part that works until it is cancelled."""

    def __init__(
        self,
        address: Address,
        read: Callable[[], Awaitable[bytes]],
        content_type: str,
        door: "ReaderDoor | None" = None,
    ) -> None:
        self._asked = address
        self._read = read
        self._content_type = content_type
        self._door = door
        self._connections: Strangers[asyncio.Task[None]] = Strangers()
        self._admitted: set[asyncio.Task[Any] | None] = set()
        self.address = ""
        self.serves = asyncio.Event()

    async def run(self) -> None:
        """Listens and serves. AddressError: nothing can listen there."""
        with contextlib.ExitStack() as stack:
            listeners = await self._listen(stack)
            self.serves.set()
            _log.info("metrics_served", address=self.address, tls=self._door is not None)
            async with asyncio.TaskGroup() as tasks:
                for listener in listeners:
                    tasks.create_task(self._accept(listener, tasks))

    async def _listen(self, stack: contextlib.ExitStack) -> list[socket.socket]:
        path = self._asked.socket
        if path is None:
            listeners = await open_listeners(self._asked)
            for listener in listeners:
                stack.enter_context(listener)
            self.address = f"{self._asked.target.rpartition(':')[0]}:{listeners[0].getsockname()[1]}"
            return listeners
        lock = SocketLock(path)
        lock.acquire()
        stack.callback(lock.release)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.settimeout(0)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(MAX_CONNECTIONS)
        self.address = self._asked.text
        return [listener]

    async def _accept(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                link, source = await loop.sock_accept(listener)
            except OSError:  # too many files are open, or the reader has left already
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if len(self._connections) >= MAX_CONNECTIONS and (oldest := self._connections.most_crowded()) is not None:
                oldest.cancel()
                await asyncio.wait([oldest])
            machine, task = source[0] if source else "", tasks.create_task(self._serve(link))
            self._connections.add(machine, task)
            task.add_done_callback(partial(self._connections.discard, machine))

    async def _serve(self, link: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, TimeoutError, h11.ProtocolError):  # of TLS, too
                reader, writer = await self._open(link)
                try:
                    await self._answer(reader, writer)
                    writer.close()
                    async with asyncio.timeout(SEND_SECONDS):
                        await writer.wait_closed()
                finally:
                    writer.transport.abort()
        except Exception:  # noqa: BLE001 - the task's top: one reader's trouble must not become the service's
            _log.exception("metrics_not_told")
        finally:
            self._admitted.discard(asyncio.current_task())
            link.close()

    async def _open(self, link: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=MAX_HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        secured: dict[str, Any] = {}
        if self._door is not None:
            secured = {"ssl": self._door.context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
            secured["ssl_shutdown_timeout"] = SEND_SECONDS
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, link, **secured)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        async with asyncio.timeout(HEAD_SECONDS):
            while (head := http.next_event()) is h11.NEED_DATA:
                http.receive_data(await reader.read(MAX_HEAD_BYTES))
        if not isinstance(head, h11.Request):
            return
        status, content_type, body = await self._choose(head, writer)
        headers = [("content-type", content_type), ("content-length", str(len(body))), ("connection", "close")]
        headers += [("www-authenticate", "Bearer")] if status == _STATUSES["UNAUTHENTICATED"] else []
        pieces = [http.send(h11.Response(status_code=status, headers=headers))]
        pieces += [http.send(h11.Data(data=b"" if head.method == b"HEAD" else body)), http.send(h11.EndOfMessage())]
        writer.write(b"".join(piece or b"" for piece in pieces))

    async def _choose(self, head: h11.Request, writer: asyncio.StreamWriter) -> tuple[int, str, bytes]:
        if (refusal := self._refuse(head, writer)) is not None:
            return refusal
        if head.method not in {b"GET", b"HEAD"}:
            return 405, _PLAIN, b"only GET and HEAD are served\n"
        if head.target.partition(b"?")[0] != b"/metrics":
            return 404, _PLAIN, b"the metrics are at /metrics\n"
        self._admitted.add(asyncio.current_task())
        if len(self._admitted) > MAX_READERS:
            return 503, _PLAIN, b"too many readers at once\n"
        return 200, self._content_type, await self._read()

    def _refuse(self, head: h11.Request, writer: asyncio.StreamWriter) -> tuple[int, str, bytes] | None:
        """Returns the refusal of a reader whom the door does not admit."""
        if self._door is None:
            return None
        from servicekit.tls.certificates import read_shown  # noqa: PLC0415 (only a service with TLS loads it)
        from servicekit.tls.readers import Reader  # noqa: PLC0415 (as above)

        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
        try:
            shown = read_shown(writer.get_extra_info("ssl_object"))
            self._door.admit(Reader(str(writer.get_extra_info("peername")), headers, shown))
        except StatusError as error:
            text = f"{error}\n{error.hint}\n" if error.hint else f"{error}\n"
            return _STATUSES.get(error.code, 403), _PLAIN, text.encode()
        except ValueError as error:  # a certificate that cannot be read
            return 401, _PLAIN, f"{error}\n".encode()
        return None
