"""A model endpoint on loopback that says what it is told to say, piece by piece, and remembers what it was asked.

What the host itself asks, for the endpoint's facts, is kept apart from what agents ask.
"""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11

USAGE = {"prompt_tokens": 11, "completion_tokens": 7}
ANSWER = json.dumps({"choices": [{"message": {"content": "hello"}}], "usage": USAGE}).encode()
BREAK_OFF = b"\0break off"
NOT_FOUND = 404


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Pause:
    """A pause in an answer."""

    seconds: float


@dataclass
class Answer:
    """An answer to one request. An event or a pause among the pieces is waited for; `BREAK_OFF` cuts the connection."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    pieces: Sequence[bytes | asyncio.Event | Pause] = (ANSWER,)


HANG_UP = Answer(status=0)  # no answer: the connection is closed without a byte


class ModelServer:
    """Speaks HTTP/1.1. Requests without an answer laid out get what `reply` says, `ANSWER` where there is none."""

    def __init__(self) -> None:
        self.reply: Callable[[Asked], Answer] | None = None
        self.asked: list[Asked] = []
        self.facts: dict[str, Answer] = {}  # by path, for the host's own enquiries
        self.enquiries: list[Asked] = []
        self.answers: deque[Answer] = deque()
        self.at_once = self.most_at_once = self.connections = 0
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def serving(cls, tls: ssl.SSLContext | None = None) -> AsyncIterator["ModelServer"]:
        model = cls()
        server = await asyncio.start_server(model._serve, "127.0.0.1", 0, ssl=tls)
        model.port = server.sockets[0].getsockname()[1]
        try:
            yield model
        finally:
            server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        self.connections += 1
        try:
            while await self._serve_one(http, reader, writer):
                http.start_next_cycle()
        except (OSError, h11.RemoteProtocolError, h11.LocalProtocolError):
            pass
        finally:
            writer.transport.abort()

    async def _serve_one(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head, body = None, b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                return False
        assert head is not None
        headers = {name.decode(): value.decode() for name, value in head.headers}
        asked = Asked(head.method.decode(), head.target.decode(), headers, body)
        if headers.get("user-agent", "").startswith("agenthost/"):
            self.enquiries.append(asked)
            return await self._say(self.facts.get(asked.target, Answer(NOT_FOUND)), http, writer)
        self.asked.append(asked)
        answer = self.answers.popleft() if self.answers else self.reply(asked) if self.reply else Answer()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._say(answer, http, writer)
        finally:
            self.at_once -= 1

    async def _say(self, answer: Answer, http: h11.Connection, writer: asyncio.StreamWriter) -> bool:
        if answer is HANG_UP:
            return False
        writer.write(http.send(h11.Response(status_code=answer.status, headers=list(answer.headers.items()))))
        for piece in answer.pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, Pause):
                await asyncio.sleep(piece.seconds)
            elif piece == BREAK_OFF:
                await writer.drain()
                return False
            else:
                writer.write(http.send(h11.Data(data=piece)))
                await writer.drain()
        writer.write(http.send(h11.EndOfMessage()))
        await writer.drain()
        return True
