"""One run while a decision about it is made: an overlay that is kept or thrown away as a whole.

It collects and decides nothing. Every emitted event is folded at once, so that later code sees it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

from conductor.core.folded.run import Run, apply, key_of
from conductor.core.folded.step import Step
from conductor.core.model.commands import AckExecution, Command, Record, Reply, ResumeExecution
from conductor.core.model.conductor_state import Limits, Ongoing, Queued, Track
from conductor.core.model.events.run_events import Event
from conductor.core.placing.demand import demand_of

if TYPE_CHECKING:
    from conductor.core.model.inputs import Blob, RequestCancel
    from conductor.core.model.output import Output
    from conductor.core.model.plan import RunPlan


class RunDraft:
    """Collects the events, commands and replies of one run."""

    __slots__ = (
        "blobs",
        "commands",
        "count_free_steps",
        "cursors",
        "dirty",
        "events",
        "freed_place",
        "limits",
        "now",
        "origin",
        "parks",
        "queue",
        "replies",
        "run",
        "stored",
        "sub_runs",
        "told",
        "tracks",
        "wants_place",
    )

    def __init__(self, ongoing: Ongoing, now: float, limits: Limits, *, origin: Ongoing | None) -> None:
        self.origin = origin
        self.limits = limits
        self.now = now
        self.run: Run = ongoing.run
        self.tracks: dict[str, Track] = dict(ongoing.tracks)
        self.queue: dict[str, Queued] = dict(ongoing.queue)
        self.dirty: dict[str, None] = dict.fromkeys(ongoing.dirty)
        self.stored: list[Record | Output] = []
        self.events = 0
        self.blobs: list[Blob] = []
        self.cursors: dict[str, int] = {}
        self.commands: list[Command] = []
        self.replies: list[Reply] = []
        self.parks: dict[str, float] = {}  # until when, by pool
        self.sub_runs: dict[str, RunPlan] = {}  # that were planned, by their steps, and are to be created
        self.told: list[RequestCancel] = []  # inputs for sub-runs, to be taken in the next decision
        self.count_free_steps: Callable[[], int] = int  # that its tree of runs may still add
        self.wants_place = False
        self.freed_place = False

    def emit(self, event: Event) -> None:
        """Adds an event, and folds it."""
        self.run = apply(self.run, event, self.now)
        self.stored.append(Record(self.run.plan.run, event, key_of(event)))
        self.events += 1

    def step(self, name: str) -> Step:
        """Returns a step as it is now."""
        return self.run.steps[name]

    def send(self, command: Command) -> None:
        """Adds a command, to be sent once the decision is stored."""
        self.commands.append(command)

    def mark(self, *steps: str) -> None:
        """Marks steps to be looked at, in this decision or at the beginning of the next."""
        self.dirty.update(dict.fromkeys(steps))

    def enqueue(self, step: str, not_before: float) -> None:
        """Puts a step in line for a place: behind all of its priority."""
        last = next(reversed(self.queue), step)
        self.queue[step] = Queued(not_before, demand_of(self.step(step)))
        if self._priority(last) < self._priority(step):
            self.queue = dict(sorted(self.queue.items(), key=lambda entry: -self._priority(entry[0])))
        self.wants_place = True

    def _priority(self, step: str) -> int:
        return self.run.steps[step].plan.priority

    def move_cursor(self, attempt: str, sequence: int, interval: float) -> None:
        """Moves the last stored frame of an attempt, and sets when it is acknowledged."""
        track = self.tracks[attempt]
        self.tracks[attempt] = replace(track, cursor=sequence, ack_at=track.ack_at or self._next_beat(interval))
        self.cursors[attempt] = sequence

    def acknowledge_again(self, attempt: str, interval: float) -> None:
        """Repeats an acknowledgement: the host sent frames that are stored already."""
        track = self.tracks[attempt]
        self.tracks[attempt] = replace(track, ack_at=track.ack_at or self._next_beat(interval))

    def note_cancelled(self, attempt: str) -> None:
        """Notes that an attempt was told to end."""
        self.tracks[attempt] = replace(self.tracks[attempt], cancelled=True)

    def hold_slot(self, attempt: str, pool: str) -> None:
        """Notes of which pool a live attempt holds a slot now; empty for none."""
        if self.tracks[attempt].pool != pool:
            self.tracks[attempt] = replace(self.tracks[attempt], pool=pool)
            self.freed_place = True

    def tell_hosts(self) -> None:
        """Acknowledges stored frames and restarts streams, where that is due."""
        for attempt, track in list(self.tracks.items()):
            if track.ack_at is not None and track.ack_at <= self.now:
                self.send(AckExecution(track.host, attempt, track.cursor))
                # Stored again: a transaction that writes nothing does not make earlier writes durable.
                self.cursors[attempt] = track.cursor
                self.tracks[attempt] = replace(self.tracks[attempt], ack_at=None)
            if track.resume_at is not None and track.resume_at <= self.now:
                self.send(ResumeExecution(track.host, attempt, track.cursor, track.instance))
                self.tracks[attempt] = replace(self.tracks[attempt], resume_at=None, resumed_at=self.now)

    def finished(self, timeouts_suspended_until: float) -> Ongoing:
        """Returns the run for the conductor's next state."""
        due = [track.ack_at for track in self.tracks.values() if track.ack_at is not None]
        due += [track.resume_at for track in self.tracks.values() if track.resume_at is not None]
        due += [queued.not_before for queued in self.queue.values() if queued.not_before > self.now]
        due += [max(when, timeouts_suspended_until) for when in self.deadlines()]
        if self.dirty:
            due.append(self.now)
        return Ongoing(self.run, self.tracks, self.queue, tuple(self.dirty), min(due, default=None))

    def deadlines(self) -> Iterator[float]:
        """Yields when the clocks of the run, of its gates and of its queued steps run out."""
        if (deadline := self.run.deadline) is not None:
            yield deadline
        for step in self.run.steps.values() if self.run.waiting else ():
            gate = step.pending_gate
            if gate is not None and gate.expire_time is not None:
                yield gate.expire_time
        for name in self.queue if not self.run.is_held else ():
            if (deadline := self.step(name).queue_deadline) is not None:
                yield deadline

    def _next_beat(self, interval: float) -> float:
        # All attempts are acknowledged at one time, because that needs a FULL commit.
        return (floor(self.now / interval) + 1) * interval
