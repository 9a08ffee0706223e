"""A server takes so many calls of each kind: a flood of one keeps out no other, and is refused with its details. Keeps K5."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.calls import rooms
from servicekit.calls.rooms import room_of
from servicekit.statuses import read_refusal
from tests.servicekit.served import KINDS, Served, call, health_of, nothing, refusal

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize(
    ("method", "is_stream", "room"),
    [
        ("/conductor.v1.RunService/WatchRun", True, "streams"),
        ("/conductor.v1.RunService/CreateRun", False, "requests"),
        ("/conductor.v1.RunService/CancelRun", False, "kept_requests"),
        ("/conductor.v1.ServerService/GetServerInfo", False, "kept_requests"),
        ("/grpc.health.v1.Health/Check", False, "kept_requests"),
        ("/grpc.health.v1.Health/Watch", True, "kept_streams"),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", True, "kept_streams"),
        ("/agenthost.v1.ExecutionService/Execute", True, "streams"),
    ],
)
def test_health_reflection_and_cancelling_have_room_of_their_own(method: str, room: str, *, is_stream: bool) -> None:
    assert room_of(method, is_stream=is_stream) == room


@pytest.mark.parametrize(("flooding", "other"), [("Generator", "Coroutine"), ("Coroutine", "Generator")])
async def test_calls_beyond_the_limit_are_refused_with_details_and_calls_of_another_kind_are_not(
    flooding: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "ROOMS", dict.fromkeys(rooms.ROOMS, 3))
    go_on, at_work = asyncio.Event(), asyncio.Semaphore(0)

    async def act() -> None:
        at_work.release()
        await go_on.wait()

    async with Served(act, tmp_path) as (_, channel), asyncio.timeout(20):
        flood = [begun(channel, flooding) for _ in range(3)]
        for _ in flood:
            await at_work.acquire()
        refused = [await refusal(channel, kind) for kind in KINDS if is_stream(kind) == is_stream(flooding)]
        taken = begun(channel, other)
        await at_work.acquire()
        health = await health_of(f"unix:{tmp_path}/s")
        go_on.set()
        await asyncio.gather(taken, *flood)
        await begun(channel, flooding)

    assert health == [SERVING] * 2
    for told in refused:
        assert (told.code, told.reason, told.kind) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", "RECOVERABLE")
        assert ("most", "3") in told.metadata
        assert told.retry_after_seconds == 5


def is_stream(kind: str) -> bool:
    return kind in {"Generator", "Bidirectional"}


def begun(channel: grpc.aio.Channel, kind: str) -> "asyncio.Task[None]":
    async def spend() -> None:
        made = call(channel, kind)(BytesValue(value=b"x"))
        if is_stream(kind):
            assert [answer async for answer in made] != []
        else:
            await made

    return asyncio.create_task(spend())


async def test_every_watcher_of_health_hears_not_serving_before_its_call_ends(tmp_path: Path) -> None:
    served = Served(nothing, tmp_path)
    async with served as (_, channel), asyncio.timeout(20):
        stub = health_pb2_grpc.HealthStub(channel)
        watchers = [aiter(stub.Watch(health_pb2.HealthCheckRequest(service=name))) for name in ["", "no.Such"] * 20]
        first = [(await anext(watcher)).status for watcher in watchers]
        await served.server.stop(5)
        last = [await rest(watcher) for watcher in watchers]

    assert first == [SERVING, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN] * 20
    assert last == [([NOT_SERVING], "SHUTTING_DOWN"), ([], "SHUTTING_DOWN")] * 20


async def rest(watcher: AsyncIterator[health_pb2.HealthCheckResponse]) -> tuple[list[int], str]:
    """Returns what a watcher still hears, and the reason with which its call ends."""
    heard: list[int] = []
    try:
        while True:
            heard.append((await anext(watcher)).status)
    except grpc.aio.AioRpcError as error:
        return heard, read_refusal(error).reason


async def test_the_health_of_a_service_that_is_not_there_is_not_found_with_details(tmp_path: Path) -> None:
    async with Served(nothing, tmp_path) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="no.Such"))

    assert read_refusal(caught.value).reason == "SERVICE_UNKNOWN"
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
