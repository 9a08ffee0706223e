"""A front that ends TLS for a server whose client certificates are optional, and passes the bytes on to its unix socket.

gRPC's own TLS for Python either requires a client certificate or does not ask for one (its C core knows a third way, which Python
cannot reach). A conductor serves callers with certificates and callers with tokens at one address, so its TLS ends here, by
Python's `ssl`. Each connection to the inner socket comes from a name of its own, by which `Peers` tells whose certificate it is.

All is bounded: connections, handshakes in a second and the time for each, lines in the log, and what is held of either side while
the other does not read. A connection is a stranger's until a call on it is admitted. Strangers give way to newer ones, those of the
machine that has the most first, and machines take turns at handshakes: so none without a certificate or token keeps others out.
"""

import asyncio
import os
import secrets
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from servicekit.addresses import Address, AddressError
from servicekit.calls.callers import Admit, Caller
from servicekit.channels import HANDSHAKE_SECONDS, MAX_CONNECTIONS
from servicekit.listeners import open_listeners
from servicekit.tls.certificates import UnreadableError, read_shown
from servicekit.tls.credentials import WatchedFiles, optional_context
from servicekit.tls.pace import Pace
from servicekit.tls.peer import FRONT_NAME, Peers
from servicekit.tls.strangers import Strangers

# Connections beyond wait for their handshakes: a flood of them must not keep the conductor from its work.
HANDSHAKES_PER_SECOND = 100
HANDSHAKES_AT_ONCE = 200
# Fewer than all connections, so that some are left for callers that were admitted.
MAX_STRANGERS = 384
REFUSALS_TOLD_AT_ONCE, REFUSALS_TOLD_PER_SECOND = 20, 0.2
# For a client to take the last bytes of a connection whose inner side has ended.
FAREWELL_SECONDS = 5.0
BACKLOG = 128
INNER = "front.sock"
_CHUNK_BYTES = 64 * 1024

_log = structlog.get_logger()


