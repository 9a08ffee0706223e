"""A store in memory, behind the conductor's port: for the simulation, and as the second opinion of the contract suite.

A `MemoryDisk` is what outlives a process: it keeps the writes in their order, and `MemoryStore` is one opening of it. A killed
process leaves all of them, a power cut those up to the last durable one. A subclass of the disk may judge each write
(`MemoryDisk.take`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate, takewhile

from conductor.clock import Past
from conductor.core.access.tokens import Token
from conductor.core.model.commands import Decision
from conductor.core.model.registry import HostEntry
from conductor.errors import NotFoundError, RequestIdReusedError
from conductor.store.port import CHANNEL_BYTES, END, FEED_EVENTS, HISTORY_BYTES, PAGE_ROWS, Store
from conductor.store.recent import size_of
from conductor.store.records import (
    Deletion,
    FeedEntry,
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
from conductor.store.refusals import describe_deletion, run_is_active, run_is_part_of, run_not_found
from conductor.store.wakeups import ALL_RUNS, Wakeups, Watcher
from tests.fakes.memory_runs import MemoryRun, MemoryRuns


@dataclass(frozen=True, slots=True)
class Appended:
    """A decision that was stored."""

    decision: Decision
    time: float


@dataclass(frozen=True, slots=True)
class Purged:
    """A deleted run that was removed."""

    run: str


Write = Appended | Deletion | Purged


@dataclass
class MemoryDisk:
    """Outlives the process: every write, and how many of them a power cut leaves. Epoch, clock and tokens are durable at once."""

    conductor_id: str = "memory"
    epoch: int = 0
    boot: str = ""
    offset: float = 0.0
    writes: list[Write] = field(default_factory=list)
    durable: int = 0
    tokens: dict[str, Token] = field(default_factory=dict)

    def take(self, write: Write) -> None:
        """Keeps a write that can be applied."""
        self.writes.append(write)
        if write.decision.durable if isinstance(write, Appended) else not isinstance(write, Purged):
            self.durable = len(self.writes)

    def lose_power(self) -> None:
        """Forgets what no durable write followed."""
        del self.writes[self.durable :]

    def copy(self) -> "MemoryDisk":
        """Returns the disk as it is now."""
        return replace(self, writes=list(self.writes), tokens=dict(self.tokens))


class MemoryStore(Store):
    """One opening of a disk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self._wakeups = Wakeups()
        self._runs = MemoryRuns()
        for write in disk.writes:
            self._apply(write)
        disk.epoch += 1
        self._epoch = disk.epoch

    @property
    def conductor_id(self) -> str:
        return self._disk.conductor_id

    @property
    def epoch(self) -> int:
        return self._epoch

    async def close(self) -> None:
        """Holds nothing."""

    async def is_newest(self) -> bool:
        return self._disk.epoch == self._epoch

    def write(self, write: Write) -> dict[str, int]:
        """Keeps a write, applies it and wakes its watchers; returns the last position of each run that it adds to."""
        if isinstance(write, Appended):
            self._runs.check(write.decision)
        self._disk.take(write)
        added = self._apply(write)
        self._wakeups.wake(added)
        return added

    def _apply(self, write: Write) -> dict[str, int]:
        match write:
            case Appended(decision, time):
                return self._runs.append(decision, time)
            case Deletion():
                return self._runs.delete(write)
            case Purged(run):
                del self._runs.by_name[run]
        return {}

    async def append(self, decision: Decision, time: float) -> dict[str, int]:
        return self.write(Appended(decision, time))

    @property
    def watcher_count(self) -> int:
        return self._wakeups.count

    def observe_reads(self, note: Callable[[float], None]) -> None:
        """Reads of memory take no time."""

    @contextmanager
    def watch(self, run: str = ALL_RUNS) -> Iterator[Watcher]:
        with self._wakeups.watch(run) as watcher:
            yield watcher

    async def unfinished(self) -> list[StoredRun]:
        oldest_first = sorted(self._runs.by_name.values(), key=lambda run: (run.row.create_time, run.row.run))
        return [
            StoredRun(run.row.run, tuple(run.events()), dict(run.cursors))
            for run in oldest_first
            if run.row.end_time is None
        ]

    async def requests(self, request_ids: Sequence[str]) -> dict[str, StoredRequest]:
        return {name: self._runs.requests[name] for name in request_ids if name in self._runs.requests}

    async def hosts(self) -> list[HostEntry]:
        return [self._runs.hosts[name] for name in sorted(self._runs.hosts)]

    async def past(self) -> Past:
        times = [event.time for run in self._runs.by_name.values() for event in run.events()]
        is_at_work = any(run.row.end_time is None for run in self._runs.by_name.values())
        return Past(max(times, default=0.0), is_at_work, self._disk.boot, self._disk.offset)

    async def keep_offset(self, boot: str, offset: float) -> None:
        self._disk.boot, self._disk.offset = boot, offset

    async def run(self, run: str) -> RunRow:
        return self._find(run).row

    async def events(self, run: str, after: int = 0, upto: int = END) -> list[StoredEvent]:
        return [event for event in self._find(run).events() if after < event.position <= upto]

    async def history(self, run: str, after: int, max_bytes: int = HISTORY_BYTES) -> list[Stored]:
        following = self._find(run).items[max(after, 0) :]
        ends = accumulate(map(size_of, following))
        fitting = sum(1 for _ in takewhile(lambda end: end <= min(max_bytes, HISTORY_BYTES), ends))
        return following[: max(fitting, 1)]

    async def channel(self, attempt: str, channel: str, offset: int, limit: int) -> tuple[bytes, int]:
        for run in self._visible():
            if attempt in run.cursors:
                data = run.channels.get((attempt, channel), b"")
                start = max(offset, 0)
                return bytes(data[start : start + (min(limit, CHANNEL_BYTES) or CHANNEL_BYTES)]), len(data)
        raise NotFoundError("attempt", attempt)

    async def blob(self, run: str, digest: str) -> bytes:
        if digest not in self._find(run).blobs:
            raise NotFoundError("blob", digest, metadata={"run": run})
        return self._runs.blobs[digest]

    async def findings(
        self,
        run: str,
        page_size: int,
        after: FindingKey | None = None,
        *,
        max_rank: int = 4,
        statuses: Collection[str] = (),
    ) -> FindingPage:
        start = after or FindingKey(-1, 0)
        keyed = sorted(self._find(run).findings(), key=lambda keyed: (keyed[1].rank, keyed[0]))
        found = [
            (key, row)
            for key, row in keyed
            if (row.rank, key) > (start.rank, start.key)
            and row.rank <= max_rank
            and (not statuses or row.status in statuses)
        ]
        size = max(1, min(page_size, PAGE_ROWS))
        page = found[:size]
        following = FindingKey(page[-1][1].rank, page[-1][0]) if len(found) > size else None
        return FindingPage(tuple(row for _, row in page), following)

    async def runs(self, wanted: RunFilter, page_size: int, before: RunKey | None = None) -> RunPage:
        newest_first = sorted((run.row for run in self._visible()), key=_place, reverse=True)
        below = [row for row in newest_first if before is None or _place(row) < (before.create_time, before.run)]
        found = [row for row in below if _is_wanted(row, wanted)]
        size = max(1, min(page_size, PAGE_ROWS))
        following = RunKey(*_place(found[size - 1])) if len(found) > size else None
        return RunPage(tuple(found[:size]), following)

    async def known_runs(self, runs: Collection[str]) -> frozenset[str]:
        return frozenset(runs) & self._runs.by_name.keys()

    async def feed(self, after_id: int, limit: int = FEED_EVENTS) -> FeedPage:
        events = (entry for run in self._visible() for entry in _feed_of(run))
        following = (entry for entry in (*events, *self._runs.deleted) if entry.id > after_id)
        entries = sorted(following, key=lambda entry: entry.id)[: min(limit, FEED_EVENTS)]
        return FeedPage(tuple(entries), entries[-1].id if entries else after_id)

    async def last_id(self) -> int:
        return self._runs.last_id

    async def tokens(self) -> list[Token]:
        return sorted(self._disk.tokens.values(), key=lambda token: (token.create_time, token.name))

    async def keep_tokens(self, kept: Sequence[Token], forgotten: Sequence[str] = ()) -> None:
        self._disk.tokens |= {token.digest: token for token in kept}
        for digest in forgotten:
            self._disk.tokens.pop(digest, None)

    async def usage(self) -> Usage:
        size = sum(run.size() for run in self._runs.by_name.values()) + sum(map(len, self._runs.blobs.values()))
        visible = [run for run in self._visible() if run.row.plan.parent is None]
        return Usage(size, size, len(visible), sum(run.row.end_time is not None for run in visible))

    async def settled_runs(self, after: tuple[float, str]) -> list[SettledRun]:
        settled = [
            SettledRun(run.row.run, run.row.end_time, self._size(run.row.run))
            for run in self._visible()
            if run.row.plan.parent is None and run.row.end_time is not None and (run.row.end_time, run.row.run) > after
        ]
        return sorted(settled, key=lambda run: (run.end_time, run.run))[:PAGE_ROWS]

    async def delete(self, deletion: Deletion) -> None:
        known = self._runs.requests.get(deletion.request_id) if deletion.request_id else None
        earlier = self._runs.deletions.get(deletion.run)
        if earlier is not None and known is not None and earlier.request_id == deletion.request_id:
            return
        if known is not None:
            raise RequestIdReusedError
        found = self._find(deletion.run).row.plan
        if found.parent is not None:
            raise run_is_part_of(found.run, found.root)
        if any(run.row.end_time is None for run in self._runs.tree(deletion.run)):
            raise run_is_active(deletion.run)
        self.write(deletion)

    async def deleted_runs(self) -> list[str]:
        return [name for name, run in self._runs.by_name.items() if run.is_deleted]

    async def purge(self, run: str) -> bool:
        found = self._runs.by_name.get(run)
        if found is not None and found.is_deleted:
            self.write(Purged(run))
        return False

    async def uncompacted_runs(self, ended_before: float, after: tuple[float, str]) -> list[tuple[float, str]]:
        return []

    async def compact(self, run: str) -> bool:
        return False

    async def shrink(self) -> bool:
        return False

    def _size(self, root: str) -> int:
        return sum(run.size() + self._runs.size_of_blobs(run) for run in self._runs.tree(root))

    def _visible(self) -> Iterator[MemoryRun]:
        return (run for run in self._runs.by_name.values() if not run.is_deleted)

    def _find(self, name: str) -> MemoryRun:
        run = self._runs.by_name.get(name)
        if run is not None and not run.is_deleted:
            return run
        deletion = self._runs.deletions.get(name)
        raise run_not_found(name, describe_deletion(deletion.time, deletion.why) if deletion else "")


def _place(row: RunRow) -> tuple[float, str]:
    return row.create_time, row.run


def _feed_of(run: MemoryRun) -> Iterator[FeedEntry]:
    for item, number in zip(run.items, run.ids, strict=True):
        if isinstance(item, StoredEvent):
            plan = run.row.plan
            is_sub_run = plan.parent is not None
            yield FeedEntry(number, plan.run, plan.flow, dict(plan.labels), item, is_sub_run=is_sub_run)


def _is_wanted(row: RunRow, wanted: RunFilter) -> bool:
    return (
        (wanted.sub_runs or row.plan.parent is None)
        and wanted.flow in ("", row.plan.flow)
        and wanted.workspace_path in ("", row.plan.workspace_path)
        and (not wanted.states or row.state in wanted.states)
        and wanted.labels.items() <= dict(row.plan.labels).items()
        and (wanted.create_time_from is None or row.create_time >= wanted.create_time_from)
        and (wanted.create_time_before is None or row.create_time < wanted.create_time_before)
        and wanted.text.casefold() in row.plan.question.casefold()
    )
