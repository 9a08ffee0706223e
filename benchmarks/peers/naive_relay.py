"""Relays as a first draft would: a gRPC message for each token, and a commit for each, before it is shown. Same hops as ours.

`python -m benchmarks.peers.naive_relay host PORT PROMPT COUNT TOKEN_BYTES` sends each token of its agents as a message.
`python -m benchmarks.peers.naive_relay relay DATABASE` commits each (WAL, synchronous NORMAL, as ours before it shows text),
then sends it to the one watcher. Messages are bare bytes, `[agent u32][token]`, which costs less than real ones would.
"""

import asyncio
import struct
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiosqlite
import grpc

from benchmarks.peers.plain_agents import run_agents

AGENT = struct.Struct("<I")
SERVICE = "naive"
WAITING = 1000


async def host(port: int, prompt: str, count: int, token_bytes: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        say = channel.stream_unary(f"/{SERVICE}/Say")

        async def carry(number: int, output: asyncio.StreamReader) -> None:
            call = say()
            head = AGENT.pack(number)
            try:
                while True:
                    await call.write(head + await output.readexactly(token_bytes))
            except asyncio.IncompleteReadError:
                await call.done_writing()
            await call

        await run_agents(prompt, count, carry)
        await channel.unary_unary(f"/{SERVICE}/End")(b"")


class Relay:
    """Commits each token and passes it on."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._told: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        self.over = asyncio.Event()

    async def say(self, messages: AsyncIterator[bytes], _: Any) -> bytes:
        async for message in messages:
            async with self._lock:
                agent, token = AGENT.unpack_from(message)[0], message[AGENT.size :]
                await self._database.execute("INSERT INTO tokens (agent, token) VALUES (?, ?)", (agent, token))
                await self._database.commit()
            await self._told.put(message)
        return b""

    async def end(self, _: bytes, __: Any) -> bytes:
        await self._told.put(b"")
        return b""

    async def watch(self, _: bytes, __: Any) -> AsyncIterator[bytes]:
        while message := await self._told.get():
            yield message
        self.over.set()


async def relay(file: str) -> None:
    async with aiosqlite.connect(file) as database:
        await database.execute("PRAGMA journal_mode = WAL")
        await database.execute("PRAGMA synchronous = NORMAL")
        await database.execute("CREATE TABLE tokens (id INTEGER PRIMARY KEY, agent INTEGER, token BLOB)")
        made = Relay(database)
        handlers = {
            "Say": grpc.stream_unary_rpc_method_handler(made.say),
            "End": grpc.unary_unary_rpc_method_handler(made.end),
            "Watch": grpc.unary_stream_rpc_method_handler(made.watch),
        }
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(port, flush=True)
        await made.over.wait()
        await server.stop(1)


if __name__ == "__main__":
    if sys.argv[1] == "host":
        asyncio.run(host(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
    else:
        asyncio.run(relay(sys.argv[2]))
    print(time.process_time(), flush=True)
