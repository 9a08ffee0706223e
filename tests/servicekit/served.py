"""A real server whose methods of all kinds do what a test says, and how tests call it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conductor.errors import (
    NoCapacityError,
)
from servicekit.addresses import Address
from servicekit.channels import open_channel
from servicekit.server import Server
from servicekit.statuses import Refusal, read_refusal

KINDS = ("Coroutine", "ClientStream", "Generator", "Bidirectional")


class Kinds:
    """A servicer with one method of each kind; each does what `act` does."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.cleaned_up = asyncio.Event()
        self.received: list[int] = []

    async def coroutine(self, request: BytesValue, context: Any) -> BytesValue:
        self.received.append(len(request.value))
        await self.act()
        return request

    async def client_stream(self, requests: AsyncIterator[BytesValue], context: Any) -> BytesValue:
        async for request in requests:
            self.received.append(len(request.value))
        await self.act()
        return BytesValue()

    async def generator(self, request: BytesValue, context: Any) -> AsyncIterator[BytesValue]:
        try:
            yield request
            await self.act()
        finally:
            self.cleaned_up.set()

    async def bidirectional(self, requests: AsyncIterator[BytesValue], context: Any) -> AsyncIterator[BytesValue]:
        async for request in requests:
            yield request
        await self.act()


def add_kinds(servicer: Kinds, server: grpc.aio.Server) -> None:
    codec = {"request_deserializer": BytesValue.FromString, "response_serializer": BytesValue.SerializeToString}
    methods = {
        "Coroutine": grpc.unary_unary_rpc_method_handler(servicer.coroutine, **codec),
        "ClientStream": grpc.stream_unary_rpc_method_handler(servicer.client_stream, **codec),
        "Generator": grpc.unary_stream_rpc_method_handler(servicer.generator, **codec),
        "Bidirectional": grpc.stream_stream_rpc_method_handler(servicer.bidirectional, **codec),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Kinds", methods),))


def call(channel: grpc.aio.Channel, kind: str) -> Any:
    make = {
        "Coroutine": channel.unary_unary,
        "ClientStream": channel.stream_unary,
        "Generator": channel.unary_stream,
        "Bidirectional": channel.stream_stream,
    }[kind]
    return make(f"/test.Kinds/{kind}", BytesValue.SerializeToString, BytesValue.FromString)


async def spend(channel: grpc.aio.Channel, kind: str, data: bytes = b"x") -> None:
    """Makes a call and takes all that it gives."""
    request = BytesValue(value=data)
    match kind:
        case "Coroutine":
            await call(channel, kind)(request)
        case "ClientStream":
            await call(channel, kind)(iter([request]))
        case "Generator":
            async for _ in call(channel, kind)(request):
                pass
        case _:
            async for _ in call(channel, kind)(iter([request])):
                pass


async def refusal(channel: grpc.aio.Channel, kind: str, data: bytes = b"x") -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await spend(channel, kind, data)
    return read_refusal(caught.value)


def add_torrent(server: grpc.aio.Server, until: Callable[[], Awaitable[object]]) -> None:
    """A method whose generator is written without end, and has a task that fails when `until` returns."""

    async def fail() -> None:
        await until()
        raise NoCapacityError

    async def torrent(request: BytesValue, context: Any) -> AsyncIterator[BytesValue]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            while True:
                yield BytesValue(value=b"x" * 1_000_000)

    method = grpc.unary_stream_rpc_method_handler(torrent, BytesValue.FromString, BytesValue.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Torrent", {"Flow": method}),))


class Served:
    """A server with `Kinds`, and a channel to it."""

    def __init__(self, act: Callable[[], Any], folder: Path) -> None:
        self.kinds = Kinds(act)
        self._address = Address.parse(f"unix:{folder}/s")

    async def __aenter__(self) -> tuple[Kinds, grpc.aio.Channel]:
        self.server = await Server.start(self._address, [(add_kinds, self.kinds)], service="conductor")
        self.channel = open_channel(self.server.target)
        return self.kinds, self.channel

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.server.stop(0)


def raising(error: BaseException) -> Callable[[], Any]:
    async def act() -> None:
        raise error

    return act


async def nothing() -> None:
    pass


async def refused_check(channel: grpc.aio.Channel) -> str:
    """The code that a health check is refused with; empty where it is answered."""
    try:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return ""


async def health_of(target: str) -> Any:
    async with open_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return [
            (await stub.Check(health_pb2.HealthCheckRequest(service=s))).status for s in ("", "conductor.v1.RunService")
        ]
