"""Connections to a server are limited in number, and in time without a call. Keeps K3 and grpc.md's rules."""

import asyncio
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from servicekit.addresses import Address
from servicekit.channels import CHANNEL_OPTIONS, MAX_CONNECTIONS, MAX_IDLE_SECONDS, SERVER_OPTIONS
from servicekit.server import Server
from tests.servicekit.served import Served, call, refused_check


@pytest.mark.parametrize("listen", ["unix:{}/s", "127.0.0.1:0"])
async def test_connections_are_bounded_and_who_leaves_makes_room(
    listen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dict(SERVER_OPTIONS) | {"grpc.max_allowed_incoming_connections": 5}
    assert dict(SERVER_OPTIONS)["grpc.max_allowed_incoming_connections"] == MAX_CONNECTIONS
    monkeypatch.setattr("servicekit.server.SERVER_OPTIONS", tuple(options.items()))
    server = await Server.start(Address.parse(listen.format(tmp_path)), [], service="conductor")
    # Each with a connection of its own, which channels share otherwise.
    apart = (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
    channels = [grpc.aio.insecure_channel(server.target, apart) for _ in range(6)]
    # No call is kept: it would keep its connection.
    assert await asyncio.gather(*(refused_check(channel) for channel in channels[:5])) == [""] * 5
    refused = await refused_check(channels[5])
    await channels[0].close()
    async with asyncio.timeout(20):
        while await refused_check(channels[5]):
            await asyncio.sleep(0.05)
    for channel in channels:
        await channel.close()
    await server.stop(0)

    assert refused == "UNAVAILABLE"


async def test_a_connection_without_a_call_is_ended_and_one_with_a_call_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both peers of the quiet kind answer pings: one that ignores all else, and gRPC's own channel, which connects again."""
    options = dict(SERVER_OPTIONS) | {"grpc.max_connection_idle_ms": 200}
    assert dict(SERVER_OPTIONS)["grpc.max_connection_idle_ms"] == MAX_IDLE_SECONDS * 1000
    monkeypatch.setattr("servicekit.server.SERVER_OPTIONS", tuple(options.items()))
    go_on = asyncio.Event()
    async with Served(go_on.wait, tmp_path) as (kinds, watching), asyncio.timeout(60):
        watched = call(watching, "Generator")(BytesValue(value=b"x"))
        first = await watched.read()
        quiet = grpc.aio.insecure_channel(
            f"unix:{tmp_path}/s", (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
        )
        for _ in range(3):
            assert await refused_check(quiet) == ""
            await until_state(quiet, grpc.ChannelConnectivity.IDLE)
            await quiet_connection_ends(tmp_path / "s")
        is_cut = watched.done() or kinds.cleaned_up.is_set()
        go_on.set()
        last = await watched.read()
        await quiet.close()

    assert first == BytesValue(value=b"x")
    assert not is_cut
    assert last is grpc.aio.EOF


async def until_state(channel: grpc.aio.Channel, wanted: grpc.ChannelConnectivity) -> None:
    while (state := channel.get_state()) is not wanted:
        await channel.wait_for_state_change(state)


async def quiet_connection_ends(socket: Path) -> None:
    """Connects by hand, says hello in HTTP/2, answers pings, and ignores all else until the server closes."""
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
    with suppress(asyncio.IncompleteReadError, ConnectionResetError):
        while True:
            head = await reader.readexactly(9)
            body = await reader.readexactly(int.from_bytes(head[:3]))
            if head[3] == PING and not head[4] & ACKNOWLEDGED:
                writer.write(head[:4] + bytes([ACKNOWLEDGED]) + head[5:] + body)
    writer.close()


# Of HTTP/2: a frame of settings that are all as they are without it, the type of a ping, and the flag of an answer.
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
PING = 6
ACKNOWLEDGED = 1
