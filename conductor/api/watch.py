"""Sends stored items in their order: pages of one run's history, or of the feed of all runs, as messages.

Every watcher folds the same events with the core's own `apply`, and asks the engine nothing: so all histories are identical,
whenever a client joins. A page is read whole before any of it is sent: no cursor is open while a network is slow, and a stuck
watcher holds one page. A resume token names a position that was sent; what follows is sent next. A client that resumes first gets
the run as it was *there*, at that same position.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from conductor.api.messages.names import run_name
from conductor.api.messages.tokens import seal, unseal
from conductor.api.narrator import Narrator, SharedStandings
from conductor.core.model.events.run_events import RunCreated
from conductor.core.placing.standing import Present
from conductor.errors import DatabaseDamagedError, InvalidRequestError, NotFoundError, Violation
from conductor.store.port import Store
from conductor.store.records import FeedEntry, StoredEvent
from conductor.store.wakeups import Watcher
from conductor.v1 import run_service_pb2 as pb
from servicekit.times import timestamp

# The feed of all runs keeps so many runs folded. One more is folded again, which costs a read and harms nothing.
FOLDED_RUNS = 64

# How often a waiting watcher looks for hosts that disconnected or came back, and for pools' use: nothing that is stored says so.
HOSTS_LOOK_SECONDS = 1.0

_FEED = "runs"
_ALL = "0"


@dataclass(frozen=True, slots=True)
class Presence:
    """Brings what watchers see beside a run's history, after how long a silence, and the time.

    `now` is the engine's time, as in the history: a wall clock may differ from it (see `conductor.clock`). All watchers share
    `standings`.
    """

    progress_seconds: float
    present: Callable[[str], Present]
    now: Callable[[], float]
    standings: SharedStandings = field(default_factory=SharedStandings)


async def watch_run(
    store: Store, run: str, resume_token: str, presence: Presence
) -> AsyncIterator[pb.WatchRunResponse]:
    """Sends a run from a token to its end."""
    row = await store.run(run)
    position = _read_position(resume_token, run, row.last_position)
    with store.watch(run) as watcher:
        narrator = await Narrator.at(store, run, max(position, 1))
        # At position 1 a run is created, and nothing else; so the first message is the same for new and returning watchers.
        yield narrator.show_run()
        sent = Present()
        has_all = False
        while not narrator.is_settled:
            page = await store.history(run, narrator.position)
            for stored in page:
                yield await narrator.show(stored)
            is_quiet = False
            if not page:
                narrator.share(presence.standings)
                # The last event may be old: a watcher that has all stored items gets the present time at once.
                is_quiet = not has_all or await _is_quiet(watcher, run, presence, sent)
                has_all = True
            present = presence.present(run)
            if is_quiet or (present != sent and not narrator.is_settled):
                sent = present
                yield narrator.show_progress(present, presence.now())


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """Selects runs of the feed. An empty field selects all."""

    flow: str
    labels: Mapping[str, str]
    sub_runs: bool = False

    def lets(self, entry: FeedEntry) -> bool:
        """Says that a run is wanted."""
        is_wanted = self.sub_runs or not entry.is_sub_run
        return is_wanted and self.flow in {"", entry.flow} and self.labels.items() <= entry.labels.items()


async def watch_runs(
    store: Store, wanted: FeedFilter, resume_token: str, progress_seconds: float
) -> AsyncIterator[pb.WatchRunsResponse]:
    """Sends the changes of all runs from a token on; never ends by itself."""
    place = await _read_feed_place(store, resume_token)
    narrators = _Narrators(store)
    with store.watch() as watcher:
        while True:
            page = await store.feed(place)
            sent = place
            for entry in page.entries:
                if wanted.lets(entry):
                    told = await narrators.tell(entry)
                    if told is None:
                        continue
                    sent = entry.id
                    told.resume_token = seal(_FEED, sent)
                    yield told
            moved = page.last_id > place
            place = page.last_id
            if sent < place or (not moved and not await _is_changed(watcher, progress_seconds)):
                # Entries that were passed over need not be read again: the token moves without a change.
                yield pb.WatchRunsResponse(resume_token=seal(_FEED, place))


class _Narrators:
    """Keeps the runs that changed last, folded."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[str, Narrator] = OrderedDict()

    async def tell(self, entry: FeedEntry) -> pb.WatchRunsResponse | None:
        """Tells a change of a run; None where it cannot be told."""
        if entry.stored is None:
            self._kept.pop(entry.run, None)
            return pb.WatchRunsResponse(run=run_name(entry.run), delete_time=timestamp(entry.delete_time))
        event = await self._show(entry.run, entry.stored)
        return None if event is None else pb.WatchRunsResponse(run=run_name(entry.run), event=event)

    async def _show(self, run: str, stored: StoredEvent) -> pb.WatchRunResponse | None:
        """Shows an event; None where its run was deleted meanwhile, or is damaged: the other runs go on."""
        narrator = self._kept.pop(run, None)
        try:
            if isinstance(stored.event, RunCreated):
                narrator = await Narrator.at(self._store, run, stored.position)
                shown = narrator.show_run()
            else:
                narrator = narrator or await Narrator.at(self._store, run, stored.position - 1)
                shown = await narrator.show(stored)
        except (NotFoundError, DatabaseDamagedError):
            return None
        if not narrator.is_settled:
            self._kept[run] = narrator
            while len(self._kept) > FOLDED_RUNS:
                self._kept.popitem(last=False)
        return shown


def _read_position(token: str, run: str, last: int) -> int:
    if not token:
        return 0
    match unseal(token, run, "resume_token"):
        case [int(position)] if 1 <= position <= last:
            return position
        case _:
            raise InvalidRequestError(Violation("resume_token", "names a position that this run does not have"))


async def _read_feed_place(store: Store, token: str) -> int:
    if token == _ALL:
        return 0
    last = await store.last_id()
    if not token:
        return last
    match unseal(token, _FEED, "resume_token"):
        case [int(place)] if 0 <= place <= last:
            return place
        case _:
            raise InvalidRequestError(Violation("resume_token", "names a place that there is not"))


async def _is_quiet(watcher: Watcher, run: str, presence: Presence, sent: Present) -> bool:
    """Waits for a stored item, or for a change of what is known beside them; returns True where neither came in time."""
    left = presence.progress_seconds
    while left > 0:
        # Not by `_is_changed`: one more coroutine costs each idle watcher a kilobyte of memory.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, HOSTS_LOOK_SECONDS)):
                await watcher.changed()
                return False
        left -= HOSTS_LOOK_SECONDS
        if presence.present(run) != sent:
            return False
    return True


async def _is_changed(watcher: Watcher, within_seconds: float) -> bool:
    try:
        async with asyncio.timeout(within_seconds):
            await watcher.changed()
    except TimeoutError:
        return False
    return True
