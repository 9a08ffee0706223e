"""The server's furniture, over real sockets: statuses, limits, health, addresses. Keeps K1, K3 and grpc.md's rules."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
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
from conductor.v1.furniture.addresses import Address, AddressError, AddressInUseError, refuse_taken
from conductor.v1.furniture.channels import (
    CHANNEL_OPTIONS,
    MAX_CONNECTIONS,
    MAX_IDLE_SECONDS,
    SERVER_OPTIONS,
    open_channel,
)
from conductor.v1.furniture.server import Server
from conductor.v1.furniture.statuses import Refusal, read_refusal

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


def add_torrent(server: grpc.aio.Server, failing: asyncio.Event) -> None:
    """A method whose generator is written to a client that does not read, and has a task that fails meanwhile."""

    async def fail() -> None:
        await failing.wait()
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
        self.server = await Server.start(self._address, [(add_kinds, self.kinds)])
        self.channel = open_channel(self.server.target)
        return self.kinds, self.channel

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.server.stop(0)


def raising(error: BaseException) -> Callable[[], Any]:
    async def act() -> None:
        raise error

    return act


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
    server = await Server.start(Address.parse(f"unix:{tmp_path}/s"), [(lambda _, it: add_torrent(it, failing), None)])
    async with open_channel(server.target) as channel, asyncio.timeout(20):
        flow = channel.unary_stream("/test.Torrent/Flow", BytesValue.SerializeToString, BytesValue.FromString)
        flowing = aiter(flow(BytesValue()))
        await anext(flowing)
        failing.set()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [None async for _ in flowing]
    await server.stop(0)

    assert read_refusal(caught.value).reason == "NO_CAPACITY"


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


async def nothing() -> None:
    pass


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


@pytest.mark.parametrize("listen", ["unix:{}/s", "127.0.0.1:0"])
async def test_connections_are_bounded_and_who_leaves_makes_room(
    listen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dict(SERVER_OPTIONS) | {"grpc.max_allowed_incoming_connections": 5}
    assert dict(SERVER_OPTIONS)["grpc.max_allowed_incoming_connections"] == MAX_CONNECTIONS
    monkeypatch.setattr("conductor.v1.furniture.server.SERVER_OPTIONS", tuple(options.items()))
    server = await Server.start(Address.parse(listen.format(tmp_path)), [])
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
    monkeypatch.setattr("conductor.v1.furniture.server.SERVER_OPTIONS", tuple(options.items()))
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


async def test_health_is_serving_until_it_is_told_to_stop(tmp_path: Path) -> None:
    served = Served(nothing, tmp_path)
    async with served:
        assert await health_of(served.server.target) == [health_pb2.HealthCheckResponse.SERVING] * 2
        await served.server.tell_stopping()
        assert await health_of(served.server.target) == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2


async def test_a_live_socket_is_not_taken_over_and_a_dead_one_is(tmp_path: Path) -> None:
    """Keeps grpc.md's rule 8."""
    address = Address.parse(f"unix:{tmp_path}/s")
    first = await Server.start(address, [])
    with pytest.raises(AddressInUseError):
        await Server.start(address, [])
    assert (await health_of(first.target))[0] == health_pb2.HealthCheckResponse.SERVING
    await first.stop(0)

    (tmp_path / "s").touch()  # what a killed process leaves
    second = await Server.start(address, [])
    assert (await health_of(second.target))[0] == health_pb2.HealthCheckResponse.SERVING
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    await second.stop(0)


async def test_a_port_is_not_shared(tmp_path: Path) -> None:
    first = await Server.start(Address.parse("127.0.0.1:0"), [])
    with pytest.raises(AddressInUseError):
        await Server.start(Address.parse(first.target), [])
    await first.stop(0)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "unix:{}/s"])
async def test_whether_an_address_is_taken_is_known_without_listening(listen: str, tmp_path: Path) -> None:
    address = Address.parse(listen.format(tmp_path))
    refuse_taken(address)
    assert list(tmp_path.iterdir()) == []

    first = await Server.start(address, [])
    with pytest.raises(AddressInUseError):
        refuse_taken(Address.parse(first.target))
    assert (await health_of(first.target))[0] == health_pb2.HealthCheckResponse.SERVING
    await first.stop(0)

    refuse_taken(Address.parse(first.target))


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:7777", "[::1]:50051", "127.8.8.8:1", "unix:/tmp/x"])
def test_loopback_and_unix_are_addresses(text: str) -> None:
    assert Address.parse(text).target == text


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0:1",
        "[::]:1",
        "192.168.1.1:80",
        "example.org:80",
        "localhost",
        ":80",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "unix:",
        f"unix:/{'x' * 107}",
    ],
)
def test_any_other_address_is_refused(text: str) -> None:
    """Keeps K3."""
    with pytest.raises(AddressError):
        Address.parse(text)


@pytest.mark.parametrize("port", ["65536", "80000", "9" * 5000])
def test_a_port_that_is_too_large_is_called_that(port: str) -> None:
    with pytest.raises(AddressError, match="is too large: give one up to 65535"):
        Address.parse(f"127.0.0.1:{port}")


def test_a_write_that_meets_a_broken_connection_is_no_defect_of_the_other_side() -> None:
    """Found by `./dev chaos`: grpc.aio calls it INTERNAL, and so it counted against an attempt that lived."""
    broken = grpc.aio.AioRpcError(
        grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), details="Internal error from Core"
    )

    assert read_refusal(broken).code == "UNAVAILABLE"
