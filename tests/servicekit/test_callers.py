"""Callers of a server: admitted before their requests are read, known to the handler, refused with details. Keeps K12."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from servicekit.addresses import Address
from servicekit.calls.callers import Caller, current_caller
from servicekit.channels import open_channel
from servicekit.errors import RoleNotAllowedError, UnauthenticatedError
from servicekit.server import Server
from servicekit.statuses import read_refusal
from tests.servicekit.served import KINDS, Kinds, add_kinds, health_of, nothing, refusal, refused_check, spend


class Door:
    """Admits callers as a test says, and remembers the methods."""

    def __init__(self, answer: Caller | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, method: str, context: Any) -> Caller:
        self.asked.append(method)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("kind", KINDS)
async def test_a_handler_knows_its_caller(kind: str, tmp_path: Path) -> None:
    seen: list[Caller] = []

    async def act() -> None:
        seen.append(current_caller())

    anna = Caller("anna", "certificate", "viewer")
    server = await Server.start(
        Address.parse(f"unix:{tmp_path}/s"), [(add_kinds, Kinds(act))], service="conductor", admit=Door(anna)
    )
    async with open_channel(server.target) as channel:
        await spend(channel, kind)
    await server.stop(0)

    assert seen == [anna]
    assert anna.identity == "certificate:anna"
    assert current_caller().identity == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [UnauthenticatedError(), RoleNotAllowedError(metadata={"role": "viewer"})])
async def test_a_refused_call_is_told_why_and_nothing_of_it_is_read(
    kind: str, error: UnauthenticatedError | RoleNotAllowedError, tmp_path: Path
) -> None:
    kinds = Kinds(nothing)
    server = await Server.start(
        Address.parse(f"unix:{tmp_path}/s"), [(add_kinds, kinds)], service="conductor", admit=Door(error)
    )
    async with open_channel(server.target) as channel:
        told = await refusal(channel, kind)
        health = await refused_check(channel)
    await server.stop(0)

    assert (told.code, told.reason) == (error.code, error.reason)
    assert dict(told.metadata).items() >= error.metadata.items()
    assert health == error.code
    assert kinds.received == []


async def test_health_and_reflection_ask_at_the_door_too(tmp_path: Path) -> None:
    door = Door(Caller("", "socket", "admin"))
    server = await Server.start(Address.parse(f"unix:{tmp_path}/s"), [], service="conductor", admit=door)
    await health_of(server.target)
    async with open_channel(server.target) as channel:
        reflect = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        assert await reflect(iter([])).read() is grpc.aio.EOF
    await server.stop(0)

    assert set(door.asked) == {
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    }


async def test_a_call_without_a_request_is_refused(tmp_path: Path) -> None:
    server = await Server.start(Address.parse(f"unix:{tmp_path}/s"), [(add_kinds, Kinds(nothing))], service="conductor")
    async with open_channel(server.target) as channel:
        call = channel.stream_unary("/test.Kinds/Coroutine", BytesValue.SerializeToString)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(iter([]))
    await server.stop(0)

    assert read_refusal(caught.value).reason == "INVALID_REQUEST"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_at_work_ends_when_its_caller_is_not_admitted_any_more(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicekit.server.SWEEP_SECONDS", 0.02)
    began, door = asyncio.Event(), Door(Caller("anna", "certificate", "viewer"))

    async def act() -> None:
        began.set()
        await asyncio.Event().wait()

    server = await Server.start(
        Address.parse(f"unix:{tmp_path}/s"), [(add_kinds, Kinds(act))], service="conductor", admit=door
    )
    async with open_channel(server.target) as channel, asyncio.timeout(10):
        refused = asyncio.ensure_future(refusal(channel, kind))
        await began.wait()
        door.answer = UnauthenticatedError("the certificate of client 'anna' was revoked")
        told = await refused
    await server.stop(0)

    assert (told.code, told.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert "was revoked" in told.message
