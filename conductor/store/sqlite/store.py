"""The store: one port, SQLite behind it. `append` is one transaction; every read is a page, and one hop.

One connection writes. Its owner is whoever calls `append`, one call at a time (the engine): transactions queue on its
thread. A few connections read beside it. What is read was committed before. Nothing here interprets events, except for the
lists that `projection` keeps.

A cancelled `append` stops waiting, not storing: the transaction runs to its end on its thread, wakes its watchers, and
`close` waits for it. Whoever was cancelled does not know whether it was stored, and finds out by reading.
"""

import asyncio
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from conductor.clock import Past
from conductor.core.model.commands import Decision
from conductor.store.recent import Recent
from conductor.store.records import (
    FeedPage,
    FindingKey,
    FindingPage,
    RunFilter,
    RunKey,
    RunPage,
    RunRow,
    SettledRun,
    StoredEvent,
    StoredRequest,
    StoredRun,
    StoredUtterance,
    Usage,
)
from conductor.store.sqlite import timekeeping, usage
from conductor.store.sqlite.connection import Connection, ReaderPool
from conductor.store.sqlite.folder import LockedFolder
from conductor.store.sqlite.reading import listing
from conductor.store.sqlite.reading import runs as reading
from conductor.store.sqlite.upkeep.migration import Identity, Schema, bring_up
from conductor.store.sqlite.writing import compaction, deletion
from conductor.store.sqlite.writing.transaction import Written, write
from conductor.store.wakeups import ALL_RUNS, Wakeups, Watcher


