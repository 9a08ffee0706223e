"""The store in PostgreSQL, behind `conductor.store.port`.

One connection writes, and transactions wait for each other on it; a few connections read beside it. Nothing here interprets
events, except for the lists that `conductor.store.rows.projection` keeps. A cancelled `append` runs to its end and wakes its
watchers, and `close` waits for it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Self

import psycopg

from conductor.clock import Past
from conductor.core.access.tokens import Token
from conductor.core.model.commands import Decision
from conductor.core.model.registry import HostEntry
from conductor.store.port import END, FEED_EVENTS, HISTORY_BYTES, Store
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.connection import ReaderPool, connect
from conductor.store.postgresql.failures import translate
from conductor.store.postgresql.pipeline import Connection, ask
from conductor.store.postgresql.place import note_place
from conductor.store.postgresql.reading.feed import read_feed, read_last_id
from conductor.store.postgresql.reading.history import read_channel, read_events, read_history
from conductor.store.postgresql.reading.listing import list_findings, list_runs, read_run
from conductor.store.postgresql.reading.runs import read_blob, read_known_runs, read_requests
from conductor.store.postgresql.reading.unfinished import read_unfinished
from conductor.store.postgresql.reading.usage import list_settled, read_usage
from conductor.store.postgresql.schema import Identity, Schema, bring_up, take_epoch
from conductor.store.postgresql.timekeeping import keep_offset, read_past
from conductor.store.postgresql.tokens import keep_tokens, read_tokens
from conductor.store.postgresql.writer import Writer
from conductor.store.postgresql.writing.batch import Written
from conductor.store.postgresql.writing.compaction import list_uncompacted, make_window, store_window
from conductor.store.postgresql.writing.deletion import list_deleted, mark_deleted, purge
from conductor.store.postgresql.writing.known import Known
from conductor.store.postgresql.writing.transaction import write
from conductor.store.raw import Move
from conductor.store.recent import Recent
from conductor.store.records import (
    Deletion,
    FeedPage,
    FindingKey,
    FindingPage,
    RunFilter,
    RunKey,
    RunPage,
    RunRow,
    SettledRun,
    Stored,
    StoredEvent,
    StoredRequest,
    StoredRun,
    Usage,
)
from conductor.store.refusals import refuse_moved
from conductor.store.rows.hosts import read_host
from conductor.store.wakeups import ALL_RUNS, Wakeups, Watcher

_HOSTS = "SELECT host, address, drained_by, drain_time FROM hosts ORDER BY host"


class PostgresqlStore(Store):
    """A schema in a database, of which this process is the only writer."""

    def __init__(self, identity: Identity, writer: Writer, readers: ReaderPool, stack: AsyncExitStack) -> None:
        self._identity = identity
        self._writer = writer
        self._readers = readers
        self._stack = stack
        self._known = Known()
        self._wakeups = Wakeups()
        self._recent = Recent()

    @classmethod
    async def open(cls, url: str, schema: Schema | None = None) -> Self:
        """Opens the database to write, and takes it from the conductor that wrote before; makes the schema where there is none.

        ConfigurationError, StorageError, DatabaseTooNewError and DatabaseDamagedError say what is wrong and what to do.
        """
        address = DatabaseAddress.read(url)
        async with AsyncExitStack() as stack:
            connection = await connect(address)
            stack.push_async_callback(connection.close)
            try:
                await bring_up(connection, address, schema or Schema())
                await note_place(connection, address)
                refuse_moved(Move.decode((await ask(connection, "SELECT moved FROM meta"))[0][0]), url)
                identity = await take_epoch(connection)
                writer = Writer(address, connection, identity)
                await writer.read_last_id()
            except psycopg.Error as error:
                raise translate(error, address) from error
            stack.push_async_callback(writer.close)
            readers = ReaderPool(address)
            stack.push_async_callback(readers.close)
            return cls(identity, writer, readers, stack.pop_all())

    async def close(self) -> None:
        """Finishes the transactions that run, and closes the connections."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def conductor_id(self) -> str:
        return self._identity.conductor_id

    @property
    def epoch(self) -> int:
        return self._identity.epoch

    async def is_newest(self) -> bool:
        async def read(connection: Connection) -> bool:
            return bool((await ask(connection, "SELECT epoch FROM meta"))[0][0] == self.epoch)

        return await self._readers.run(read)

    async def append(self, decision: Decision, time: float) -> dict[str, int]:
        async def store(writer: Writer) -> Written:
            written = await write(writer, self._known, decision, time)
            self._recent.add(written)
            self._wakeups.wake(written)
            return written

        written = await self._writer.run(store)
        return {run: items[-1].position for run, items in written.items()}

    @contextmanager
    def watch(self, run: str = ALL_RUNS) -> Iterator[Watcher]:
        with self._wakeups.watch(run) as watcher, self._recent.kept(run):
            yield watcher

    @property
    def watcher_count(self) -> int:
        return self._wakeups.count

    def observe_reads(self, note: Callable[[float], None]) -> None:
        self._readers.note = note

    async def unfinished(self) -> list[StoredRun]:
        return await self._readers.run(read_unfinished)

    async def run(self, run: str) -> RunRow:
        return await self._readers.run(partial(read_run, run=run))

    async def runs(self, wanted: RunFilter, page_size: int, before: RunKey | None = None) -> RunPage:
        return await self._readers.run(partial(list_runs, wanted=wanted, page_size=page_size, before=before))

    async def known_runs(self, runs: Collection[str]) -> frozenset[str]:
        return await self._readers.run(partial(read_known_runs, runs=runs))

    async def events(self, run: str, after: int = 0, upto: int = END) -> list[StoredEvent]:
        return await self._readers.run(partial(read_events, run=run, after=after, upto=upto))

    async def history(self, run: str, after: int, max_bytes: int = HISTORY_BYTES) -> list[Stored]:
        if (recent := self._recent.after(run, after, max_bytes)) is not None:
            return recent
        return await self._readers.run(partial(read_history, run=run, after=after, max_bytes=max_bytes))

    async def feed(self, after_id: int, limit: int = FEED_EVENTS) -> FeedPage:
        return await self._readers.run(partial(read_feed, after_id=after_id, limit=limit))

    async def hosts(self) -> list[HostEntry]:
        async def read(connection: Connection) -> list[HostEntry]:
            return [read_host(row) for row in await ask(connection, _HOSTS)]

        return await self._readers.run(read)

    async def past(self) -> Past:
        return await self._readers.run(read_past)

    async def keep_offset(self, boot: str, offset: float) -> None:
        await self._writer.run(partial(keep_offset, boot=boot, offset=offset))

    async def last_id(self) -> int:
        return await self._readers.run(read_last_id)

    async def findings(
        self,
        run: str,
        page_size: int,
        after: FindingKey | None = None,
        *,
        max_rank: int = 4,
        statuses: Collection[str] = (),
    ) -> FindingPage:
        return await self._readers.run(
            partial(list_findings, run=run, max_rank=max_rank, statuses=statuses, page_size=page_size, after=after)
        )

    async def channel(self, attempt: str, channel: str, offset: int, limit: int) -> tuple[bytes, int]:
        return await self._readers.run(
            partial(read_channel, attempt=attempt, channel=channel, offset=offset, limit=limit)
        )

    async def blob(self, run: str, digest: str) -> bytes:
        return await self._readers.run(partial(read_blob, run=run, digest=digest))

    async def requests(self, request_ids: Sequence[str]) -> dict[str, StoredRequest]:
        return await self._readers.run(partial(read_requests, request_ids=request_ids))

    async def tokens(self) -> list[Token]:
        return await self._readers.run(read_tokens)

    async def keep_tokens(self, kept: Sequence[Token], forgotten: Sequence[str] = ()) -> None:
        await self._writer.run(partial(keep_tokens, kept=kept, forgotten=forgotten))

    async def usage(self) -> Usage:
        return await self._readers.run(read_usage)

    async def settled_runs(self, after: tuple[float, str]) -> list[SettledRun]:
        return await self._readers.run(partial(list_settled, after=after))

    async def delete(self, deletion: Deletion) -> None:
        self._known.forget()
        await self._writer.run(partial(mark_deleted, deletion=deletion))
        self._wakeups.wake((deletion.run,))

    async def deleted_runs(self) -> list[str]:
        return await self._readers.run(list_deleted)

    async def purge(self, run: str) -> bool:
        self._known.forget()
        return await self._writer.run(partial(purge, run=run))

    async def uncompacted_runs(self, ended_before: float, after: tuple[float, str]) -> list[tuple[float, str]]:
        return await self._readers.run(partial(list_uncompacted, ended_before=ended_before, after=after))

    async def compact(self, run: str) -> bool:
        found = await self._readers.run(partial(make_window, run=run))
        if found is None:
            return False
        window, is_last = found
        self._known.runs.pop(run, None)
        await self._writer.run(partial(store_window, window=window, is_last=is_last))
        return True

    async def shrink(self) -> bool:
        return False  # the server's autovacuum does
