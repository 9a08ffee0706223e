"""Tells other conductors which runs were added to, and hears it from them. Nothing depends on it: they look once a second as well.

NOTIFY takes a lock that all databases of a server share until its transaction has ended, so no decision does it. What was stored
is collected, and told at most 20 times a second.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import psycopg
import structlog

from conductor.errors import StorageError
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import Connection, ask, close, connect, cut
from conductor.store.postgresql.sharing.line import Line

CHANNEL = "conductor"
TELL_SECONDS = 0.05
LOOK_SECONDS = 1.0
ANSWER_SECONDS = 2.0  # a server that sends notices without a pause answers nothing meanwhile
MOST_BYTES = 7_900  # of a notice; longer news say that anything may have changed

_log = structlog.get_logger(__name__)


class Teller:
    """Tells of runs."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._runs: set[str] = set()
        self._has_news = asyncio.Event()

    def note(self, runs: Iterable[str]) -> None:
        """Notes runs that were added to; never waits."""
        self._runs.update(runs)
        self._has_news.set()

    async def run(self) -> None:
        """Tells until it is cancelled."""
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            runs, self._runs = self._runs, set()
            news = " ".join(sorted(runs))
            news = news if len(news.encode()) <= MOST_BYTES else ""

            async def tell(connection: Connection, news: str = news) -> None:
                await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, news))

            with suppress(StorageError, TimeoutError):  # the listeners look by themselves
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._line.run(tell)
            await asyncio.sleep(TELL_SECONDS)


class Listener:
    """Hears of runs. `wake` is called with those that were added to, and with none where anything may have changed."""

    def __init__(self, address: DatabaseAddress, wake: Callable[[list[str]], None]) -> None:
        self._address = address
        self._wake = wake

    async def run(self) -> None:
        """Listens until it is cancelled; connects again when the connection breaks."""
        has_failed = False
        while True:
            try:
                connection = await connect(self._address)
                try:
                    has_failed = False
                    await self._listen(connection)
                finally:
                    await close(connection)
            except (psycopg.Error, StorageError) as error:
                if not has_failed:
                    _log.warning("listening_failed", error=str(error).partition("\n")[0])
                has_failed = True
            await asyncio.sleep(LOOK_SECONDS)

    async def _listen(self, connection: Connection) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        last_id = -1
        while True:
            found = await _read_last_id(connection)
            if found != last_id:
                self._wake([])
            last_id = found
            async for notice in connection.notifies(timeout=LOOK_SECONDS):
                self._wake(notice.payload.split())


async def _read_last_id(connection: Connection) -> int:
    """Reads the last id, or breaks the connection: what a storm of notices leaves in its buffers must not grow without end."""
    limit = asyncio.get_running_loop().call_later(ANSWER_SECONDS, cut, connection)
    try:
        return int((await ask(connection, "SELECT last_id FROM meta"))[0][0])
    finally:
        limit.cancel()
