"""Asks for runs, decides at gates and follows runs through a bad network: over the public API, each caller on its own connection.

A watcher keeps what it was told as visits, a visit for every call, in the shape that `tests.kit.histories` judges.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import grpc

from conductor.v1 import gate_service_pb2_grpc, run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import GateWork
from conductor.v1.gate_service_pb2 import ListGatesRequest, ResolveGateRequest
from conductor.v1.run_service_pb2 import CancelRunRequest, CreateRunRequest, Output, WatchRunRequest, WatchRunResponse
from tests.chaos.several import SeveralChannel
from tests.kit.histories import Entry, Fact, Speech, Visit, Watch

AGAIN_SECONDS = 0.2
PATIENCE_SECONDS = 240.0
CALL_SECONDS = 5.0
# A connection of its own, that comes back at once.
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 3_000),
)
_AWAY = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
_BROKEN_WRITE = "Internal error from Core"  # see read_refusal
_CHANNELS = {
    Output.CHANNEL_ANSWER: "answer",
    Output.CHANNEL_REASONING: "reasoning",
    Output.CHANNEL_LOG: "log",
    Output.CHANNEL_ACTIVITY: "activity",
}
Answer = TypeVar("Answer")


# The credentials of callers, and the name that the server must show, by address; other addresses are dialled without TLS.
SECURED: dict[str, tuple[grpc.ChannelCredentials, str]] = {}


def open_channel(address: str) -> grpc.aio.Channel:
    """Opens a channel to an address, or to several with commas between them, whose servers share their store."""
    if "," in address:
        return SeveralChannel([open_channel(one) for one in address.split(",")])  # type: ignore[return-value] # stubs use no more of a channel than it has
    if address not in SECURED:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    credentials, name = SECURED[address]
    return grpc.aio.secure_channel(address, credentials, (*_OPTIONS, ("grpc.ssl_target_name_override", name)))


def _is_away(error: grpc.aio.AioRpcError) -> bool:
    """Returns whether the network said so; what a service says against a call is not tried again."""
    return error.code() in _AWAY or error.details() == _BROKEN_WRITE


async def insist(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Calls until there is an answer, whatever lies between: what is asked must be harmless to ask twice."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if not _is_away(error) or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(AGAIN_SECONDS)


async def create(address: str, request: CreateRunRequest) -> str:
    """Asks for a run, again and again under one request id; gives its id."""
    async with open_channel(address) as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        run = await insist(lambda: stub.CreateRun(request, timeout=CALL_SECONDS))
        return str(run.name.removeprefix("runs/"))


async def cancel(address: str, run: str, request_id: str) -> None:
    """Asks a run to stop; it may have ended."""
    asked = CancelRunRequest(name=f"runs/{run}", reason="chaos", request_id=request_id)
    async with open_channel(address) as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        try:
            await insist(lambda: stub.CancelRun(asked, timeout=CALL_SECONDS))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise


async def decide_all(address: str, ids: Random) -> None:
    """Approves every gate that waits, as two people at once who want the same; never ends by itself."""
    async with open_channel(address) as one, open_channel(address) as other:
        people = [gate_service_pb2_grpc.GateServiceStub(channel) for channel in (one, other)]
        while True:
            listed = await insist(lambda: people[0].ListGates(ListGatesRequest(), timeout=CALL_SECONDS))
            for gate in listed.gates:
                wanted = ResolveGateRequest(name=gate.name, decision=GateWork.DECISION_APPROVE, digest=gate.digest)
                both = [ResolveGateRequest(), ResolveGateRequest()]
                for request in both:
                    request.CopyFrom(wanted)
                    request.request_id = str(uuid.UUID(int=ids.getrandbits(128), version=4))
                await asyncio.gather(*(_approve(person, request) for person, request in zip(people, both, strict=True)))
            await asyncio.sleep(AGAIN_SECONDS)


async def _approve(person: "gate_service_pb2_grpc.GateServiceAsyncStub", request: ResolveGateRequest) -> None:
    await insist(lambda: person.ResolveGate(request, timeout=CALL_SECONDS))


@dataclass(slots=True)
class Watcher:
    """One that follows a run to its end. `pauses`: how long it reads nothing, after so many messages."""

    name: str
    run: str
    pauses: dict[int, float] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    messages: int = 0
    heard_end: bool = False

    async def follow(self, address: str) -> None:
        """Comes back after every interruption, with the last token that it was given; patient while there is news."""
        token, position = "", 0
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        async with open_channel(address) as channel:
            stub = run_service_pb2_grpc.RunServiceStub(channel)
            while not self.heard_end:
                told: list[Entry] = []
                after = position
                call = stub.WatchRun(WatchRunRequest(name=f"runs/{self.run}", resume_token=token))
                try:
                    async for message in call:
                        await self._pause()
                        if entry := entry_of(message, after):
                            told.append(entry)
                            token, position = message.resume_token, message.sequence
                            deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
                    self.heard_end = True
                except grpc.aio.AioRpcError as error:
                    if not _is_away(error) or asyncio.get_running_loop().time() > deadline:
                        raise
                finally:
                    call.cancel()
                self.visits.append(Visit(after, tuple(told)))
                if not self.heard_end:
                    await asyncio.sleep(AGAIN_SECONDS)

    async def _pause(self) -> None:
        self.messages += 1
        if seconds := self.pauses.get(self.messages):
            await asyncio.sleep(seconds)

    def watch(self) -> Watch:
        """Returns what it was told, to be judged."""
        return Watch(self.name, self.run, tuple(self.visits), self.heard_end)


def entry_of(message: WatchRunResponse, after: int) -> Entry | None:
    """Returns what a message tells; None where it only says how things stand."""
    kind = message.WhichOneof("message")
    if kind == "progress" or message.sequence == after:
        return None
    if kind == "output":
        said = message.output
        return Speech(message.sequence, said.attempt, _CHANNELS[said.channel], said.offset, said.text.encode())
    body = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
    return Fact(message.sequence, body=body)
