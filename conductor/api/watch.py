"""What was stored, told in order: pages of a run's history, or of all runs' feed, as messages.

Every watcher folds the same events with the core's own `apply`, and asks the engine nothing; so all histories are identical,
whoever joins when. A page is read whole before any of it is sent: no cursor is open while a network is slow, and a stuck
watcher holds one page. The rules of a resume token: it names a position that was told; what follows is told next. A watcher
that comes back is first told how the run stood *there*, at that same position.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from conductor.api.messages.names import run_name
from conductor.api.messages.tokens import seal, unseal
from conductor.api.narrator import Narrator, SharedStandings
from conductor.core.decide.loss import Absence
from conductor.core.model.events import RunCreated
from conductor.errors import DatabaseDamagedError, InvalidRequestError, NotFoundError, Violation
from conductor.store.port import Store
from conductor.store.records import StoredEvent
from conductor.store.wakeups import Watcher
from conductor.v1 import run_service_pb2 as pb

# How many runs the all-runs feed keeps folded; one more run folds anew, which costs a read and harms nothing.
FOLDED_RUNS = 64

# How soon a watcher who waits hears of a host that went or came back, which nothing that is stored tells.
HOSTS_LOOK_SECONDS = 1.0

_FEED = "runs"
_ALL = "0"


@dataclass(frozen=True, slots=True)
class Presence:
    """What is told of a run beside its history: after how long a silence, which of its attempts' hosts are away, and when that is.

    `now` is the engine's time, as in the history: a wall clock may differ from it (see `conductor.clock`). `standings` are shared
    by all who watch.
    """

    progress_seconds: float
    absences: Callable[[str], Sequence[Absence]]
    now: Callable[[], float]
    standings: SharedStandings = field(default_factory=SharedStandings)


async def watch_run(
    store: Store, run: str, resume_token: str, presence: Presence
) -> AsyncIterator[pb.WatchRunResponse]:
    """Tells a run from a token to its end."""
    row = await store.run(run)
    position = _read_position(resume_token, run, row.last_position)
    with store.watch(run) as watcher:
        narrator = await Narrator.at(store, run, max(position, 1))
        # At position 1 a run is created, and nothing else; so the first message is the same for new and returning watchers.
        yield narrator.tell_run()
        told_absences: Sequence[Absence] = ()
        has_heard_all = False
        while not narrator.is_settled:
            page = await store.history(run, narrator.position)
            for stored in page:
                yield await narrator.tell(stored)
            is_quiet = False
            if not page:
                narrator.rest(presence.standings)
                # The last event may be old: who has heard all that was stored is told at once what time it is.
                is_quiet = not has_heard_all or await _is_quiet(watcher, run, presence, told_absences)
                has_heard_all = True
            absences = presence.absences(run)
            if is_quiet or (absences != told_absences and not narrator.is_settled):
                told_absences = absences
                yield narrator.tell_progress(absences, presence.now())


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """Which runs of the feed. Empty asks nothing."""

    flow: str
    labels: Mapping[str, str]

    def lets(self, flow: str, labels: Mapping[str, str]) -> bool:
        """Tells whether a run is wanted."""
        return self.flow in {"", flow} and self.labels.items() <= labels.items()


async def watch_runs(
    store: Store, wanted: FeedFilter, resume_token: str, progress_seconds: float
) -> AsyncIterator[pb.WatchRunsResponse]:
    """Tells the changes of all runs from a token on; never ends by itself."""
    place = await _read_feed_place(store, resume_token)
    narrators = _Narrators(store)
    with store.watch() as watcher:
        while True:
            page = await store.feed(place)
            told = place
            for entry in page.entries:
                if wanted.lets(entry.flow, entry.labels):
                    event = await narrators.tell(entry.run, entry.stored)
                    if event is None:
                        continue
                    told = entry.id
                    yield pb.WatchRunsResponse(resume_token=seal(_FEED, told), run=run_name(entry.run), event=event)
            moved = page.last_id > place
            place = page.last_id
            if told < place or (not moved and not await _is_changed(watcher, progress_seconds)):
                # What was passed over need not be looked at again: the token moves without a message.
                yield pb.WatchRunsResponse(resume_token=seal(_FEED, place))


class _Narrators:
    """The runs that were told last, folded."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[str, Narrator] = OrderedDict()

    async def tell(self, run: str, stored: StoredEvent) -> pb.WatchRunResponse | None:
        """Tells an event; None where its run was deleted meanwhile, or is damaged: no reason to stop telling of the others."""
        narrator = self._kept.pop(run, None)
        try:
            if isinstance(stored.event, RunCreated):
                narrator = await Narrator.at(self._store, run, stored.position)
                told = narrator.tell_run()
            else:
                narrator = narrator or await Narrator.at(self._store, run, stored.position - 1)
                told = await narrator.tell(stored)
        except (NotFoundError, DatabaseDamagedError):
            return None
        if not narrator.is_settled:
            self._kept[run] = narrator
            while len(self._kept) > FOLDED_RUNS:
                self._kept.popitem(last=False)
        return told


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


async def _is_quiet(watcher: Watcher, run: str, presence: Presence, told_absences: Sequence[Absence]) -> bool:
    """Waits for something stored, or for a host that goes or comes back; gives whether neither was there in all that time."""
    left = presence.progress_seconds
    while left > 0:
        # Not by `_is_changed`: a coroutine more for each idle watcher is a kilobyte of memory for each.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, HOSTS_LOOK_SECONDS)):
                await watcher.changed()
                return False
        left -= HOSTS_LOOK_SECONDS
        if presence.absences(run) != told_absences:
            return False
    return True


async def _is_changed(watcher: Watcher, within_seconds: float) -> bool:
    try:
        async with asyncio.timeout(within_seconds):
            await watcher.changed()
    except TimeoutError:
        return False
    return True
