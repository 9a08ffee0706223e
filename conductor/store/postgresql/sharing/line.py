"""A connection for short statements beside the store's own: opened again when it broke, and cut when no caller waits any more.

A server that stands still answers nothing and breaks nothing. A caller who gives up cuts the connection, so that the statement's
end is not waited for; whether it was carried out is not known then.
"""

import asyncio
from typing import Any

import psycopg

from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import Connection, Result, Work, close, connect, cut
from conductor.store.postgresql.failures import translate


class Line:
    """One connection, for one statement at a time."""

    def __init__(self, address: DatabaseAddress, settings: dict[str, Any] | None = None) -> None:
        self._address = address
        self._settings = settings
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def run(self, work: Work[Result]) -> Result:
        """Runs `work` with the connection; raises StorageError where it breaks."""
        async with self._turn:
            connection = self._connection
            if connection is None or connection.closed:
                connection = self._connection = await connect(self._address, self._settings)
            task = asyncio.ensure_future(work(connection))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                cut(connection)
                self._connection = None
                task.add_done_callback(lambda done: done.cancelled() or done.exception())
                raise
            except psycopg.Error as error:
                raise translate(error, self._address) from error

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await close(self._connection)
