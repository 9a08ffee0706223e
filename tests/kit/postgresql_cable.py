"""A cable between a store and its PostgreSQL, which breaks where a test says so, looks like a connection pool, or is long.

`python -m tests.kit.postgresql_cable DATABASE SECONDS` lays a long one, prints its URL, and carries until its stdin ends.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"
BACKEND_KEY = b"K\x00\x00\x00\x0c"
CHUNK = 1024 * 1024


class Break(StrEnum):
    """Where the cable breaks, at the next thing that the store sends."""

    BEFORE = "before it arrives"
    WITHIN = "when half of it has arrived"
    AFTER = "when it was carried out and the answer is on its way"


class Cable:
    """Carries bytes both ways. `is_pool`: names another backend than the one that works, as PgBouncer does."""

    def __init__(self, database: str, folder: Path) -> None:
        parts = urlsplit(database)
        host = parse_qs(parts.query)["host"][0]
        self.url = database.replace(host, str(folder))
        self.is_pool = False
        self.seconds = 0.0  # that a byte is under way
        self.breaks: Break | None = None
        self._ends: list[asyncio.StreamWriter] = []
        self._server = f"{host}/{SOCKET}"

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_unix_connection(self._server)
        self._ends += (writer, questions)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ask(reader, questions))
                tasks.create_task(self._answer(answers, writer))
        except* ConnectionError:
            pass
        finally:
            for end in (writer, questions):
                self._ends.remove(end)
                end.close()
                with suppress(ConnectionError):
                    await end.wait_closed()

    async def close(self) -> None:
        """Breaks every connection."""
        while self._ends:
            for end in self._ends:
                end.transport.abort()
            await asyncio.sleep(0.01)

    async def _ask(self, reader: asyncio.StreamReader, questions: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self.breaks is Break.BEFORE:
                self._break()
            if self.breaks is Break.WITHIN:
                data = data[: len(data) // 2]
            await self._send(questions, data)
            if self.breaks is Break.WITHIN:
                self._break()
        raise ConnectionResetError

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await answers.read(CHUNK):
            if self.breaks is Break.AFTER:
                self._break()
            if self.is_pool and BACKEND_KEY in data:
                data = data.replace(BACKEND_KEY + data.split(BACKEND_KEY)[1][:4], BACKEND_KEY + b"\0\0\0\x07")
            await self._send(writer, data)
        raise ConnectionResetError

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.seconds:  # what comes meanwhile travels behind it, and not later
            await asyncio.sleep(self.seconds)
        writer.write(data)
        await writer.drain()

    def _break(self) -> None:
        self.breaks = None
        raise ConnectionResetError


@asynccontextmanager
async def cable_to(database: str) -> AsyncIterator[Cable]:
    """Lays a cable to a database."""
    with tempfile.TemporaryDirectory(prefix="cable-") as name:
        cable = Cable(database, Path(name))
        server = await asyncio.start_unix_server(cable.carry, Path(name) / SOCKET)
        async with server:
            yield cable
            await cable.close()


async def _lay(database: str, seconds: float) -> None:
    async with cable_to(database) as cable:
        cable.seconds = seconds
        sys.stdout.write(f"{cable.url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_lay(sys.argv[1], float(sys.argv[2])))
