"""Speaks HTTP with an agent: reads strictly, answers or refuses, and notices when the agent hangs up. Counts and judges nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable

import h11

from agenthost.core.models.gateway_rules import MAX_REQUEST_BYTES, Refusal, too_large
from agenthost.models.gateway.limits import (
    BODY_SECONDS,
    CHUNK_BYTES,
    LINGER_SECONDS,
    MAX_AHEAD_BYTES,
    MAX_BODY_TO_DISCARD_BYTES,
    MAX_HEAD_BYTES,
    SEND_SECONDS,
)

_JSON = (b"content-type", b"application/json")


class AgentGoneError(Exception):
    """The agent hung up, or takes no more of its answer: no fault of its endpoint."""


class AgentSide:
    """The agent's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    @property
    def is_unanswered(self) -> bool:
        """Returns whether no byte of an answer to the present request was sent."""
        return self._http.our_state is h11.SEND_RESPONSE

    @property
    def is_complete(self) -> bool:
        """Returns whether request and answer are whole, so that another request may follow."""
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def begin_again(self) -> None:
        """Makes ready for the next request."""
        self._http.start_next_cycle()

    def cut_off(self) -> None:
        """Ends an answer that cannot be completed."""
        self._http.send_failed()

    def close(self) -> None:
        """Closes; at once where the agent could take what it has for a whole answer."""
        self._writer.transport.abort() if self._http.our_state is h11.ERROR else self._writer.close()

    async def receive(self, seconds: float | None) -> h11.Event:
        """Returns the next piece of a request. Fails with h11.RemoteProtocolError, OSError or TimeoutError."""
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            async with asyncio.timeout(seconds):
                self._http.receive_data(await self._reader.read(CHUNK_BYTES))

    async def take_body(self) -> bytes | None:
        """Returns the whole body; None when it is too large. Its stated length was judged with the head."""
        pieces, size = [], 0
        async for data in self._body():
            size += len(data)
            if size > MAX_REQUEST_BYTES:
                return None
            pieces.append(data)
        return b"".join(pieces)

    async def send(self, event: h11.Event) -> None:
        """Sends a piece of an answer, waiting while the agent is slow."""
        if data := self._http.send(event):
            self._writer.write(data)
            async with asyncio.timeout(SEND_SECONDS):
                await self._writer.drain()

    async def take(self, event: h11.Event) -> None:
        """Sends a piece of its endpoint's answer. Fails with AgentGoneError, since OSError tells of the endpoint."""
        try:
            await self.send(event)
        except (OSError, TimeoutError) as error:
            raise AgentGoneError from error

    async def turn_away(self, refusal: Refusal) -> bool:
        """Refuses a request whose body may still be on its way; returns whether another request may follow."""
        is_heard = await self._hear_out(refusal)
        await self.refuse(refusal)
        if not is_heard:
            await self.linger()
        return is_heard and self.is_complete

    async def refuse(self, refusal: Refusal) -> None:
        """Sends a refusal."""
        body = refusal.body()
        headers = [_JSON, (b"content-length", str(len(body)).encode()), (b"x-gateway-error", refusal.code.encode())]
        if refusal.retry_after_seconds is not None:
            headers.append((b"retry-after", str(refusal.retry_after_seconds).encode()))
        await self.send(h11.Response(status_code=refusal.status, headers=headers))
        await self.send(h11.Data(data=body))
        await self.send(h11.EndOfMessage())

    async def linger(self) -> None:
        """Reads on for a moment: closing with unread data would take the answer away from the agent."""
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._reader.read(CHUNK_BYTES):
                    pass

    async def while_there(self, work: Awaitable[bool]) -> bool | None:
        """Does the work only while the agent is connected: it costs money. Returns None where the agent hung up."""
        async with asyncio.TaskGroup() as tasks:
            job = tasks.create_task(_result_of(work))
            watch = tasks.create_task(self._until_gone())
            await asyncio.wait({job, watch}, return_when=asyncio.FIRST_COMPLETED)
            is_done = job.done()
            job.cancel()
            watch.cancel()
        return job.result() if is_done else None

    async def _until_gone(self) -> None:
        """Waits until the agent hangs up; keeps what it sends meanwhile: a body that waits, or its next request."""
        ahead = 0
        with contextlib.suppress(OSError):  # it may reset the connection, too
            while data := await self._reader.read(CHUNK_BYTES):
                self._http.receive_data(data)
                ahead += len(data)
                if ahead > MAX_AHEAD_BYTES:
                    await asyncio.Event().wait()

    async def _hear_out(self, refusal: Refusal) -> bool:
        """Reads the rest of a refused request, unless it is too long, or the client waits for leave to send it."""
        size = 0
        if refusal.status == too_large().status or self._http.they_are_waiting_for_100_continue:
            return False
        async for data in self._body():
            size += len(data)
            if size > MAX_BODY_TO_DISCARD_BYTES:
                return False
        return True

    async def _body(self) -> AsyncIterator[bytes]:
        while self._http.their_state is h11.SEND_BODY:
            if self._http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            event = await self.receive(BODY_SECONDS)
            if isinstance(event, h11.Data):
                yield bytes(event.data)


async def _result_of(work: Awaitable[bool]) -> bool:
    try:
        return await work
    except (OSError, TimeoutError):  # the agent is gone, or takes no more data
        return False
