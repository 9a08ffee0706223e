"""Speaks HTTP with an agent: reads strictly, answers or refuses, and notices when the agent hangs up. Counts and judges nothing.

A head, a body, and the waits for an agent that takes its answer slowly have one clock each, from beginning to end: a byte now and
then buys an agent no time. An agent that ended only its own side still gets its answer (`_until_refused`).
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import h11

from agenthost.core.models.gateway_rules import Refusal, too_large
from agenthost.models.gateway.limits import (
    BODY_SECONDS,
    CHUNK_BYTES,
    GONE_SECONDS,
    HEAD_SECONDS,
    HEAR_OUT_SECONDS,
    KEEP_SECONDS,
    LINGER_SECONDS,
    LOOK_SECONDS,
    MAX_AHEAD_BYTES,
    MAX_BODY_TO_DISCARD_BYTES,
    MAX_HEAD_BYTES,
    PIECES_AT_ONCE,
    SEND_SECONDS,
)

_JSON = (b"content-type", b"application/json")
_TCP_CLOSE_WAIT = 8  # the kernel's state of a connection whose other side sends no more, and may still listen


class SlowError(Exception):
    """The agent took too long to send its request; the text says which part of it."""


class AgentGoneError(Exception):
    """The agent hung up, or takes no more of its answer: no fault of its endpoint."""


class AgentSide:
    """The agent's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._patience = SEND_SECONDS
        self._sent_bytes = 0

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
        self._patience = SEND_SECONDS

    def cut_off(self) -> None:
        """Ends an answer that cannot be completed."""
        self._http.send_failed()

    def close(self) -> None:
        """Closes; at once where the agent could take what it has for a whole answer."""
        self._writer.transport.abort() if self._http.our_state is h11.ERROR else self._writer.close()

    async def receive_head(self) -> h11.Event:
        """Returns the head of the next request, or the end. Fails with h11.RemoteProtocolError, SlowError or OSError."""
        has_begun = bool(self._http.trailing_data[0])
        try:
            async with asyncio.timeout(HEAD_SECONDS if has_begun else KEEP_SECONDS) as clock:
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(CHUNK_BYTES))
                    if not has_begun:
                        has_begun = True
                        clock.reschedule(asyncio.get_running_loop().time() + HEAD_SECONDS)
        except TimeoutError as error:
            if has_begun:
                raise SlowError(f"the request's head took longer than {HEAD_SECONDS:g} s") from error
            raise
        return event  # type: ignore[return-value]

    async def take_body(self, judge_size: Callable[[int], Refusal | None]) -> bytes | Refusal:
        """Returns the whole body, or the refusal of its size so far. Its stated length was judged with the head."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for data in self._body():
                    body += data
                    if refusal := judge_size(len(body)):
                        return refusal
        except TimeoutError as error:
            raise SlowError(f"the request's body took longer than {BODY_SECONDS:g} s") from error
        return bytes(body)

    async def send(self, event: h11.Event) -> None:
        """Sends a piece of an answer, waiting while the agent is slow: for `SEND_SECONDS` over all pieces of an answer."""
        if data := self._http.send(event):
            self._writer.write(data)
            self._sent_bytes += len(data)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            async with asyncio.timeout(self._patience):
                await self._writer.drain()
            self._patience -= loop.time() - begun

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
            await self._until_refused()

    async def _until_refused(self) -> None:
        """Waits until an agent that sends no more is gone: only a closed connection refuses the next word.

        That word is `100 Continue`, which every client of HTTP/1.1 ignores; after the answer began, only its next piece is one.
        """
        if is_listening := self.is_unanswered and self._http.their_http_version == b"1.1":
            await self.send(h11.InformationalResponse(status_code=100, headers=[]))
        left, sent = GONE_SECONDS, self._sent_bytes
        while (is_listening or left > 0) and not self._is_closed():
            await asyncio.sleep(LOOK_SECONDS)
            left -= LOOK_SECONDS
            is_listening = is_listening or self._sent_bytes > sent

    def _is_closed(self) -> bool:
        link: socket.socket = self._writer.get_extra_info("socket")
        return link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _TCP_CLOSE_WAIT

    async def _hear_out(self, refusal: Refusal) -> bool:
        """Reads the rest of a refused request, unless it is too long, or the client waits for leave to send it."""
        size = 0
        if refusal.status == too_large().status or self._http.they_are_waiting_for_100_continue:
            return False
        try:
            async with asyncio.timeout(HEAR_OUT_SECONDS):
                async for data in self._body():
                    size += len(data)
                    if size > MAX_BODY_TO_DISCARD_BYTES:
                        return False
        except TimeoutError:
            return False
        return True

    async def _body(self) -> AsyncIterator[bytes]:
        pieces = 0
        while self._http.their_state is h11.SEND_BODY:
            if self._http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(CHUNK_BYTES))
            elif isinstance(event, h11.Data):
                yield bytes(event.data)
            pieces += 1
            if pieces % PIECES_AT_ONCE == 0:  # a body of tiny chunks is work: the other agents' turn
                await asyncio.sleep(0)


async def _result_of(work: Awaitable[bool]) -> bool:
    try:
        return await work
    except (OSError, TimeoutError):  # the agent is gone, or takes no more data
        return False
