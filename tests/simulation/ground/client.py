"""The client's side of gRPC over the simulated network: a channel as `grpc.aio` has it, as far as the links use one.

Its quirks are those that grpc.aio has and that bite: a read or write that is cancelled cancels the call; a call that its client
cancelled raises CancelledError where it is read; a write to a call that ended raises InvalidStateError, or InternalError where the
connection broke a moment ago.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc

from tests.simulation.ground.network import BROKEN, Call, End, Network
from tests.simulation.ground.process import Process
from tests.simulation.ground.server import Server

# Where a host is away, a channel tries again after so long.
RECONNECT_SECONDS = 0.3
CANCELLED = End(grpc.StatusCode.CANCELLED, "Locally cancelled by application!")
DEADLINE = End(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


class Channel:
    """A client's way to a server that may be there or not. `passing` is told of each message that a client writes."""

    def __init__(
        self,
        network: Network,
        client: Process,
        find_server: Callable[[], Server | None],
        passing: Callable[[str, bytes, Call], None],
    ) -> None:
        self.network = network
        self.client = client
        self.find_server = find_server
        self.passing = passing

    async def close(self) -> None:
        """Its calls end with the tasks that made them."""

    def stream_stream(self, method: str, request_serializer: Any, response_deserializer: Any, **_: object) -> Any:
        def call(*, wait_for_ready: bool | None = None) -> ClientCall:
            return ClientCall(self, method, request_serializer, response_deserializer, waits=bool(wait_for_ready))

        return call

    stream_unary = stream_stream

    def unary_stream(self, method: str, request_serializer: Any, response_deserializer: Any, **_: object) -> Any:
        def call(request: Any) -> ClientCall:
            one = ClientCall(self, method, request_serializer, response_deserializer, waits=False)
            one.send_only(request)
            return one

        return call

    def unary_unary(self, method: str, request_serializer: Any, response_deserializer: Any, **_: object) -> Any:
        async def call(request: Any, *, timeout: float | None = None) -> Any:
            one = ClientCall(self, method, request_serializer, response_deserializer, waits=False)
            one.send_only(request)
            if timeout is not None:
                asyncio.get_running_loop().call_later(timeout, one.end, DEADLINE)
            response = await one.read()
            if response is grpc.aio.EOF:
                raise RuntimeError(f"{method} was answered with nothing")
            await one.read()
            return response

        return call


class ClientCall:
    """One call, as its client holds it."""

    def __init__(self, channel: Channel, method: str, serialize: Any, deserialize: Any, *, waits: bool) -> None:
        self._channel = channel
        self._method = method
        self._serialize = serialize
        self._deserialize = deserialize
        self._waits = waits
        self._call: Call | None = None
        self._unsent: list[bytes] = []
        self._is_half_closed = False
        self._received: deque[bytes] = deque()
        self._end: End | None = None
        self._changed = asyncio.Event()
        self._connect()

    def send_only(self, request: Any) -> None:
        self._send(self._serialize(request))
        self._half_close()

    async def write(self, request: Any) -> None:
        if self._end is not None or self._is_half_closed:
            raise asyncio.InvalidStateError("RPC already finished.")
        await self._until(lambda: self._call is not None)
        self._raise_end()
        if self._call is not None and self._call.is_severed and self._channel.network.rng.random() < 0.3:
            raise grpc.aio.InternalError("the connection broke a moment ago")
        self._send(self._serialize(request))
        await asyncio.sleep(0)

    async def done_writing(self) -> None:
        if self._end is None:
            if self._call is not None and self._call.is_severed and self._channel.network.rng.random() < 0.3:
                raise grpc.aio.InternalError("the connection broke a moment ago")
            self._half_close()
            await asyncio.sleep(0)

    async def read(self) -> Any:
        await self._until(lambda: bool(self._received))
        if self._received:
            return self._deserialize(self._received.popleft())
        self._raise_end()
        return grpc.aio.EOF

    def cancel(self) -> bool:
        if self._end is not None:
            return False
        if self._call is not None:
            self._call.cancel()
        self._take_end(CANCELLED)
        return True

    def end(self, end: End) -> None:
        """Ends it from this side."""
        if self._end is None:
            self.cancel()
            self._end = end

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Waits until something is so, or the call has ended. Who is cancelled over it cancels the call."""
        try:
            while not condition() and self._end is None:
                self._changed.clear()
                await self._changed.wait()
        except asyncio.CancelledError:
            self.cancel()
            raise

    def _raise_end(self) -> None:
        if self._end is CANCELLED:
            raise asyncio.CancelledError
        if self._end is not None and self._end.code is not grpc.StatusCode.OK:
            trailing = grpc.aio.Metadata(*self._end.trailing)
            raise grpc.aio.AioRpcError(self._end.code, grpc.aio.Metadata(), trailing, details=self._end.details)

    def _connect(self) -> None:
        if self._end is not None:
            return
        server, client, rng = self._channel.find_server(), self._channel.client, self._channel.network.rng
        if server is None:
            if self._waits:
                client.after(RECONNECT_SECONDS * (1 + rng.random()), self._connect)
            else:
                client.after(rng.random() * 0.01, lambda: self._take_end(BROKEN))
            return
        self._call = self._channel.network.call(client, server.process)
        self._call.on_response = self._take_response
        self._call.on_end = self._take_end
        server.serve(self._call, self._method)
        for data in self._unsent:
            self._send(data)
        if self._is_half_closed:
            self._call.half_close()
        self._changed.set()

    def _send(self, data: bytes) -> None:
        if self._call is None:
            self._unsent.append(data)
        else:
            self._channel.passing(self._method, data, self._call)
            self._call.request(data)

    def _half_close(self) -> None:
        self._is_half_closed = True
        if self._call is not None:
            self._call.half_close()

    def _take_response(self, data: bytes) -> None:
        if self._end is None:
            self._received.append(data)
            self._changed.set()

    def _take_end(self, end: End) -> None:
        if self._end is None:
            self._end = end
            self._changed.set()
