"""The one connection that writes. Transactions wait for each other on it, and each begins with the fence.

The fence changes the one row of `meta` where the epoch is still that of this opening: a takeover changes the same row, so after it
nothing of this process is stored. `last_id` must be the one that this process knows, too, because it remembers what it stored.

A connection that is lost ends this opening, and so does a takeover: every later call raises StoreLostError. What became of a
transaction whose COMMIT was not answered is asked of the database, and the transaction is not sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import psycopg

from conductor.errors import StorageError, StoreLostError, SupersededError
from conductor.store.port import RepeatedEventError
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import Tasks, connect
from conductor.store.postgresql.failures import is_repetition, translate
from conductor.store.postgresql.pipeline import Connection, Row, Statement, ask, run_together
from conductor.store.postgresql.schema import Identity

Result = TypeVar("Result")

ASK_ATTEMPTS = 3  # for what became of a COMMIT; each waits for a lock, and for the connection

# No row, no transaction: the division fails. `local` is on this server's disk, and not yet on a replica's.
FENCE = """
WITH fence AS (
  UPDATE meta SET last_id = %s, decision = %s WHERE conductor_id = %s AND epoch = %s AND last_id = %s RETURNING 1
) SELECT 1 / count(*), set_config('synchronous_commit', %s, true) FROM fence
"""
_IS_NEWEST = "SELECT 1 FROM meta WHERE conductor_id = %s AND epoch = %s"
_WAS_STORED = "SELECT decision = %s FROM meta WHERE conductor_id = %s AND epoch = %s FOR UPDATE"


class Writer:
    """Stores one transaction after another, as long as this opening is the newest and its connection holds."""

    def __init__(self, address: DatabaseAddress, connection: Connection, identity: Identity) -> None:
        self.last_id = 0  # of what is stored
        self._address = address
        self._connection = connection
        self._identity = identity
        self._decision = 0
        self._turn = asyncio.Lock()
        self._tasks = Tasks()
        self._end: StoreLostError | None = None

    async def read_last_id(self) -> None:
        """Learns the last id, once."""
        self.last_id = int((await ask(self._connection, "SELECT last_id FROM meta"))[0][0])

    async def close(self) -> None:
        """Finishes what was begun, and closes the connection."""
        await self._tasks.wait()
        await self._connection.close()

    async def run(self, work: Callable[["Writer"], Awaitable[Result]]) -> Result:
        """Runs `work` when its turn comes. It reads with `ask`, and then stores with one `store`."""
        return await self._tasks.finish(self._run(work))

    async def ask(self, query: str, *values: Any) -> list[Row]:
        """Returns the rows of a statement. Nothing else writes until `work` returns."""
        return await ask(self._connection, query, *values)

    async def ask_together(self, *statements: Statement) -> list[list[Row]]:
        """Returns the rows of several statements, in one round trip."""
        return await run_together(self._connection, *statements)

    async def store(self, statements: Sequence[Statement], *, last_id: int | None = None, is_durable: bool) -> None:
        """Stores all that the statements say, or nothing; `last_id` is the id of what is stored last."""
        number = self._decision + 1
        new = self.last_id if last_id is None else last_id
        own = (self._identity.conductor_id, self._identity.epoch)
        fence = (FENCE, (new, number, *own, self.last_id, "on" if is_durable else "local"))
        try:
            await run_together(self._connection, fence, *statements)
        except psycopg.Error as error:
            if not self._connection.closed or not await self._was_stored(number, error):
                raise
        self._decision, self.last_id = number, new

    async def _run(self, work: Callable[["Writer"], Awaitable[Result]]) -> Result:
        async with self._turn:
            if self._end is not None:
                raise self._end
            try:
                return await work(self)
            except psycopg.Error as error:
                raise await self._judge(error) from error

    async def _judge(self, error: psycopg.Error) -> Exception:
        """Returns the error to raise for one of the database."""
        if is_repetition(error):
            return RepeatedEventError(f"stored already, or about something unknown: {error}")
        if self._connection.closed:
            self._lose(error)
        elif isinstance(error, psycopg.errors.DivisionByZero):
            await self._explain_fence()
        return self._end or translate(error, self._address)

    async def _explain_fence(self) -> None:
        own = (self._identity.conductor_id, self._identity.epoch)
        if await ask(self._connection, _IS_NEWEST, *own):
            text = f"the {self._address.shown} holds more than this conductor has stored"
            self._end = StoreLostError(text)
        else:
            self._end = SupersededError(f"another conductor took over the {self._address.shown}")

    def _lose(self, error: psycopg.Error) -> None:
        said = str(error).partition("\n")[0].strip()
        self._end = StoreLostError(f"the connection to the {self._address.shown} was lost: {said}")

    async def _was_stored(self, number: int, error: psycopg.Error) -> bool:
        """Asks whether a transaction was stored whose COMMIT was not answered. Waits until its backend has ended it."""
        self._lose(error)
        for _ in range(ASK_ATTEMPTS):
            try:
                connection = await connect(self._address)
            except StorageError:
                continue
            try:
                own = (self._identity.conductor_id, self._identity.epoch)
                rows = await ask(connection, _WAS_STORED, number, *own)
            except psycopg.Error:
                continue
            finally:
                await connection.close()
            return bool(rows and rows[0][0])
        return False
