"""A TCP proxy of our own: the network between two processes, and everything that a network does to those who trust it.

It listens on loopback and carries to a unix socket or to a port. What it does to bytes is its mood: pass them on, hold them up,
swallow them without a word (the connection stays, as when a cable is pulled), or drip them. `reset` ends every connection with
RST, and counts those that had calls open: only these are disconnects that a caller felt.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from tests.chaos.open_streams import OpenStreams, SealedStreams

READ_BYTES = 64 * 1024
SLOW_BYTES = 1024
SLOW_PAUSE_SECONDS = 0.05
DELAY_SECONDS = 0.08
_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Mood(StrEnum):
    """Names what becomes of bytes."""

    PASS = "pass"
    DELAY = "delay"
    BLACKHOLE = "blackhole"
    SLOW = "slow"


@dataclass(slots=True, eq=False)
class _Connection:
    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    streams: OpenStreams | SealedStreams

    def reset(self) -> None:
        for writer in self.writers:
            found = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            writer.transport.abort()


class Proxy:
    """The network in front of one server. Use it as a context."""

    def __init__(self, upstream: str, *, is_sealed: bool = False) -> None:
        """Makes one in front of that address; `is_sealed`: it is spoken to by TLS."""
        self._upstream = upstream
        self._is_sealed = is_sealed
        self._connections: set[_Connection] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._calm = asyncio.Event()
        self._calm.set()
        self.mood = Mood.PASS
        self.disconnects = 0
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=READ_BYTES)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.set_mood(Mood.PASS)
        for connection in list(self._connections):
            connection.reset()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    @property
    def open_streams(self) -> int:
        """Returns how many calls are open through it."""
        return sum(len(connection.streams.open) for connection in self._connections)

    def set_mood(self, mood: Mood) -> None:
        """From now on, and for what is under way."""
        self.mood = mood
        if mood is Mood.BLACKHOLE:
            self._calm.clear()
        else:
            self._calm.set()

    def reset(self) -> int:
        """Cuts every connection; gives how many of them had calls open."""
        felt = 0
        for connection in list(self._connections):
            felt += bool(connection.streams.open)
            self._connections.discard(connection)
            connection.reset()
        self.disconnects += felt
        return felt

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            await self._carry(reader, writer)
        finally:
            self._carrying.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await self._reach()
        except OSError:
            writer.transport.abort()  # no service is there
            return
        streams = SealedStreams() if self._is_sealed else OpenStreams()
        connection = _Connection((writer, upstream_writer), streams)
        self._connections.add(connection)
        up = self._pump(reader, upstream_writer, connection.streams.from_client)
        down = self._pump(upstream_reader, writer, connection.streams.from_server)
        try:
            # At the end of everything this task is cancelled, and its end is not awaited.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(up, down)
        finally:
            self._connections.discard(connection)
            connection.reset()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._upstream.startswith("unix:"):
            return await asyncio.open_unix_connection(self._upstream.removeprefix("unix:"), limit=READ_BYTES)
        host, _, port = self._upstream.rpartition(":")
        return await asyncio.open_connection(host, int(port), limit=READ_BYTES)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(SLOW_BYTES if self.mood is Mood.SLOW else READ_BYTES):
                await self._calm.wait()
                if self.mood is Mood.DELAY:
                    await asyncio.sleep(DELAY_SECONDS)
                elif self.mood is Mood.SLOW:
                    await asyncio.sleep(SLOW_PAUSE_SECONDS)
                note(data)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