class Store:
    """Everything that outlives the conductor's process."""

    def __init__(self, identity: Identity, writer: Connection, readers: ReaderPool, stack: AsyncExitStack) -> None:
        self._identity = identity
        self._writer = writer
        self._readers = readers
        self._stack = stack
        self._wakeups = Wakeups()
        self._recent = Recent()

    @classmethod
    async def open(cls, folder: Path, schema: Schema | None = None) -> Self:
        """Opens the database in `folder`, and makes folder and database where they are missing.

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
        """Finishes what is being stored, and lets go of the folder."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def conductor_id(self) -> str:
        """Made with the database."""
        return self._identity.conductor_id

    @property
    def epoch(self) -> int:
        """How often the database was opened."""
        return self._identity.epoch

    async def append(self, decision: Decision, time: float) -> dict[str, int]:
        """Stores a decision and gives the last position of each run that it adds to.

        StorageError: nothing was stored, and the same decision may be tried again. Any other error is a defect or a broken disk.
        """
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
        """Gives a watcher of a run, or of all: `with store.watch(run) as watcher: …; await watcher.changed()`."""
        with self._wakeups.watch(run) as watcher, self._recent.kept(run):
            yield watcher

    async def unfinished(self) -> list[StoredRun]:
        """Gives every run that has not ended, the oldest first."""
        return await self._readers.run(reading.read_unfinished)

    async def run(self, run: str) -> RunRow:
        """Gives a run as lists show it."""

        def read(connection: sqlite3.Connection) -> RunRow:
            row = listing.read_run(connection, run)
            if row is None:
                raise reading.not_found(connection, run)
            return row

        return await self._readers.run(read)

    async def runs(self, wanted: RunFilter, page_size: int, before: RunKey | None = None) -> RunPage:
        """Gives a page of runs, newest first."""
        return await self._readers.run(partial(listing.list_runs, wanted=wanted, page_size=page_size, before=before))

    async def known_runs(self, runs: Collection[str]) -> frozenset[str]:
        """Gives those of some names that are runs."""
        return await self._readers.run(partial(reading.read_known_runs, runs=runs))

    async def events(self, run: str, after: int = 0, upto: int = reading.END) -> list[StoredEvent]:
        """Gives a run's events after a position."""
        return await self._readers.run(partial(reading.read_events, run=run, after=after, upto=upto))

    async def history(
        self, run: str, after: int, max_bytes: int = reading.HISTORY_BYTES
    ) -> list[StoredEvent | StoredUtterance]:
        """Gives what follows a position in a run, events and text; empty at its present end."""
        if (recent := self._recent.after(run, after, max_bytes)) is not None:
            return recent
        return await self._readers.run(partial(reading.read_history, run=run, after=after, max_bytes=max_bytes))

    async def feed(self, after_id: int, limit: int = reading.FEED_EVENTS) -> FeedPage:
        """Gives events of all runs after an id."""
        return await self._readers.run(partial(reading.read_feed, after_id=after_id, limit=limit))

    async def past(self) -> Past:
        """Gives what the next process needs to know of the time."""
        return await self._readers.run(timekeeping.read_past)

    async def keep_offset(self, boot: str, offset: float) -> None:
        """Keeps how far the engine's time lies ahead of the steady clock of a boot."""
        await self._writer.run(partial(timekeeping.keep_offset, boot=boot, offset=offset))

    async def last_id(self) -> int:
        """Gives the id of what was stored last."""
        return await self._readers.run(reading.read_last_id)

    async def findings(
        self,
        run: str,
        page_size: int,
        after: FindingKey | None = None,
        *,
        max_rank: int = 4,
        statuses: Collection[str] = (),
    ) -> FindingPage:
        """Gives a page of the findings that count, most severe first; `max_rank` 0 asks for critical ones only."""

        def read(connection: sqlite3.Connection) -> FindingPage:
            return listing.list_findings(
                connection,
                reading.find_run(connection, run),
                max_rank=max_rank,
                statuses=statuses,
                page_size=page_size,
                after=after,
            )

        return await self._readers.run(read)

    async def channel(self, attempt: str, channel: str, offset: int, limit: int) -> tuple[bytes, int]:
        """Gives bytes of what an attempt said, and how many there are. At most 256 KiB; 0 asks for as many."""
        return await self._readers.run(
            partial(reading.read_channel, attempt=attempt, channel=channel, offset=offset, limit=limit)
        )

    async def blob(self, run: str, digest: str) -> bytes:
        """Gives a blob that the run's events name."""
        return await self._readers.run(partial(reading.read_blob, run=run, digest=digest))

    async def request(self, request_id: str) -> StoredRequest | None:
        """Gives what became of a request id; None where it is new."""
        return (await self.requests((request_id,))).get(request_id)

    async def requests(self, request_ids: Sequence[str]) -> dict[str, StoredRequest]:
        """Gives what became of those of the request ids that are known."""
        return await self._readers.run(partial(reading.read_requests, request_ids=request_ids))

    async def usage(self) -> Usage:
        """Gives how large the database is."""
        return await self._readers.run(usage.read_usage)

    async def settled_runs(self, after: tuple[float, str]) -> list[SettledRun]:
        """Gives a page of settled runs after an end time and an id, those first that ended first."""
        return await self._readers.run(partial(usage.list_settled, after=after))

    async def delete(self, wanted: deletion.Deletion) -> None:
        """Takes a settled run from everybody's sight; `purge` takes it from the disk. The same request id may ask again."""
        await self._writer.run(partial(deletion.mark_deleted, deletion=wanted))

    async def deleted_runs(self) -> list[str]:
        """Gives some of the runs that are to be purged."""
        return await self._readers.run(deletion.list_deleted)

    async def purge(self, run: str) -> bool:
        """Takes a slice of a deleted run from the disk, and tells whether there is more."""
        return await self._writer.run(partial(deletion.purge, run=run))

    async def uncompacted_runs(self, ended_before: float, after: tuple[float, str]) -> list[tuple[float, str]]:
        """Gives a page of settled runs that may have rows to pack, as (end time, run), those first that ended first."""
        return await self._readers.run(partial(compaction.list_uncompacted, ended_before=ended_before, after=after))

    async def compact(self, run: str) -> bool:
        """Packs a slice of a settled run's small rows, and tells whether there was one."""
        window = await self._readers.run(partial(compaction.make_window, run=run))
        if window is None:
            return False
        await self._writer.run(partial(compaction.store_window, window=window))
        return True

    async def shrink(self) -> bool:
        """Gives a slice of free room back to the disk, and tells whether there is more."""
        return await self._writer.run(deletion.shrink)
