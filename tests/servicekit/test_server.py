"""Every server of ours, over real sockets: statuses, limits, cancelling, stopping. Keeps K1 and grpc.md's rules."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from structlog.testing import capture_logs

from conductor.errors import (
    FlowInvalidError,
    FlowProblem,
    InvalidRequestError,
    NoCapacityError,
    NotFoundError,
    PreconditionError,
    Violation,
)
from servicekit.addresses import Address
from servicekit.channels import open_channel
from servicekit.server import Server
from servicekit.statuses import read_refusal
from tests.servicekit.served import KINDS, Served, add_torrent, call, nothing, raising, refusal, spend


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_of_ours_arrives_with_its_details(kind: str, tmp_path: Path) -> None:
    """Keeps K1."""
    error = NotFoundError("flow", "flows/x", hint="see ListFlows", metadata={"known": "flows/survey"})
    async with Served(raising(error), tmp_path) as (_, channel):
        told = await refusal(channel, kind)

    assert told.code == "NOT_FOUND"
    assert told.reason == "FLOW_NOT_FOUND"
    assert told.kind == "HUMAN_REQUIRED"
    assert told.hint == "see ListFlows"
    assert ("known", "flows/survey") in told.metadata


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [ValueError("secret text"), asyncio.CancelledError("secret text"), TimeoutError()])
async def test_any_other_error_is_internal_and_keeps_its_text_to_itself(
    kind: str, error: BaseException, tmp_path: Path
) -> None:
    """Keeps grpc.md's rule 6: a stray CancelledError would hang the client."""
    async with Served(raising(error), tmp_path) as (_, channel), asyncio.timeout(10):
        told = await refusal(channel, kind)

    assert told.code == "INTERNAL"
    assert told.reason == "INTERNAL"
    assert dict(told.metadata)["error_id"] in told.message
    assert "secret" not in told.message


async def test_a_task_that_fails_while_the_client_does_not_read_is_told_all_the_same(tmp_path: Path) -> None:
    failing = asyncio.Event()
    async with torrent(tmp_path, failing.wait) as flowing:
        await anext(flowing)
        failing.set()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [None async for _ in flowing]

    assert read_refusal(caught.value).reason == "NO_CAPACITY"


@pytest.mark.parametrize("steps", range(6))
async def test_a_task_that_fails_during_the_first_write_is_told_all_the_same(steps: int, tmp_path: Path) -> None:
    """gRPC would send the headers twice, refuse its own batch (TOO_MANY_OPERATIONS), and never end the call."""

    async def step() -> None:
        for _ in range(steps):
            await asyncio.sleep(0)

    async with torrent(tmp_path, step) as flowing:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [None async for _ in flowing]

    assert read_refusal(caught.value).reason == "NO_CAPACITY"


@asynccontextmanager
async def torrent(folder: Path, until: Callable[[], Awaitable[object]]) -> AsyncIterator[AsyncIterator[BytesValue]]:
    served = [(lambda _, server: add_torrent(server, until), None)]
    server = await Server.start(Address.parse(f"unix:{folder}/s"), served, service="conductor")
    try:
        async with open_channel(server.target) as channel, asyncio.timeout(20):
            flow = channel.unary_stream("/test.Torrent/Flow", BytesValue.SerializeToString, BytesValue.FromString)
            yield aiter(flow(BytesValue()))
    finally:
        await server.stop(0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("others", [(), (GeneratorExit(),), (ValueError("a defect"),)])
async def test_a_write_to_a_client_that_is_gone_is_a_cancelled_call_and_no_failed_one(
    kind: str, others: tuple[BaseException, ...], tmp_path: Path
) -> None:
    """Found by killing watchers: some left a traceback in the log. A real one is not to be had at will: mostly, gRPC is faster."""
    write_failed = grpc.aio.InternalError('Failed "execute_batch"')
    error = BaseExceptionGroup("a stream and its tasks", [write_failed, *others]) if others else write_failed
    is_defect = any(isinstance(other, ValueError) for other in others)
    with capture_logs() as logs:
        async with Served(raising(error), tmp_path) as (_, channel):
            refused = await refusal(channel, kind)

    assert refused.code == ("INTERNAL" if is_defect else "CANCELLED")
    assert ("call_failed" in {line["event"] for line in logs}) == is_defect


async def test_an_error_inside_a_group_is_told_as_itself(tmp_path: Path) -> None:
    error = ExceptionGroup("tasks", [ExceptionGroup("more", [NoCapacityError()])])
    async with Served(raising(error), tmp_path) as (_, channel):
        told = await refusal(channel, "Coroutine")

    assert told.reason == "NO_CAPACITY"
    assert told.retry_after_seconds == 5.0


async def test_field_violations_and_flow_problems_name_their_place(tmp_path: Path) -> None:
    problem = FlowProblem("f.yaml", 7, "steps[0].id", "has a space")
    async with Served(raising(FlowInvalidError((problem,))), tmp_path) as (_, channel):
        told = await refusal(channel, "Coroutine")
    assert told.violations == (("steps[0].id", "f.yaml:7: has a space"),)

    folder = tmp_path / "second"
    async with Served(raising(InvalidRequestError(Violation("name", "is empty"))), folder) as (_, channel):
        told = await refusal(channel, "Coroutine")
    assert told.violations == (("name", "is empty"),)


async def test_a_precondition_says_what_about_which_subject(tmp_path: Path) -> None:
    error = PreconditionError("RUN_NOT_RUNNING", "it has ended", subject="runs/x")
    async with Served(raising(error), tmp_path) as (_, channel):
        told = await refusal(channel, "Coroutine")

    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "RUN_NOT_RUNNING")


