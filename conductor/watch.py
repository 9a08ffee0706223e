"""What was stored, told in order: pages of a run's history, or of all runs' feed, as messages.

Every watcher folds the same events with the core's own `apply`, and asks the engine nothing; so all histories are identical,
whoever joins when. A page is read whole before any of it is sent: no cursor is open while a network is slow, and a stuck
watcher holds one page. The rules of a resume token: it names a position that was told; what follows is told next. A watcher
that comes back is first told how the run stood *there*, at that same position.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from time import time as wall_clock
from typing import Self

from google.protobuf.struct_pb2 import Struct

from conductor.core.events import (
    Event,
    ReportRefused,
    RunCancelRequested,
    RunCreated,
    RunReported,
    RunSettled,
    RunStarted,
    StepsAdded,
)
from conductor.core.run import Run, apply, fold
from conductor.core.states import SETTLED_STEP, StepState
from conductor.errors import InvalidRequestError, Violation
from conductor.messages.names import run_name, step_name
from conductor.messages.runs import run_message, step_message, struct
from conductor.messages.times import timestamp
from conductor.messages.tokens import seal, unseal
from conductor.store.records import StoredEvent, StoredUtterance
from conductor.store.store import Store
from conductor.store.wakeups import Watcher
from conductor.v1 import run_service_pb2 as pb

# How many runs the all-runs feed keeps folded; one more run folds anew, which costs a read and harms nothing.
FOLDED_RUNS = 64

_FEED = "runs"
_ALL = "0"
_BUSY = frozenset({StepState.RUNNING, StepState.VALIDATING})
_OF_THE_RUN = (RunCreated, RunStarted, RunCancelRequested, RunReported, RunSettled, StepsAdded)
_CHANNELS = {
    "answer": pb.Output.CHANNEL_ANSWER,
    "reasoning": pb.Output.CHANNEL_REASONING,
    "log": pb.Output.CHANNEL_LOG,
    "activity": pb.Output.CHANNEL_ACTIVITY,
}


class Narrator:
    """One run, folded up to a position, that tells what follows."""

    def __init__(self, run: Run, inputs: Struct, position: int, time: float) -> None:
        self._run = run
        self._inputs = inputs
        self.position = position
        self._time = time

    @classmethod
    async def at(cls, store: Store, run: str, position: int) -> Self:
        """Folds a run's events up to a position, which is at least 1."""
        events = [stored for stored in await store.events(run) if stored.position <= position]
        folded = fold((stored.event, stored.time) for stored in events)
        inputs = struct(await store.blob(run, folded.plan.inputs))
        return cls(folded, inputs, position, events[-1].time)

    @property
    def is_settled(self) -> bool:
        """Whether nothing follows."""
        return self._run.is_settled

    def tell_run(self) -> pb.WatchRunResponse:
        """Tells how the run stands, at the position that it has."""
        return self._response(self._time, run=run_message(self._run, self.position, self._inputs))

    def tell_progress(self) -> pb.WatchRunResponse:
        """Tells that nothing happened, at the position that it has."""
        states = [step.state for step in self._run.steps.values()]
        progress = pb.Progress(
            settled_steps=sum(state in SETTLED_STEP for state in states),
            running_steps=sum(state in _BUSY for state in states),
            total_steps=len(states),
        )
        return self._response(wall_clock(), progress=progress)

    def tell(self, stored: StoredEvent | StoredUtterance) -> pb.WatchRunResponse:
        """Moves on by one item, and tells it."""
        self.position = stored.position
        if isinstance(stored, StoredUtterance):
            return self._response(stored.time, output=self._output(stored))
        self._time = stored.time
        self._run = apply(self._run, stored.event, stored.time)
        return self._tell_event(stored.event, stored.time)

    def _tell_event(self, event: Event, time: float) -> pb.WatchRunResponse:
        if isinstance(event, _OF_THE_RUN):
            return self._response(time, run=run_message(self._run, self.position, self._inputs))
        if isinstance(event, ReportRefused):
            text = f"{event.attempt} said more after its end, which has no effect: {event.what}"
            return self._response(time, log=pb.Log(text=text, step=step_name(self._run.id, event.step)))
        return self._response(time, step=step_message(self._run.id, self._run.steps[event.step]))

    def _output(self, said: StoredUtterance) -> pb.Output:
        return pb.Output(
            attempt=said.attempt,
            step=step_name(self._run.id, said.step),
            channel=_CHANNELS[said.channel],
            offset=said.offset,
            text=said.text,
        )

    def _response(
        self,
        time: float,
        *,
        run: pb.Run | None = None,
        step: pb.Step | None = None,
        output: pb.Output | None = None,
        log: pb.Log | None = None,
        progress: pb.Progress | None = None,
    ) -> pb.WatchRunResponse:
        return pb.WatchRunResponse(
            resume_token=seal(self._run.id, self.position),
            sequence=self.position,
            time=timestamp(time),
            run=run,
            step=step,
            output=output,
            log=log,
            progress=progress,
        )


async def watch_run(
    store: Store, run: str, resume_token: str, progress_seconds: float
) -> AsyncIterator[pb.WatchRunResponse]:
    """Tells a run from a token to its end."""
    row = await store.run(run)
    position = _read_position(resume_token, run, row.last_position)
    with store.watch(run) as watcher:
        narrator = await Narrator.at(store, run, max(position, 1))
        # At position 1 a run is created, and nothing else; so the first message is the same for new and returning watchers.
        yield narrator.tell_run()
        while not narrator.is_settled:
            page = await store.history(run, narrator.position)
            for stored in page:
                yield narrator.tell(stored)
            if not page and not await _is_changed(watcher, progress_seconds):
                yield narrator.tell_progress()


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

    async def tell(self, run: str, stored: StoredEvent) -> pb.WatchRunResponse:
        narrator = self._kept.pop(run, None)
        if isinstance(stored.event, RunCreated):
            narrator = await Narrator.at(self._store, run, stored.position)
            told = narrator.tell_run()
        else:
            narrator = narrator or await Narrator.at(self._store, run, stored.position - 1)
            told = narrator.tell(stored)
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


async def _is_changed(watcher: Watcher, within_seconds: float) -> bool:

    try:
        async with asyncio.timeout(within_seconds):
            await watcher.changed()
    except TimeoutError:
        return False
    return True
