"""Agents that are slow, end only their side, or speak another protocol: each gets an answer, and none takes another's place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from agenthost.models.gateway import agent_side
from agenthost.models.gateway.account import Account, Attempt
from agenthost.models.gateway.connection import AgentConnection
from agenthost.models.gateway.limits import LARGE_BODY_BYTES
from agenthost.models.gateway.room import LargeBodies
from agenthost.models.gateway.upstream import Model
from agenthost.models.settings import read_models
from tests.fakes.model_server import Answer, ModelServer, Pause

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
REQUEST = HEAD + b"Content-Length: 2\r\n\r\n{}"
SLOW_SECONDS = 0.4

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Gateway:
    """Serves each connection as one of the attempt that is named, at a model with one place."""

    def __init__(self, model: Model, folder: Path, port: int) -> None:
        self.model, self.folder, self.port = model, folder, port
        self.large_bodies = LargeBodies(1)
        self.accounts: dict[str, Account] = {}
        self.stack = AsyncExitStack()
        self.turn = ""
        self.served = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        new = Account(Attempt(self.turn, self.folder, "main"), {"main": self.model}, self.large_bodies)
        self.served += 1
        await AgentConnection(reader, writer, self.accounts.setdefault(self.turn, new)).run()
        self.served -= 1

    async def connect(self, attempt: str, data: bytes = b"") -> Streams:
        self.turn = attempt
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.stack.callback(_hang_up, writer)
        await asyncio.sleep(0.01)  # until it is accepted
        writer.write(data)
        return reader, writer

    async def answer_to(self, data: bytes, *, ends: bool = False) -> bytes:
        reader, writer = await self.connect("alone", data)
        if ends:
            writer.write_eof()
        return await reader.readline() if not ends else await reader.read()


def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer.serving() as model:
        yield model


@pytest.fixture
async def gateway(model: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "SEND_SECONDS"):
        monkeypatch.setattr(agent_side, name, SLOW_SECONDS)
    endpoint = read_models({"main": {"url": model.url, "max_concurrent": 1}})["main"].endpoint
    async with _serving(Model.of(endpoint, ""), tmp_path) as gateway:
        yield gateway


@asynccontextmanager
async def _serving(model: Model, folder: Path) -> AsyncIterator[Gateway]:
    gateway = Gateway(model, folder, 0)
    async with await asyncio.start_server(gateway.accept, "127.0.0.1", 0) as server:
        gateway.port = server.sockets[0].getsockname()[1]
        yield gateway
        await gateway.stack.aclose()
        while gateway.served:
            await asyncio.sleep(0.005)
        model.idle.close()


BEGUN = [
    pytest.param(HEAD + b"Content-Length: 900\r\n\r\n{", id="a body that stays away"),
    pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", id="chunks that never end"),
    pytest.param(HEAD + b"Content-Length: 900\r\nExpect: 100-continue\r\n\r\n", id="leave that is not used"),
    pytest.param(HEAD, id="half a head"),
    pytest.param(b"", id="silence"),
]


@pytest.mark.parametrize("begun", BEGUN)
async def test_connections_that_send_slowly_take_no_place_of_their_neighbours(gateway: Gateway, begun: bytes) -> None:
    for _ in range(8):
        await gateway.connect("slow", begun)
    async with asyncio.timeout(SLOW_SECONDS):
        reader, _ = await gateway.connect("quick", REQUEST)

        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("begun", BEGUN[:-1])
async def test_a_byte_now_and_then_buys_no_time(gateway: Gateway, begun: bytes) -> None:
    reader, writer = await gateway.connect("slow", begun)

    async def drip() -> None:
        while True:
            writer.write(b"1\r\nx\r\n" if b"chunked" in begun else b"x")
            await asyncio.sleep(SLOW_SECONDS / 5)

    dripping = asyncio.ensure_future(drip())
    async with asyncio.timeout(SLOW_SECONDS * 4):
        told = await reader.readline()
        told = await _after_leave(reader, told)
    dripping.cancel()

    assert told.startswith(b"HTTP/1.1 408 ")


async def _after_leave(reader: asyncio.StreamReader, told: bytes) -> bytes:
    while told.startswith(b"HTTP/1.1 100 ") or told == b"\r\n":
        told = await reader.readline()
    return told


async def test_an_agent_that_takes_its_answer_drop_by_drop_loses_its_place(
    gateway: Gateway, model: ModelServer
) -> None:
    model.reply = lambda _: Answer(pieces=[b" " * 65536] * 400)
    reader, _ = await gateway.connect("slow", REQUEST)

    async def sip() -> None:
        while await reader.read(1000):
            await asyncio.sleep(SLOW_SECONDS / 5)

    sipping = asyncio.ensure_future(sip())
    await asyncio.sleep(0.1)
    model.reply = lambda _: Answer()
    async with asyncio.timeout(SLOW_SECONDS * 6):
        quick, _ = await gateway.connect("quick", REQUEST)
        assert (await quick.readline()).startswith(b"HTTP/1.1 200 ")
    sipping.cancel()


async def test_large_bodies_of_all_attempts_are_bounded_and_small_ones_pass(gateway: Gateway) -> None:
    size = LARGE_BODY_BYTES + 10
    large = HEAD + f"Content-Length: {size}\r\n\r\n".encode() + b"{" + b" " * (size - 2)
    _, first = await gateway.connect("first", large)
    while gateway.large_bodies.left:
        await asyncio.sleep(0.005)
    second, _ = await gateway.connect("second", large + b"}")
    small, _ = await gateway.connect("third", REQUEST)
    told = [(await reader.readline())[:13] for reader in (second, small)]
    first.write(b"}")
    while not gateway.large_bodies.left:
        await asyncio.sleep(0.005)

    assert told == [b"HTTP/1.1 429 ", b"HTTP/1.1 200 "]


@pytest.mark.parametrize("pause", [0.0, 0.3])
async def test_an_agent_that_ends_its_side_gets_its_answer(gateway: Gateway, model: ModelServer, pause: float) -> None:
    model.reply = lambda _: Answer(pieces=(Pause(pause), b'{"it": ', Pause(pause), b'"all"}'))
    told = await gateway.answer_to(REQUEST, ends=True)

    assert told.removeprefix(b"HTTP/1.1 100 \r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert b'"all"}' in told


async def test_an_agent_that_closes_is_cancelled_at_the_model_before_and_amid_its_answer(
    gateway: Gateway, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_side, "GONE_SECONDS", 0.2)
    for pieces in ((Pause(30),), (b"{", Pause(30))):
        model.reply = lambda _, pieces=pieces: Answer(pieces=pieces)  # type: ignore[misc]
        reader, writer = await gateway.connect("leaver", REQUEST)
        if pieces[0] == b"{":
            await reader.readuntil(b"{")
        else:
            await asyncio.sleep(0.05)
        writer.close()
        model.reply = lambda _: Answer()
        async with asyncio.timeout(2):
            quick, _ = await gateway.connect("quick", REQUEST)
            assert (await quick.readline()).startswith(b"HTTP/1.1 200 ")


STRANGE = [
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40, id="TLS"),
    pytest.param(b"GET /v1/models\r\n\r\n", id="HTTP/0.9"),
    pytest.param(b"\0" * 200, id="NUL"),
    pytest.param(b"\xff\xfe GET / HTTP/1.1\r\n\r\n", id="not ASCII"),
    pytest.param(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", id="CONNECT"),
    pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="a bad chunk size"),
    pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n", id="a huge chunk size"),
    pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 70_000, id="an endless chunk head"),
    pytest.param(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="an encoded body"),
    pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", id="a negative length"),
    pytest.param(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
    pytest.param(HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", id="a length of many digits"),
    pytest.param(HEAD + b"x: y\r\n" * 3000 + b"\r\n", id="3000 headers"),
    pytest.param(HEAD + b"x: " + b"y" * 140_000 + b"\r\n\r\n", id="an endless header"),
    pytest.param(HEAD + b"x: \xff\xfe\xed\xa0\x80\r\nContent-Length: 4\r\n\r\n\xed\xa0\x80{", id="a body in no UTF-8"),
    pytest.param(HEAD + b"Content-Length: 17\r\n\r\n" + b'{"user":"\\ud800"}', id="a lone surrogate"),
    pytest.param(HEAD + b"x\0: y\r\n\r\n", id="NUL in a header"),
    pytest.param(HEAD + b"Content-Length: 9\r\n\r\n{}", id="a body that ends early"),
    pytest.param(HEAD[:-4], id="a head that ends early"),
]


@pytest.mark.parametrize("data", STRANGE)
async def test_what_is_no_request_gets_an_answer_and_no_traceback(
    gateway: Gateway, model: ModelServer, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    told = await gateway.answer_to(data, ends=True)

    status = int(told.removeprefix(b"HTTP/1.1 100 \r\n\r\n")[9:12])
    assert status == 200 if b"ud800" in data else 400 <= status < 502
    assert len(model.asked) <= 1
    assert caplog.text == ""


async def test_an_upgrade_is_not_taken_and_the_next_request_of_a_pipeline_is_served(
    gateway: Gateway, model: ModelServer
) -> None:
    upgrade = b"Connection: upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}"
    told = await gateway.answer_to(REQUEST * 3 + HEAD + upgrade)
    reader, _ = await gateway.connect("alone", REQUEST * 3 + HEAD + upgrade)
    told = await reader.read()

    assert told.count(b"HTTP/1.1 200 ") == 4
    assert not any("upgrade" in asked.headers for asked in model.asked)
