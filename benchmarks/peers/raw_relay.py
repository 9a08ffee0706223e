"""Measures the floor under a relay: the same agents and processes, joined by bare sockets. Stores and parses nothing.

`python -m benchmarks.peers.raw_relay host PORT PROMPT COUNT` reads agents' pipes and sends `[agent u32][length u32][bytes]` on.
`python -m benchmarks.peers.raw_relay relay` passes to its first visitor, the watcher, what its second, the host, sends.
"""

import asyncio
import contextlib
import struct
import sys
import time

from benchmarks.peers.plain_agents import PIPE_BYTES, run_agents

HEAD = struct.Struct("<II")


async def host(port: int, prompt: str, count: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)

    async def carry(number: int, output: asyncio.StreamReader) -> None:
        while data := await output.read(PIPE_BYTES):
            writer.write(HEAD.pack(number, len(data)) + data)
            await writer.drain()

    await run_agents(prompt, count, carry)
    writer.close()
    await writer.wait_closed()


async def relay() -> None:
    watchers: list[asyncio.StreamWriter] = []
    over = asyncio.Event()

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not watchers:
            watchers.append(writer)
            return
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(HEAD.size)
                watchers[0].write(head + await reader.readexactly(HEAD.unpack(head)[1]))
                await watchers[0].drain()
        watchers[0].close()
        over.set()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()


if __name__ == "__main__":
    if sys.argv[1] == "host":
        asyncio.run(host(int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
    else:
        asyncio.run(relay())
    print(time.process_time(), flush=True)
