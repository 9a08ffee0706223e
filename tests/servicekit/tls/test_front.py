"""The front that ends TLS for a conductor passes bytes on unchanged, bounds what it holds, and lets in whom it must. Keeps K3."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from servicekit.addresses import Address, AddressInUseError
from servicekit.calls.callers import Admit, Caller
from servicekit.channels import CHANNEL_OPTIONS, open_channel
from servicekit.server import Server
from servicekit.tls.credentials import WatchedFiles, channel_credentials
from servicekit.tls.files import TlsFiles
from servicekit.tls.front import INNER, Front
from servicekit.tls.peer import Peers
from tests.kit.tls_servers import ANN, SERVING, Pool
from tests.servicekit.served import Kinds, add_kinds, call, nothing, refused_check

NAME = "conductor.home.invalid"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return Pool(tmp_path_factory.mktemp("pool"))


@asynccontextmanager
async def served(
    pool: Pool, act: Callable[[], Any] = nothing, listen: str = "127.0.0.1:0", admit: Admit | None = None
) -> AsyncIterator[tuple[Kinds, Server]]:
    kinds, folder = Kinds(act), pool.folder / "front"
    folder.mkdir(exist_ok=True)
    front = Front(WatchedFiles(pool.files("serving", SERVING)), Peers(), folder)
    server = await Server.start(
        Address.parse(listen, is_anywhere=True), [(add_kinds, kinds)], service="conductor", admit=admit, tls=front
    )
    try:
        yield kinds, server
    finally:
        await server.stop(0)
        assert list(folder.iterdir()) == []


def everyone(_: str, __: Any) -> Caller:
    return Caller("ann", "certificate", "admin")


def dialled(target: str, files: TlsFiles) -> grpc.aio.Channel:
    options = (*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", NAME), ("grpc.use_local_subchannel_pool", 1))
    return grpc.aio.secure_channel(target, channel_credentials(files.read()), options)


@pytest.mark.parametrize("size", [0, 1, 16_385, 3 * MEBIBYTE])
async def test_every_byte_goes_both_ways(size: int, pool: Pool) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with served(pool) as (_, server), dialled(server.target, pool.files("ann", ANN)) as channel:
        request = BytesValue(value=data)
        echoed = [await call(channel, "Coroutine")(request)]
        echoed += [each async for each in call(channel, "Bidirectional")(iter([request] * 3))]

    assert echoed == [request] * 4


async def test_a_client_that_does_not_read_holds_the_server_up(pool: Pool) -> None:
    written = 0

    async def flow(_: BytesValue, __: Any) -> AsyncIterator[BytesValue]:
        nonlocal written
        while True:
            yield BytesValue(value=b"x" * MEBIBYTE)
            written += 1

    method = grpc.unary_stream_rpc_method_handler(flow, BytesValue.FromString, BytesValue.SerializeToString)
    handler = grpc.method_handlers_generic_handler("test.Flow", {"Flow": method})
    front = Front(WatchedFiles(pool.files("serving", SERVING)), Peers(), pool.folder)
    server = await Server.start(
        Address.parse("127.0.0.1:0"),
        [(lambda _, it: it.add_generic_rpc_handlers((handler,)), None)],
        service="conductor",
        tls=front,
    )
    async with dialled(server.target, pool.files("ann", ANN)) as channel, asyncio.timeout(20):
        stream = channel.unary_stream("/test.Flow/Flow", BytesValue.SerializeToString, BytesValue.FromString)(
            BytesValue()
        )
        assert len((await stream.read()).value) == MEBIBYTE
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.2)
        for _ in range(before + 4):
            assert len((await stream.read()).value) == MEBIBYTE
        went_on = written > before
        stream.cancel()
    await server.stop(0)

    assert before < 40
    assert went_on


async def test_a_handshake_that_does_not_end_is_dropped(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicekit.tls.front.HANDSHAKE_SECONDS", 0.1)
    async with served(pool) as (_, server), asyncio.timeout(10):
        for said in (b"", b"\x16\x03\x01\x02\x00\x01"):
            host, _, port = server.target.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(said)
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()


async def test_connections_of_admitted_callers_are_bounded_and_one_that_leaves_makes_room(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicekit.tls.front.MAX_CONNECTIONS", 2)
    files = pool.files("ann", ANN)
    async with served(pool, admit=everyone) as (_, server), asyncio.timeout(20):
        channels = [dialled(server.target, files) for _ in range(3)]
        answers = [await refused_check(channel) for channel in channels]
        await channels[0].close()
        while await refused_check(channels[2]):
            await asyncio.sleep(0.05)
        for channel in channels:
            await channel.close()

    assert answers == ["", "", "UNAVAILABLE"]


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01", "tls"])
async def test_strangers_of_one_machine_keep_no_caller_of_another_out(
    said: bytes | str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicekit.tls.front.MAX_STRANGERS", 8)
    monkeypatch.setattr("servicekit.tls.front.HANDSHAKES_AT_ONCE", 4)
    files = pool.files("ann", ANN)
    async with served(pool, admit=everyone) as (_, server), asyncio.timeout(20):
        host, _, port = server.target.rpartition(":")
        async with dialled(server.target, files) as early, dialled(server.target, files) as late:
            answers = [await refused_check(early)]
            flood = asyncio.create_task(keep_connecting(host, int(port), said))
            await asyncio.sleep(0.2)
            answers += [await refused_check(channel) for channel in (early, late, early)]
            flood.cancel()
            await asyncio.wait([flood])

    assert answers == [""] * 4


async def keep_connecting(host: str, port: int, said: bytes | str) -> None:
    """Connects from another address of this machine, again and again, and leaves each connection open."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    writers: list[asyncio.StreamWriter] = []
    try:
        while True:
            connecting = asyncio.open_connection(
                host, port, local_addr=("127.0.0.2", 0), ssl=context if said == "tls" else None
            )
            # Python 3.11's `wait_for` may swallow the cancellation that ends this flood.
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    _, writer = await connecting
                writers.append(writer)
                if isinstance(said, bytes):
                    writer.write(said)
            await asyncio.sleep(0.002)
    finally:
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize(("version", "is_taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_old_versions_of_tls_are_refused(version: str, *, is_taken: bool, pool: Pool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    async with served(pool) as (_, server):
        host, _, port = server.target.rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host, int(port), ssl=context)
            writer.close()
            taken = True
        except (ssl.SSLError, ConnectionError):
            taken = False

    assert taken is is_taken


@pytest.mark.parametrize(
    ("listen", "dialled_at"),
    [
        ("[::]:0", ("127.0.0.1", "[::1]")),
        ("localhost:0", ("localhost",)),
        ("0.0.0.0:0", ("127.0.0.1",)),
        ("[::1]:0", ("[::1]",)),
    ],
)
async def test_it_listens_at_every_address_that_the_name_stands_for(
    listen: str, dialled_at: tuple[str, ...], pool: Pool
) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    files = pool.files("ann", ANN)
    async with served(pool, listen=listen) as (_, server):
        port = server.address.text.rpartition(":")[2]
        for host in dialled_at:
            async with dialled(f"{host}:{port}", files) as channel:
                assert await refused_check(channel) == ""


async def test_an_address_in_use_is_said_to_be(pool: Pool) -> None:
    async with served(pool) as (_, server):
        taken = Address.parse(server.address.text)
        front = Front(WatchedFiles(pool.files("other", SERVING)), Peers(), pool.folder)
        with pytest.raises(AddressInUseError):
            await Server.start(taken, [], service="conductor", tls=front)


async def test_a_unix_socket_stays_without_tls(pool: Pool, tmp_path: Path) -> None:
    front = Front(WatchedFiles(pool.files("serving", SERVING)), Peers(), tmp_path)
    server = await Server.start(Address.parse(f"unix:{tmp_path}/s"), [], service="conductor", tls=front)
    async with open_channel(server.target) as channel:
        assert await refused_check(channel) == ""
    await server.stop(0)

    assert not (tmp_path / INNER).exists()


async def test_a_flood_of_connections_waits_for_its_handshakes(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicekit.tls.front.HANDSHAKES_AT_ONCE", 2)
    monkeypatch.setattr("servicekit.tls.front.HANDSHAKES_PER_SECOND", 0.01)
    files, codes = pool.files("ann", ANN), []
    async with served(pool) as (_, server), asyncio.timeout(20):
        for seconds in (10, 10, 0.3):
            async with dialled(server.target, files) as channel:
                try:
                    await call(channel, "Coroutine")(BytesValue(), timeout=seconds)
                    codes.append("OK")
                except grpc.aio.AioRpcError as error:
                    codes.append(error.code().name)

    assert codes == ["OK", "OK", "DEADLINE_EXCEEDED"]
