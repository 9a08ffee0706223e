"""The network of the chaos worlds does to connections what it says, and knows which of them had calls open."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.open_streams import CLIENT_RECORDS, PREFACE, SERVER_RECORDS, OpenStreams, SealedStreams
from tests.chaos.proxy import Mood, Proxy

HEADERS, DATA, RST_STREAM, SETTINGS, END = 1, 0, 3, 4, 1


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_calls_are_counted_however_their_bytes_are_cut(piece: int) -> None:
    client = PREFACE + frame(SETTINGS, 0, b"x" * 12) + frame(HEADERS, 1, b"h" * 40) + frame(HEADERS, 3, b"h", END)
    server = frame(SETTINGS, 0) + frame(HEADERS, 1, b"h") + frame(DATA, 1, b"d" * 50) + frame(HEADERS, 3, b"t", END)
    streams = OpenStreams()
    for at in range(0, len(client), piece):
        streams.from_client(client[at : at + piece])
    opened = set(streams.open)
    for at in range(0, len(server), piece):
        streams.from_server(server[at : at + piece])

    assert opened == {1, 3}
    assert streams.open == {1}


def test_a_reset_of_either_side_ends_a_call() -> None:
    streams = OpenStreams()
    streams.from_client(PREFACE + frame(HEADERS, 1) + frame(HEADERS, 3) + frame(RST_STREAM, 1, b"code"))
    streams.from_server(frame(RST_STREAM, 3, b"code"))

    assert streams.open == set()


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_a_sealed_connection_has_a_call_once_both_sides_have_spoken(piece: int) -> None:
    def records(count: int) -> bytes:
        hello, sealed = b"\x16\3\3\0\4seal", b"\x17\3\3\1\1" + b"\x17" * 257
        return hello + sealed * count

    streams, early = SealedStreams(), SealedStreams()
    for at in range(0, len(client := records(CLIENT_RECORDS)), piece):
        streams.from_client(client[at : at + piece])
    early.from_server(records(SERVER_RECORDS))
    early.from_client(records(CLIENT_RECORDS - 1))
    for at in range(0, len(server := records(SERVER_RECORDS)), piece):
        streams.from_server(server[at : at + piece])

    assert (len(streams.open), len(early.open)) == (1, 0)


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Proxy]:
    echoing: set[asyncio.Task[None]] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1000):
                writer.write(data)
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        echoing.add(asyncio.create_task(echo(reader, writer)))

    server = await asyncio.start_unix_server(accept, tmp_path / "s")
    async with Proxy(f"unix:{tmp_path}/s") as proxy:
        yield proxy
    server.close()
    await asyncio.gather(*echoing)


async def connect(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = proxy.address.partition(":")
    return await asyncio.open_connection(host, int(port))


@pytest.mark.parametrize("mood", [Mood.PASS, Mood.DELAY, Mood.SLOW])
async def test_what_is_sent_arrives_whole(network: Proxy, mood: Mood) -> None:
    reader, writer = await connect(network)
    network.set_mood(mood)
    writer.write(b"x" * 5000)

    assert await reader.readexactly(5000) == b"x" * 5000
    writer.close()


async def test_a_black_hole_keeps_the_connection_and_lets_nothing_through_until_it_is_over(network: Proxy) -> None:
    reader, writer = await connect(network)
    network.set_mood(Mood.BLACKHOLE)
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read(5)
    network.set_mood(Mood.PASS)

    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_a_reset_cuts_every_connection_and_counts_those_with_calls(network: Proxy) -> None:
    reader, writer = await connect(network)
    writer.write(PREFACE + frame(HEADERS, 1, b"h"))
    await reader.readexactly(len(PREFACE) + 10)
    idle, other = await connect(network)
    other.write(PREFACE)
    await idle.readexactly(len(PREFACE))

    assert network.reset() == 1
    for cut in (reader, idle):
        with pytest.raises(ConnectionResetError):
            await cut.read(1)
    for end in (writer, other):
        end.close()
