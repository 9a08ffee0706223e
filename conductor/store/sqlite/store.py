"""The embedded store: SQLite behind `conductor.store.port`. Every call is one hop to the thread of a connection.

One connection writes, and transactions queue on its thread; a few connections read beside it. Nothing here interprets events,
except for the lists that `projection` keeps. A cancelled `append` runs to its end on its thread and wakes its watchers, and
`close` waits for it.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from conductor.clock import Past
from conductor.core.access.tokens import Token
from conductor.core.model.commands import Decision
from conductor.core.model.registry import HostEntry
from conductor.store.port import END, FEED_EVENTS, HISTORY_BYTES, Store
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
from conductor.store.sqlite.connection import Connection, ReaderPool
from conductor.store.sqlite.folder import LockedFolder
from conductor.store.sqlite.reading.feed import read_feed, read_last_id
from conductor.store.sqlite.reading.history import read_channel, read_events, read_history
from conductor.store.sqlite.reading.hosts import read_hosts
from conductor.store.sqlite.reading.listing import list_findings, list_runs, read_run
from conductor.store.sqlite.reading.runs import find_run, not_found, read_blob, read_known_runs, read_requests
from conductor.store.sqlite.reading.unfinished import read_unfinished
from conductor.store.sqlite.reading.usage import list_settled, read_usage
from conductor.store.sqlite.timekeeping import keep_offset, read_past
from conductor.store.sqlite.tokens import keep_tokens, read_tokens
from conductor.store.sqlite.upkeep.migration import Identity, Schema, bring_up
from conductor.store.sqlite.writing.compaction import list_uncompacted, make_window, store_window
from conductor.store.sqlite.writing.deletion import list_deleted, mark_deleted, purge, shrink
from conductor.store.sqlite.writing.transaction import Written, write
from conductor.store.wakeups import ALL_RUNS, Wakeups, Watcher


class SqliteStore(Store):
    """A database file, in a folder that this process has locked."""

    def __init__(self, identity: Identity, writer: Connection, readers: ReaderPool, stack: AsyncExitStack) -> None:
        self._identity = identity
        self._writer = writer
        self._readers = readers
        self._stack = stack
        self._wakeups = Wakeups()
        self._recent = Recent()

    @classmethod
    async def open(cls, folder: Path, schema: Schema | None = None) -> Self:
        """Opens the database in `folder`; creates folder and database where they are missing.

        DatabaseInUseError, DatabaseTooNewError and DatabaseDamagedError say what is wrong and what to do.
        """
        async with AsyncExitStack() as stack:
            held = await asyncio.to_thread(LockedFolder.acquire, folder)
            stack.callback(held.release)
            path = held.prepare_database()
            # Every connection is closed by the stack, also when opening fails: an open one keeps the process from ending.
            writer = await Connection.open_writer(path)
            stack.push_async_callback(writer.close)
            identity = await writer.run(partial(bring_up, path=path, schema=schema or Schema()))
            readers = ReaderPool()
            stack.push_async_callback(readers.close)
            await readers.open(path)
            return cls(identity, writer, readers, stack.pop_all())

    async def close(self) -> None:
        """Finishes the transaction that runs, and unlocks the folder."""
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
        def read(connection: sqlite3.Connection) -> bool:
            return bool(connection.execute("SELECT epoch FROM meta").fetchone()[0] == self.epoch)

        return await self._readers.run(read)

    async def append(self, decision: Decision, time: float) -> dict[str, int]:
        loop = asyncio.get_running_loop()

        def commit(connection: sqlite3.Connection) -> Written:
            written = write(connection, decision, time)
            loop.call_soon_threadsafe(self._publish, written)
            return written

        written = await self._writer.run(commit)
        return {run: items[-1].position for run, items in written.items() if items}

    def _publish(self, written: Written) -> None:
        self._recent.add(written)
        self._wakeups.wake(written)

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
        def read(connection: sqlite3.Connection) -> RunRow:
            row = read_run(connection, run)
            if row is None:
                raise not_found(connection, run)
            return row

        return await self._readers.run(read)

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
        return await self._readers.run(read_hosts)

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
        def read(connection: sqlite3.Connection) -> FindingPage:
            return list_findings(
                connection,
                find_run(connection, run),
                max_rank=max_rank,
                statuses=statuses,
                page_size=page_size,
                after=after,
            )

        return await self._readers.run(read)

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
        await self._writer.run(partial(mark_deleted, deletion=deletion))
        self._wakeups.wake((deletion.run,))

    async def deleted_runs(self) -> list[str]:
        return await self._readers.run(list_deleted)

    async def purge(self, run: str) -> bool:
        return await self._writer.run(partial(purge, run=run))

    async def uncompacted_runs(self, ended_before: float, after: tuple[float, str]) -> list[tuple[float, str]]:
        return await self._readers.run(partial(list_uncompacted, ended_before=ended_before, after=after))

    async def compact(self, run: str) -> bool:
        window = await self._readers.run(partial(make_window, run=run))
        if window is None:
            return False
        await self._writer.run(partial(store_window, window=window))
        return True

    async def shrink(self) -> bool:
        return await self._writer.run(shrink)
