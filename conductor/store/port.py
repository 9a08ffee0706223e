"""The store as the conductor needs it: transactions of one writer, and reads that are pages by key.

`conductor.store.sqlite` is the embedded default; only `conductor.app` chooses. The suite in tests/conductor/store/contract runs
against every implementation. The rules that each one keeps:

- `append` stores a decision whole or not at all. Its caller, the engine, is the only one who appends, one decision at a time.
- Positions are gapless per run, from 1; events and text draw them from the same count. Ids rise over all runs, with gaps.
- Two planes: what a durable decision stores, and all that was stored before it, survives a power cut. Text that no durable
  decision follows may be lost, the newest first; it survives the end of the process.
- What is read was stored before. A page is complete when its call returns: nothing stays open behind it.
- A run that was deleted is not found by any read; `purge` removes it piece by piece, and a kill between two pieces loses nothing.
- A run that cannot be read harms no other: reads of it raise DatabaseDamagedError, pages of many runs pass over it.

Every method may raise StorageError: nothing was changed, and the same call may succeed later.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from conductor.clock import Past
from conductor.core.access.tokens import Token
from conductor.core.model.commands import Decision
from conductor.core.model.registry import HostEntry
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
from conductor.store.wakeups import ALL_RUNS, Watcher

# The largest pages. A caller may ask for less.
HISTORY_BYTES = 256 * 1024
CHANNEL_BYTES = 256 * 1024
FEED_EVENTS = 500
PAGE_ROWS = 500
LISTED_QUESTION = 1_000  # characters of a question that lists show

END = 2**62  # above every position


class RepeatedEventError(Exception):
    """A decision would store again what is stored: a defect of the caller, which a retry does not mend."""


class Store(Protocol):
    """Everything that outlives the conductor's process."""

    @property
    def conductor_id(self) -> str:
        """The id that was made with the store."""

    @property
    def epoch(self) -> int:
        """The number of openings of the store, this one included."""

    async def is_newest(self) -> bool:
        """Returns whether the store was not opened again since."""

    async def close(self) -> None:
        """Finishes the transaction that runs, and lets go of everything."""

    # Runs as they are written.

    async def append(self, decision: Decision, time: float) -> dict[str, int]:
        """Stores a decision; returns the last position of each run that it adds to.

        Raises RepeatedEventError for a key, a run or a request id that is stored already, and LookupError for a run or an attempt
        that was never created. A caller who is cancelled stops waiting and does not know whether the decision was stored.
        """

    def watch(self, run: str = ALL_RUNS) -> AbstractContextManager[Watcher]:
        """Opens a watcher, which wakes after each decision that adds to the run, or to any. NoCapacityError: there are too many."""

    @property
    def watcher_count(self) -> int:
        """The number of open watchers."""

    def observe_reads(self, note: Callable[[float], None]) -> None:
        """Tells how long each read takes from now on, in seconds."""

    async def unfinished(self) -> list[StoredRun]:
        """Returns every run that has not ended, the oldest first. One that cannot be read says so in `damage`."""

    async def requests(self, request_ids: Sequence[str]) -> dict[str, StoredRequest]:
        """Returns the outcome of each of these request ids that is known."""

    # The hosts that a conductor drives beside those of its configuration.

    async def hosts(self) -> list[HostEntry]:
        """Returns what is stored of hosts, by name. An entry without an address is the drain of a configured host."""

    # Time, as the next process needs it.

    async def past(self) -> Past:
        """Returns the time of the newest event, and the offset that was kept last."""

    async def keep_offset(self, boot: str, offset: float) -> None:
        """Keeps how far the engine's time lies ahead of the steady clock of a boot; durable."""

    # One run.

    async def run(self, run: str) -> RunRow:
        """Returns a run as lists show it."""

    async def events(self, run: str, after: int = 0, upto: int = END) -> list[StoredEvent]:
        """Returns a run's events above `after`, up to `upto`."""

    async def history(self, run: str, after: int, max_bytes: int = HISTORY_BYTES) -> list[Stored]:
        """Returns a page of what follows a position, events and text, at least one item; empty at the present end."""

    async def channel(self, attempt: str, channel: str, offset: int, limit: int) -> tuple[bytes, int]:
        """Returns at most `limit` bytes of a channel from `offset`, and the channel's length. 0 asks for a whole page."""

    async def blob(self, run: str, digest: str) -> bytes:
        """Returns a blob that the run's events name."""

    async def findings(
        self,
        run: str,
        page_size: int,
        after: FindingKey | None = None,
        *,
        max_rank: int = 4,
        statuses: Collection[str] = (),
    ) -> FindingPage:
        """Returns a page of the findings that count, most severe first; `max_rank` 0 asks for critical ones only."""

    # All runs.

    async def runs(self, wanted: RunFilter, page_size: int, before: RunKey | None = None) -> RunPage:
        """Returns a page of runs, newest first. A page may be short, even empty: `next` says whether more follow."""

    async def known_runs(self, runs: Collection[str]) -> frozenset[str]:
        """Returns those of these names that are runs, deleted ones that are not purged yet included."""

    async def feed(self, after_id: int, limit: int = FEED_EVENTS) -> FeedPage:
        """Returns a page of the events of all runs, and of their deletions, after an id."""

    async def last_id(self) -> int:
        """Returns the id of what was stored last: the feed after it has only what is yet to come."""

    # The tokens of callers.

    async def tokens(self) -> list[Token]:
        """Returns all tokens, the oldest first."""

    async def keep_tokens(self, kept: Sequence[Token], forgotten: Sequence[str] = ()) -> None:
        """Stores tokens, new or changed, and forgets those with these digests; durable."""

    # Deletion and upkeep. Each call is one small transaction, since the engine's decisions wait behind it.

    async def usage(self) -> Usage:
        """Returns how large the store is."""

    async def settled_runs(self, after: tuple[float, str]) -> list[SettledRun]:
        """Returns a page of settled runs after an end time and a run, those first that ended first."""

    async def delete(self, deletion: Deletion) -> None:
        """Hides a settled run from every read, durably. The same request may come again.

        Raises PreconditionError while the run is at work, NotFoundError where there is no such run, and RequestIdReusedError where
        the request id asked for something else before.
        """

    async def deleted_runs(self) -> list[str]:
        """Returns some of the deleted runs that are not purged yet."""

    async def purge(self, run: str) -> bool:
        """Removes a piece of a deleted run; returns whether more is left."""

    async def uncompacted_runs(self, ended_before: float, after: tuple[float, str]) -> list[tuple[float, str]]:
        """Returns a page of settled runs that may be compacted, as (end time, run), those first that ended first."""

    async def compact(self, run: str) -> bool:
        """Stores a piece of a settled run more densely, so that it reads as before; returns whether more may be left."""

    async def shrink(self) -> bool:
        """Returns a piece of the unused room to the disk; says whether more may be left."""