async def test_a_thousand_problems_still_arrive_as_an_error_that_can_be_read(tmp_path: Path) -> None:
    """Keeps grpc.md's rule 12: larger trailers are refused by the client's transport."""
    problems = tuple(FlowProblem("ü" * 90, line, f"steps[{line}]", "é" * 900) for line in range(1000))
    async with Served(raising(FlowInvalidError(problems)), tmp_path) as (_, channel):
        told = await refusal(channel, "Coroutine")

    assert told.reason == "FLOW_INVALID"
    assert told.violations[0][0] == "steps[0]"
    assert told.violations[-1][1].startswith("and 9")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_above_the_limit_is_refused_by_name_and_the_service_lives(kind: str, tmp_path: Path) -> None:
    """Keeps K5: 5 MiB are read, measured and refused with the limit."""
    async with Served(nothing, tmp_path) as (_, channel):
        told = await refusal(channel, kind, b"x" * (5 * 1024 * 1024))
        await spend(channel, kind, b"x" * (4 * 1024 * 1024 - 100))

    assert (told.code, told.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert "4 MiB" in told.violations[0][1]


async def test_bytes_that_are_no_message_are_refused(tmp_path: Path) -> None:
    async with Served(nothing, tmp_path) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Kinds/Coroutine")(b"\xff\xff\xff")

    assert read_refusal(caught.value).reason == "INVALID_REQUEST"


async def test_a_cancelled_call_cleans_up_at_once(tmp_path: Path) -> None:
    forever = asyncio.Event()
    async with Served(forever.wait, tmp_path) as (kinds, channel), asyncio.timeout(10):
        watch = call(channel, "Generator")(BytesValue())
        await watch.read()
        watch.cancel()
        await kinds.cleaned_up.wait()


@pytest.mark.parametrize("kind", ["Coroutine", "Generator"])
async def test_stop_says_so_to_calls_and_returns_after_they_have_cleaned_up(kind: str, tmp_path: Path) -> None:
    """Keeps grpc.md's rule 9."""
    ended = []
    started = asyncio.Event()

    async def act() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("here")

    served = Served(act, tmp_path)
    async with served as (_, channel), asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(refusal(channel, kind))
        await started.wait()
        await served.server.stop(0.01)
        assert ended == ["here"]
    assert (calling.result().code, calling.result().reason) == ("UNAVAILABLE", "SHUTTING_DOWN")


async def test_a_call_that_ends_within_the_grace_is_answered(tmp_path: Path) -> None:
    started, proceed = asyncio.Event(), asyncio.Event()

    async def act() -> None:
        started.set()
        await proceed.wait()

    served = Served(act, tmp_path)
    async with served as (_, channel), asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(spend(channel, "Coroutine"))
        await started.wait()
        stopping = tasks.create_task(served.server.stop(30))
        assert (await refusal(channel, "Coroutine")).reason == "SHUTTING_DOWN"
        proceed.set()
        await asyncio.gather(calling, stopping)


def test_a_write_that_meets_a_broken_connection_is_no_defect_of_the_other_side() -> None:
    """Found by `./dev chaos`: grpc.aio calls it INTERNAL, and so it counted against an attempt that lived."""
    broken = grpc.aio.AioRpcError(
        grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), details="Internal error from Core"
    )

    assert read_refusal(broken).code == "UNAVAILABLE"
