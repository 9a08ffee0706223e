"""Deletes settled runs that are too old or too many, and those that a caller asks to be deleted.

`choose` decides, from values alone; `conductor prune --dry-run` shows its choice. Each chosen run is hidden at once, in one
transaction; its rows and its snapshot are removed after that, slice by slice, while the conductor works. A kill loses nothing:
the next start goes on with the marked runs. A snapshot is released before the last row that names it. Runs at work are never
touched. A full disk or a busy database only postpones the work.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog

from conductor.clock import Clock
from conductor.config import Retention as Policy
from conductor.errors import StatusError
from conductor.snapshots import SnapshotStore
from conductor.store.port import Store
from conductor.store.records import Deletion, SettledRun
from conductor.store.refusals import run_is_active

ROUND_SECONDS = 600.0
RUNS_PER_ROUND = 2_000  # the next round continues

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Expired:
    """A run to delete, and why."""

    run: SettledRun
    why: str


def choose(oldest_first: Iterable[SettledRun], used_bytes: int, policy: Policy, now: float) -> Iterator[Expired]:
    """Returns the runs to delete: those that ended too long ago, then the oldest until the rest has room."""
    excess = used_bytes - policy.max_bytes if policy.max_bytes else 0
    for settled in oldest_first:
        if policy.max_age_seconds and settled.end_time < now - policy.max_age_seconds:
            yield Expired(settled, "it was older than retention.max_age")
        elif excess > 0:
            yield Expired(settled, "the database held more than retention.max_bytes")
        else:
            return
        excess -= settled.bytes


class Retention:
    """The part that deletes."""

    def __init__(
        self,
        store: Store,
        snapshots: SnapshotStore,
        policy: Policy,
        clock: Clock,
        is_at_work: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._policy = policy
        self._clock = clock
        self._is_at_work = is_at_work
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            self._asked.clear()
            try:
                await self._snapshots.tend_copies(self._store.known_runs)
                await self._purge()  # first: deleted runs must not count as used
                await self._expire()
                await self._purge()
            except StatusError as error:
                _log.warning("retention_put_off", error=str(error))
            await self._clock.wait(self._asked, self._clock.now() + ROUND_SECONDS)

    async def delete(self, run: str, request_id: str, caller: str = "") -> None:
        """Deletes a settled run by request of a caller: it is hidden when this returns."""
        await self._delete(run, f"by request of {caller}" if caller else "by request", request_id)
        self._asked.set()

    async def _delete(self, run: str, why: str, request_id: str = "") -> None:
        # Until the decision that settles a run is stored and adopted, the engine may still write to it.
        if self._is_at_work(run):
            raise run_is_active(run)
        await self._store.delete(Deletion(run, self._clock.now(), why, request_id))
        _log.info("run_deleted", run=run, why=why)

    async def _expire(self) -> None:
        if not self._policy.max_age_seconds and not self._policy.max_bytes:
            return
        usage = await self._store.usage()
        page = await self._store.settled_runs((0.0, ""))
        candidates = page
        while page and len(candidates) < RUNS_PER_ROUND:
            page = await self._store.settled_runs((page[-1].end_time, page[-1].run))
            candidates += page
        for expired in choose(candidates, usage.used_bytes, self._policy, self._clock.now()):
            if not self._is_at_work(expired.run.run):
                await self._delete(expired.run.run, expired.why)

    async def _purge(self) -> None:
        purged = 0
        while runs := await self._store.deleted_runs():
            for run in runs:
                await self._snapshots.release(run)
                while await self._store.purge(run):
                    pass
            purged += len(runs)
        if not purged:
            return
        await self._snapshots.prune()
        _log.info("deleted_runs_purged", runs=purged)
        has_shrunk = False
        while await self._store.shrink():
            has_shrunk = True
        if has_shrunk:  # else a few free pages stay in the file for the next runs
            _log.info("room_given_back")