class Front:
    """Listens for TLS, and keeps its connections."""

    def __init__(self, watched: WatchedFiles, peers: Peers, folder: Path) -> None:
        """Makes a front. `folder` is where the inner socket will be; no other user may enter it."""
        self.peers = peers
        # By a descriptor, because a socket's path has at most 107 bytes.
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.inner = f"/proc/self/fd/{self._folder}/{INNER}"
        self._by_name: dict[str, Connection] = {}
        self.connecting: set[asyncio.Task[None]] = set()
        self._strangers: Strangers[Connection] = Strangers()
        self._waiting: Strangers[Connection] = Strangers()
        self._handshakes = Pace(HANDSHAKES_PER_SECOND, HANDSHAKES_AT_ONCE)
        self._turn: asyncio.TimerHandle | None = None
        self.told = Pace(REFUSALS_TOLD_PER_SECOND, REFUSALS_TOLD_AT_ONCE)
        self._watched = watched
        self._context = optional_context(watched.material)
        self._servers: list[asyncio.Server] = []

    @property
    def context(self) -> ssl.SSLContext:
        """Returns the context for a new connection: of the files as they are now."""
        if self._watched.refresh():
            self._context = optional_context(self._watched.material)
        return self._context

    async def listen(self, address: Address) -> int:
        """Listens at an address, at every one that its name stands for; returns the port. Raises AddressError."""
        loop = asyncio.get_running_loop()
        try:
            listeners = await open_listeners(address)
        except AddressError:
            await self.close()
            raise
        for listener in listeners:
            self._servers.append(await loop.create_server(lambda: Connection(self), sock=listener, backlog=BACKLOG))
        port: int = listeners[0].getsockname()[1]
        return port

    def noting(self, admit: Admit) -> Admit:
        """Returns what admits calls, and notes whose connection is no stranger's any more."""

        def admitted(method: str, context: Any) -> Caller:
            caller = admit(method, context)
            if (connection := self._by_name.get(self.peers.name_of(context))) is not None:
                self._strangers.discard(connection.machine, connection)
            return caller

        return admitted

    def take_in(self, connection: "Connection") -> bool:
        """Makes room for a new connection, and gives it its turn for the handshake; returns whether there was room."""
        if len(self._by_name) >= MAX_CONNECTIONS or len(self._strangers) >= MAX_STRANGERS:
            if (leaving := self._strangers.most_crowded()) is None:
                return False
            leaving.drop()
            self.forget(leaving)
        self._by_name[connection.name] = connection
        self._strangers.add(connection.machine, connection)
        if len(self._waiting) or not self._handshakes.is_free(asyncio.get_running_loop().time()):
            connection.wait()
            self._waiting.add(connection.machine, connection)
            self._turn = self._turn or self._next_turn()
        return True

    def forget(self, connection: "Connection") -> None:
        """Forgets a connection that has ended."""
        self._by_name.pop(connection.name, None)
        self._strangers.discard(connection.machine, connection)
        self._waiting.discard(connection.machine, connection)

    def _next_turn(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(1 / HANDSHAKES_PER_SECOND, self._give_turns)

    def _give_turns(self) -> None:
        now = asyncio.get_running_loop().time()
        while len(self._waiting) and self._handshakes.is_free(now):
            self._waiting.take().begin()
        self._turn = self._next_turn() if len(self._waiting) else None

    async def close(self) -> None:
        """Stops listening and drops all connections."""
        if self._turn is not None:
            self._turn.cancel()
        for server in self._servers:
            server.close()
        for connection in tuple(self._by_name.values()):
            connection.drop()
        for task in self.connecting:
            task.cancel()
        if self.connecting:
            await asyncio.wait(self.connecting)
        if self._folder >= 0:
            with suppress(FileNotFoundError):
                os.unlink(INNER, dir_fd=self._folder)
            os.close(self._folder)
            self._folder = -1


class Connection(asyncio.Protocol):
    """A client's connection: the handshake, then bytes both ways."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = front.context.wrap_bio(self._received, self._to_send, server_side=True)
        self.name = f"{FRONT_NAME}{secrets.token_hex(8)}"
        self.machine = ""
        self._outer: asyncio.Transport | None = None
        self._inner: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the handshake, unless there are too many connections."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (create_server's are)
        self._outer = transport
        self.machine = (transport.get_extra_info("peername") or ("",))[0]
        if not self._front.take_in(self):
            transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self.drop)

    def wait(self) -> None:
        """Reads nothing until `begin`."""
        if self._outer is not None:
            self._outer.pause_reading()

    def begin(self) -> None:
        """Begins the handshake."""
        if self._outer is not None and not self._outer.is_closing():
            self._outer.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Takes what the client sent."""
        self._received.write(data)
        if self._inner is not None:
            self._pass_in()
        else:
            self._shake_hands()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._refuse(error.reason or "not TLS")
            return
        self._flush()
        assert self._outer is not None and self._timer is not None  # noqa: PT018, S101 (a handshake has both)
        self._timer.cancel()
        self._outer.pause_reading()
        try:
            self._front.peers.note(self.name, read_shown(self._tls), self._address())
        except UnreadableError as error:
            self._refuse(str(error))
            return
        connecting = asyncio.get_running_loop().create_task(self._connect())
        self._front.connecting.add(connecting)
        connecting.add_done_callback(self._front.connecting.discard)

    def _address(self) -> str:
        host, port, *_ = (self._outer.get_extra_info("peername") if self._outer else None) or ("", 0)
        return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"

    def _refuse(self, why: str) -> None:
        """Ends the connection after the alert that tells the client why."""
        if self._front.told.is_free(asyncio.get_running_loop().time()):
            _log.info("connection_refused", peer=self._address(), why=why)
        self._flush()
        if self._outer is not None:
            self._outer.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        inner.settimeout(0)
        try:
            inner.bind(f"\0{self.name}")
            await loop.sock_connect(inner, self._front.inner)
            await loop.create_unix_connection(lambda: _Inner(self), sock=inner)
        except OSError as error:
            _log.warning("connection_not_passed_on", problem=str(error))
            inner.close()
            self.drop()

    def connected(self, inner: asyncio.Transport) -> None:
        """Begins to pass bytes on."""
        self._inner = inner
        if self._outer is None or self._outer.is_closing():
            inner.abort()
            return
        self._pass_in()
        self._outer.resume_reading()

    def _pass_in(self) -> None:
        assert self._inner is not None  # noqa: S101 (callers have looked)
        try:
            while data := self._tls.read(_CHUNK_BYTES):
                self._inner.write(data)
            self._inner.close()  # the client has said goodbye
        except ssl.SSLWantReadError:
            if self._to_send.pending:
                self._flush()
        except ssl.SSLError:
            self.drop()

    def pass_out(self, data: bytes) -> None:
        """Sends bytes of the server to the client."""
        with suppress(ssl.SSLError):  # the client has gone
            self._tls.write(data)
        self._flush()

    def _flush(self) -> None:
        if self._outer is not None and self._to_send.pending:
            self._outer.write(self._to_send.read())

    def pause_writing(self) -> None:
        """Reads no more of the server while the client does not read."""
        if self._inner is not None and not self._inner.is_closing():
            self._inner.pause_reading()

    def resume_writing(self) -> None:
        """Goes on."""
        if self._inner is not None and not self._inner.is_closing():
            self._inner.resume_reading()

    def hold(self, *, is_full: bool) -> None:
        """Reads no more of the client while the server does not read, or goes on."""
        if self._outer is not None and not self._outer.is_closing():
            self._outer.pause_reading() if is_full else self._outer.resume_reading()

    def inner_lost(self) -> None:
        """Ends the connection once the client has what was sent, or after a while."""
        if self._outer is not None and not self._outer.is_closing():
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()
            self._outer.close()
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._outer.abort)

    def drop(self) -> None:
        """Ends the connection now."""
        if self._outer is not None:
            self._outer.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's name)
        """Ends the inner connection, and forgets both."""
        self._front.forget(self)
        # Before its name is free: nothing else may take the name while it stands for a certificate.
        self._front.peers.forget(self.name)
        if self._timer is not None:
            self._timer.cancel()
        if self._inner is not None:
            self._inner.close()


class _Inner(asyncio.Protocol):
    """The connection to the server's own socket."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (create_unix_connection's are)
        self._connection.connected(transport)

    def data_received(self, data: bytes) -> None:
        self._connection.pass_out(data)

    def pause_writing(self) -> None:
        self._connection.hold(is_full=True)

    def resume_writing(self) -> None:
        self._connection.hold(is_full=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's name)
        self._connection.inner_lost()
