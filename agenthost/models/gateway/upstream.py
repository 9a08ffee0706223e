"""Opens, verifies, reads and writes connections to a model endpoint, and keeps them for the next request.

A connection is used again only when its last exchange was complete on both sides and nothing came since; in any doubt it is closed.
The caller decides whether a request may be sent twice. Redirects are not followed, and content is not understood.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import h11

from agenthost.core.models.endpoint import Endpoint
from agenthost.core.models.refusals import MAX_ERROR_BYTES
from agenthost.models.gateway.limits import (
    CHUNK_BYTES,
    CONNECT_SECONDS,
    IDLE_SECONDS,
    MAX_HEAD_BYTES,
    MAX_IDLE_CONNECTIONS,
    SEND_SECONDS,
    SILENCE_SECONDS,
)
from agenthost.models.gateway.places import Places


class UnreachableError(Exception):
    """The endpoint cannot be reached, or its certificate is not trusted."""


class StaleError(Exception):
    """A kept connection was closed before a byte of the answer came."""


class Upstream:
    """One connection to the endpoint, for one exchange at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._is_kept = False  # from an earlier exchange, and without a byte in this one yet

    async def send(self, event: h11.Event) -> None:
        """Sends a piece, waiting while the endpoint is slow."""
        if data := self._http.send(event):
            self._writer.write(data)
            async with asyncio.timeout(SEND_SECONDS):
                await self._writer.drain()

    async def receive(self, seconds: float) -> h11.Event:
        """Returns the next piece of the answer; fails with StaleError, h11.RemoteProtocolError, OSError or TimeoutError."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.InformationalResponse):
                continue
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            async with asyncio.timeout(seconds):
                self._http.receive_data(await self._read())

    async def _read(self) -> bytes:
        try:
            data = await self._reader.read(CHUNK_BYTES)
        except OSError as error:
            if self._is_kept:
                raise StaleError from error
            raise
        if not data and self._is_kept:
            raise StaleError
        self._is_kept = False
        return data

    def begin_again(self) -> bool:
        """Makes ready for another exchange; returns False when the last one leaves any doubt."""
        is_over = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if not is_over or self._http.trailing_data[0] or self._reader.at_eof() or self._writer.is_closing():
            return False
        self._http.start_next_cycle()
        self._is_kept = True
        return True

    async def is_silent(self) -> bool:
        """Returns whether nothing came since the last exchange: neither the end, nor data that was not asked for."""
        await asyncio.sleep(0)  # so that the loop reads what the kernel has
        try:
            async with asyncio.timeout(0):
                await self._reader.read(1)
        except TimeoutError:
            return not self._writer.is_closing()
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Closes at once: data still under way is of no use."""
        self._writer.transport.abort()


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """An answer whose beginning may have been read already."""

    upstream: Upstream
    ahead: deque[h11.Event]

    @property
    def beginning(self) -> bytes:
        """Returns what was read already of its body."""
        return b"".join(bytes(event.data) for event in self.ahead if isinstance(event, h11.Data))

    async def next(self) -> h11.Event:
        """Returns the next piece."""
        return self.ahead.popleft() if self.ahead else await self.upstream.receive(SILENCE_SECONDS)


async def read_error(upstream: Upstream) -> deque[h11.Event]:
    """Returns the beginning of an error's body, as much of it as says what the error is."""
    events, size = deque[h11.Event](), 0
    while size < MAX_ERROR_BYTES:
        event = await upstream.receive(SILENCE_SECONDS)
        events.append(event)
        if not isinstance(event, h11.Data):
            break
        size += len(event.data)
    return events


class IdleConnections:
    """Keeps the idle connections to one endpoint, newest last; each for a limited time."""

    def __init__(self) -> None:
        self._waiting: dict[Upstream, asyncio.TimerHandle] = {}
        self._is_closed = False

    async def take(self) -> Upstream | None:
        """Returns the newest connection that can be used again, or None."""
        while self._waiting:
            upstream, clock = self._waiting.popitem()
            clock.cancel()
            if await upstream.is_silent():
                return upstream
            upstream.close()
        return None

    def keep(self, upstream: Upstream) -> None:
        """Keeps a connection whose exchange is over, or closes it."""
        if self._is_closed or len(self._waiting) >= MAX_IDLE_CONNECTIONS or not upstream.begin_again():
            upstream.close()
        else:
            clock = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._drop, upstream)
            self._waiting[upstream] = clock

    def close(self) -> None:
        """Closes all that wait, and later those that come back: the settings that they were opened with are gone."""
        self._is_closed = True
        while self._waiting:
            upstream, clock = self._waiting.popitem()
            clock.cancel()
            upstream.close()

    def _drop(self, upstream: Upstream) -> None:
        if self._waiting.pop(upstream, None):
            upstream.close()


@dataclass(frozen=True, slots=True)
class Model:
    """An endpoint with its key, as the gateway has them. The key is never shown."""

    endpoint: Endpoint
    key: str = field(repr=False)
    tls: ssl.SSLContext | None
    places: asyncio.Semaphore
    pool: Places
    idle: IdleConnections = field(default_factory=IdleConnections)

    @classmethod
    def of(cls, endpoint: Endpoint, key: str, pool: Places | None = None) -> "Model":
        """Prepares what every request to the endpoint needs: reading the certificates takes time."""
        tls = ssl.create_default_context(cafile=endpoint.ca_file or None) if endpoint.tls else None
        return cls(
            endpoint, key, tls, asyncio.Semaphore(endpoint.max_concurrent), pool or Places(endpoint.max_concurrent)
        )

    @contextlib.asynccontextmanager
    async def connected(self, *, fresh: bool) -> AsyncIterator[Upstream]:
        """Yields a connection for one exchange, a kept one unless it must be fresh; fails with UnreachableError."""
        upstream = (None if fresh else await self.idle.take()) or await self._connect()
        try:
            yield upstream
        except BaseException:
            upstream.close()
            raise
        self.idle.keep(upstream)

    async def _connect(self) -> Upstream:
        at = self.endpoint
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    at.host, at.port, ssl=self.tls, server_hostname=at.host if self.tls else None, limit=CHUNK_BYTES
                )
        # A certificate that is not trusted is an OSError; a name that no network can have is a UnicodeError.
        except (OSError, TimeoutError, UnicodeError) as error:
            raise UnreachableError(_why(error)) from error
        return Upstream(reader, writer)


def _why(error: OSError | UnicodeError) -> str:
    """Returns why there is no connection, in words; an error's own name where there are none."""
    match error:
        case _ if f"[Errno {errno.ECONNREFUSED}]" in str(
            error
        ):  # of `localhost`, which has two addresses, it has no errno
            return "nothing listens there"
        case socket.gaierror() | UnicodeError():
            return "its name is not known"
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted"
        case ssl.SSLError() | ConnectionError():
            return "it does not speak TLS, as https needs"
        case TimeoutError():
            return f"no connection within {CONNECT_SECONDS:g} s"
        case _:
            return getattr(error, "strerror", None) or type(error).__name__
