"""Watches one run many times over and reads nothing of it: `python -m benchmarks.load.crowd ADDRESS RUN COUNT`.

A watcher costs its own machine as much as the conductor. So these leave their messages as bytes, and share a few connections.
"""

import asyncio
import sys

import grpc

from benchmarks.load.lateness import tell_lateness
from conductor.v1.run_service_pb2 import WatchRunRequest

WATCHES_OF_CONNECTION = 50
METHOD = "/conductor.v1.RunService/WatchRun"


async def watch(channel: grpc.aio.Channel, request: bytes, first: asyncio.Event) -> None:
    call = channel.unary_stream(METHOD)(request)
    while await call.read() is not grpc.aio.EOF:
        first.set()
    raise SystemExit("a watch ended before its run")


async def main(address: str, run: str, count: int) -> None:
    request = WatchRunRequest(name=run).SerializeToString()
    # gRPC shares connections between channels of the same options.
    alone = [("grpc.use_local_subchannel_pool", 1)]
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            if number % WATCHES_OF_CONNECTION == 0:
                channel = grpc.aio.insecure_channel(address, options=alone)
            first = asyncio.Event()
            tasks.create_task(watch(channel, request, first))
            await first.wait()
        await tell_lateness()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
