"""A model endpoint on loopback that the host itself plays: for each request a function says what the model answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import h11

from agenthost.catalogue.speech import STREAM, Call, streamed, whole

MODEL = "played-model"
Play = Callable[[Mapping[str, Any]], str | Call]
_PLAIN = {"content-type": "application/json"}


@asynccontextmanager
async def played_model(play: Play) -> AsyncIterator[str]:
    """Serves the model, and yields its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            while await _serve_one(connection, play, reader, writer):
                connection.start_next_cycle()
        except (OSError, h11.RemoteProtocolError, h11.LocalProtocolError):
            pass  # the gateway left in the middle of a request
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _serve_one(
    connection: h11.Connection, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    target, body = "", b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            target = event.target.decode()
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            return False
    headers, answer = _answer(target, json.loads(body or b"{}"), play)
    for part in (
        h11.Response(status_code=200, headers=list(headers.items())),
        h11.Data(data=answer),
        h11.EndOfMessage(),
    ):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    return True


def _answer(target: str, body: Mapping[str, Any], play: Play) -> tuple[Mapping[str, str], bytes]:
    if not body:
        return _PLAIN, json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode()
    step = play(body) if body.get("tools") else "Title"
    if body.get("stream") is True or "stream" in target.lower():
        return STREAM, b"".join(b"".join(pieces) for pieces in streamed(target, step))
    return _PLAIN, whole(target, step if isinstance(step, str) else "")
