"""The server's side of gRPC over the simulated network: real servicers behind the real interceptor.

A handler is a task of its own, as in grpc.aio. When its client is gone, its requests end first, and it is cancelled a moment later;
what it writes in between is lost, or fails.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc

from servicekit.calls.interceptor import StatusInterceptor
from servicekit.server import Registration
from tests.simulation.ground.network import OK, Call, End
from tests.simulation.ground.process import Process


@dataclass(frozen=True, slots=True)
class _Details:
    method: str


class Server:
    """Serves some servicers. `passing` is told of each message that a handler writes."""

    def __init__(
        self,
        process: Process,
        registrations: Sequence[Registration],
        service: str,
        passing: Callable[[str, Any, Call], None],
    ) -> None:
        self.process = process
        self.passing = passing
        self._interceptor = StatusInterceptor(service)
        self._handlers: dict[str, Any] = {}
        for add, servicer in registrations:
            add(servicer, self)

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Takes what `add_registered_method_handlers` takes as well."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self._handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def serve(self, call: Call, method: str) -> None:
        """Takes a call, when word of it arrives."""
        incoming = _Incoming(self, call, method)
        call.on_request, call.on_half_close, call.on_broken = incoming.take, incoming.take_end, incoming.cancel
        self.process.after(0.0, incoming.start)

    async def handler_of(self, method: str) -> Any:
        async def find(details: _Details) -> Any:
            return self._handlers[details.method]

        return await self._interceptor.intercept_service(find, _Details(method))


class _Incoming:
    """One call: its requests as an iterator, and the context that its handler writes to."""

    def __init__(self, server: Server, call: Call, method: str) -> None:
        self._server = server
        self._call = call
        self._method = method
        self._requests: deque[bytes] = deque()
        self._is_over = False
        self._waiting: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._handler: Any = None
        self._end = OK

    def start(self) -> None:
        self._task = self._server.process.create_task(self._handle())

    def take(self, data: bytes) -> None:
        self._requests.append(data)
        self._wake()

    def take_end(self) -> None:
        self._is_over = True
        self._wake()

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> "_Incoming":
        return self

    async def __anext__(self) -> Any:
        while not self._requests:
            if self._is_over:
                raise StopAsyncIteration
            self._waiting = self._server.process.create_future()
            await self._waiting
        return self._handler.request_deserializer(self._requests.popleft())

    async def read(self) -> Any:
        return await anext(self, grpc.aio.EOF)

    async def send_initial_metadata(self, _: tuple[()]) -> None:
        await asyncio.sleep(0)

    async def write(self, response: Any) -> None:
        if self._call.is_severed and self._call._network.rng.random() < 0.2:
            raise grpc.aio.InternalError("the connection was lost")
        self._server.passing(self._method, response, self._call)
        self._call.respond(self._handler.response_serializer(response))
        await asyncio.sleep(0)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: tuple[tuple[str, bytes], ...] = ()
    ) -> NoReturn:
        self._end = End(code, details, trailing_metadata)
        raise grpc.aio.AbortError("Locally aborted.")

    async def _handle(self) -> None:
        self._handler = handler = await self._server.handler_of(self._method)
        run = handler.stream_stream or handler.stream_unary
        try:
            answer = await run(self, self)
            if not handler.response_streaming:
                await self.write(answer)
        except (grpc.aio.AbortError, asyncio.CancelledError):
            pass
        self._call.finish(self._end)
