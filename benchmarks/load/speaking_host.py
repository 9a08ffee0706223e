"""Plays a host whose agents speak as their prompts order: `python -m benchmarks.load.speaking_host SOCKET`.

A prompt holds `#speak INTERVAL TOKENS`: every INTERVAL seconds a word of 20 bytes with the instant at which it was due, and
TOKENS - 1 of 5 bytes. `#speak 0 0` is silence. As a real host does, it sends all that is due whenever the stream takes more. So
where a conductor takes too little, words are late; where this process is too slow, its own timer is, of which it tells.
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import execution_service_pb2_grpc, host_service_pb2
from agenthost.v1.execution_service_pb2_grpc import add_ExecutionServiceServicer_to_server
from agenthost.v1.host_service_pb2_grpc import add_HostServiceServicer_to_server
from agenthost.v1.snapshot_service_pb2_grpc import add_SnapshotServiceServicer_to_server
from benchmarks.load.lateness import tell_lateness
from servicekit.addresses import Address
from servicekit.server import Server
from tests.fakes.agent_host import HostTeller, SnapshotTaker
from tests.fakes.execution_host import finished, started

AGENT, HOST = "speaker", "alpha"
SLOTS = 100_000
BEAT_SECONDS = 2.0
FILLER = "word "
FRAME_BYTES = 64 * 1024  # a real host cuts its text, too


class BeatingHost(HostTeller):
    """Sends the host, and a heartbeat every 2 s."""

    async def WatchHost(  # noqa: N802
        self,
        _: host_service_pb2.WatchHostRequest,
        context: Any,  # noqa: ARG002 - gRPC gives it
    ) -> AsyncIterator[host_service_pb2.WatchHostResponse]:
        yield host_service_pb2.WatchHostResponse(host=self.host)
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            yield host_service_pb2.WatchHostResponse()


class Speakers(execution_service_pb2_grpc.ExecutionServiceServicer):
    """Begins each attempt once, and speaks until it is cancelled."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}  # frames of the attempts that have not ended

    async def Execute(self, requests: AsyncIterator[pb.ExecuteRequest], _: Any) -> Any:  # noqa: N802
        start = (await anext(aiter(requests))).start
        attempt, (interval, tokens) = start.execution, _order(start.prompt)
        cancelled = asyncio.Event()
        reading = asyncio.create_task(_read(requests, cancelled))
        try:
            yield self._numbered(attempt, started())
            if interval:
                async for text in _speak(interval, tokens, cancelled):
                    said = pb.Output(channel=pb.Output.CHANNEL_ANSWER, text=text)
                    yield self._numbered(attempt, pb.ExecuteResponse(output=said))
            await cancelled.wait()
            yield self._numbered(attempt, finished(pb.Finished.OUTCOME_CANCELLED))
            await reading
        finally:
            reading.cancel()
            self._said.pop(attempt, None)

    async def ListExecutions(self, _: pb.ListExecutionsRequest, context: Any) -> pb.ListExecutionsResponse:  # noqa: N802, ARG002
        listed = [
            pb.Execution(execution=name, state=pb.Execution.STATE_RUNNING, last_sequence=number, attached=True)
            for name, number in self._said.items()
        ]
        return pb.ListExecutionsResponse(executions=listed)

    def _numbered(self, attempt: str, frame: pb.ExecuteResponse) -> pb.ExecuteResponse:
        frame.sequence = self._said[attempt] = self._said.get(attempt, 0) + 1
        return frame


def _order(prompt: str) -> tuple[float, int]:
    interval, tokens = next(line.split()[1:] for line in prompt.splitlines() if line.startswith("#speak "))
    return float(interval), int(tokens)


async def _read(requests: AsyncIterator[pb.ExecuteRequest], cancelled: asyncio.Event) -> None:
    async for request in requests:
        if request.HasField("cancel"):
            cancelled.set()


async def _speak(interval: float, tokens: int, cancelled: asyncio.Event) -> AsyncIterator[str]:
    """Yields all that is due, again and again."""
    due, rest = time.time() + interval * random.random(), FILLER * (tokens - 1)  # noqa: S311 - so that not all speak at once
    while not cancelled.is_set():
        await asyncio.sleep(max(0.0, due - time.time()))
        said, size, now = [], 0, time.time()
        while due <= now and size < FRAME_BYTES:
            said.append(f"{due * 1e9:019.0f} {rest}")
            size += len(said[-1])
            due += interval
        if said:
            yield "".join(said)


async def main(socket: str) -> None:
    server = await Server.start(
        Address.parse(f"unix:{socket}"),
        [
            (add_ExecutionServiceServicer_to_server, Speakers()),
            (add_HostServiceServicer_to_server, host := BeatingHost(HOST, AGENT)),
            (add_SnapshotServiceServicer_to_server, SnapshotTaker()),
        ],
        service="agenthost",
    )
    host.host.slots = SLOTS
    try:
        await tell_lateness()
    finally:
        await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
