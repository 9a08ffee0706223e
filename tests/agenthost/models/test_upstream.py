"""Connections to an endpoint that are used again, and those that are not. A real server on loopback that is told how to behave."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import pytest

from agenthost.core.models.endpoint import parse_endpoint
from agenthost.models.gateway import upstream as upstream_module
from agenthost.models.gateway.limits import MAX_IDLE_CONNECTIONS
from agenthost.models.gateway.upstream import Model, StaleError, UnreachableError, Upstream

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
REQUEST = h11.Request(method="POST", target="/v1/x", headers=[("host", "x"), ("content-length", "0")])


class Endpoint:
    """Answers every request of a connection with the next text; closes where there is none left for it."""

    def __init__(self, *connections: tuple[bytes, ...]) -> None:
        self.connections = list(connections)
        self.served = self.open = 0
        self.closed = asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self.serve(reader, writer)
        writer.transport.abort()
        self.open -= 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        texts = self.connections[self.served] if self.served < len(self.connections) else (GOOD,) * 100
        self.served += 1
        for text in texts:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(text)
            await writer.drain()
        writer.close()
        self.closed.set()


@asynccontextmanager
async def model_of(endpoint: Endpoint) -> AsyncIterator[Model]:
    server = await asyncio.start_server(endpoint.accept, "127.0.0.1", 0)
    model = Model.of(parse_endpoint("main", {"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}), "a key")
    try:
        yield model
    finally:
        model.idle.close()
        server.close()
        while endpoint.open:
            await asyncio.sleep(0.001)


async def exchange(upstream: Upstream) -> bytes:
    await upstream.send(REQUEST)
    await upstream.send(h11.EndOfMessage())
    said = b""
    while not isinstance(event := await upstream.receive(10), h11.EndOfMessage):
        if isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed")
        said += bytes(event.data) if isinstance(event, h11.Data) else b""
    return said


async def ask(model: Model, *, fresh: bool = False) -> bytes:
    async with model.connected(fresh=fresh) as upstream:
        return await exchange(upstream)


async def test_a_connection_whose_answer_was_complete_serves_the_next_request() -> None:
    endpoint = Endpoint()
    async with model_of(endpoint) as model:
        assert [await ask(model) for _ in range(5)] == [b"{}"] * 5
        assert endpoint.served == 1
        await ask(model, fresh=True)
        assert endpoint.served == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        GOOD + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nforged"[:60],  # an answer that was not asked for
        GOOD + b"x",
    ],
)
async def test_a_connection_that_leaves_a_doubt_is_not_used_again(answer: bytes) -> None:
    endpoint = Endpoint((answer, GOOD), (GOOD,))
    async with model_of(endpoint) as model:
        assert [await ask(model), await ask(model)] == [b"{}"] * 2
        assert endpoint.served == 2


async def test_what_comes_while_a_connection_waits_speaks_against_it() -> None:
    """A forged answer that arrives late must not be taken for the next request's own."""
    late = asyncio.Event()

    class Forger(Endpoint):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.served += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(GOOD)
            if self.served == 1:
                await late.wait()
                writer.write(GOOD.replace(b"{}", b"[]"))
                await writer.drain()
                self.closed.set()
                await reader.read()
            writer.close()

    endpoint = Forger()
    async with model_of(endpoint) as model:
        assert await ask(model) == b"{}"
        late.set()
        await endpoint.closed.wait()
        assert await ask(model) == b"{}"
        assert endpoint.served == 2


async def test_a_connection_that_the_endpoint_closed_meanwhile_is_passed_over() -> None:
    endpoint = Endpoint((GOOD,), (GOOD,))
    async with model_of(endpoint) as model:
        await ask(model)
        await endpoint.closed.wait()
        assert await ask(model) == b"{}"
        assert endpoint.served == 2


async def test_a_kept_connection_that_dies_before_a_byte_of_the_answer_is_told_from_one_that_breaks() -> None:
    class Dying(Endpoint):
        """Takes a second request, then says a beginning or nothing, and is gone."""

        def __init__(self, beginning: bytes) -> None:
            super().__init__()
            self.beginning = beginning

        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(GOOD)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.beginning)
            writer.close()

    for beginning, error in ((b"", StaleError), (b"HTTP/1.1 200", h11.RemoteProtocolError)):
        async with model_of(Dying(beginning)) as model:
            await ask(model)
            with pytest.raises(error):
                await ask(model)


async def test_a_new_connection_that_dies_is_never_stale() -> None:
    async with model_of(Endpoint(())) as model:
        with pytest.raises((h11.RemoteProtocolError, OSError)):
            await ask(model)


async def test_only_so_many_connections_wait_and_each_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint()
    async with model_of(endpoint) as model:
        gates = [asyncio.Event() for _ in range(MAX_IDLE_CONNECTIONS + 3)]

        async def use(gate: asyncio.Event) -> None:
            async with model.connected(fresh=False) as upstream:
                await exchange(upstream)
                await gate.wait()

        async with asyncio.TaskGroup() as tasks:
            for gate in gates:
                tasks.create_task(use(gate))
            while endpoint.served < len(gates):
                await asyncio.sleep(0.001)
            for gate in gates:
                gate.set()
        assert len(model.idle._waiting) == MAX_IDLE_CONNECTIONS

        monkeypatch.setattr(upstream_module, "IDLE_SECONDS", 0.0)
        model.idle.close()
        model.idle._is_closed = False
        await ask(model)
        while model.idle._waiting:
            await asyncio.sleep(0.001)


async def test_connections_of_settings_that_are_gone_are_closed() -> None:
    async with model_of(Endpoint()) as model:
        async with model.connected(fresh=False) as upstream:
            await exchange(upstream)
            model.idle.close()
        assert not model.idle._waiting
        assert upstream._writer.is_closing()


async def test_an_endpoint_that_is_not_there_is_told_as_such() -> None:
    model = Model.of(parse_endpoint("main", {"url": "http://127.0.0.1:9"}), "")
    with pytest.raises(UnreachableError, match="nothing listens there"):
        await ask(model)
