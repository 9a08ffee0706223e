"""A connection to a model endpoint, for one request: opened, verified, written and read. It decides nothing and follows nothing."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import h11

from agenthost.core.model_endpoint import Endpoint
from agenthost.gateway.limits import CHUNK_BYTES, CONNECT_SECONDS, MAX_HEAD_BYTES, SEND_SECONDS


@dataclass(frozen=True, slots=True)
class Model:
    """An endpoint with its key, as long as the gateway has them. The key is never shown."""

    endpoint: Endpoint
    key: str = field(repr=False)
    tls: ssl.SSLContext | None
    places: asyncio.Semaphore

    @classmethod
    def of(cls, endpoint: Endpoint, key: str) -> "Model":
        """Makes ready what every request to it needs: reading the certificates takes its time."""
        tls = ssl.create_default_context(cafile=endpoint.ca_file or None) if endpoint.tls else None
        return cls(endpoint, key, tls, asyncio.Semaphore(endpoint.max_concurrent))


class Upstream:
    """The endpoint's end of one exchange."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, model: Model) -> AsyncIterator["Upstream"]:
        """Connects; fails with OSError (a bad certificate is one) or TimeoutError."""
        at = model.endpoint
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                at.host, at.port, ssl=model.tls, server_hostname=at.host if model.tls else None, limit=CHUNK_BYTES
            )
        try:
            yield cls(reader, writer)
        finally:
            # Not a polite end: what is still under way is of no use to anybody.
            writer.transport.abort()

    async def send(self, event: h11.Event) -> None:
        """Sends a piece, waiting while the endpoint is slow."""
        if data := self._http.send(event):
            self._writer.write(data)
            async with asyncio.timeout(SEND_SECONDS):
                await self._writer.drain()

    async def receive(self, seconds: float) -> h11.Event:
        """The next piece of the answer; fails with h11.RemoteProtocolError, OSError or TimeoutError."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.InformationalResponse):
                continue
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            async with asyncio.timeout(seconds):
                self._http.receive_data(await self._reader.read(CHUNK_BYTES))
