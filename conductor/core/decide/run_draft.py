"""One run while a decision about it is made: an overlay that is kept whole or thrown away whole.

It collects; it decides nothing. Whatever is emitted is folded at once, so that later questions see it.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

from conductor.core.model.commands import AckExecution, Command, Record, Reply, ResumeExecution
from conductor.core.model.conductor_state import Ongoing, Track
from conductor.core.model.events import Event
from conductor.core.model.run import Run, apply, key_of
from conductor.core.model.step import Step

if TYPE_CHECKING:
    from conductor.core.model.inputs import Blob
    from conductor.core.model.output import Output


class RunDraft:
    """Collects what is to be stored, sent and answered for one run."""

    __slots__ = (
        "blobs",
        "commands",
        "cursors",
        "dirty",
        "events",
        "freed_place",
        "now",
        "origin",
        "queue",
        "replies",
        "run",
        "stored",
        "tracks",
        "wants_place",
    )

    def __init__(self, ongoing: Ongoing, now: float, *, origin: Ongoing | None) -> None:
        self.origin = origin
        self.now = now
        self.run: Run = ongoing.run
        self.tracks: dict[str, Track] = dict(ongoing.tracks)
        self.queue: dict[str, float] = dict(ongoing.queue)
        self.dirty: dict[str, None] = dict.fromkeys(ongoing.dirty)
        self.stored: list[Record | Output] = []
        self.events = 0
        self.blobs: list[Blob] = []
        self.cursors: dict[str, int] = {}
        self.commands: list[Command] = []
        self.replies: list[Reply] = []
        self.wants_place = False
        self.freed_place = False

    def emit(self, event: Event) -> None:
        """Notes that something happened, and makes it so."""
        self.run = apply(self.run, event, self.now)
        self.stored.append(Record(self.run.plan.run, event, key_of(event)))
        self.events += 1

    def step(self, name: str) -> Step:
        """Gives a step as it is now."""
        return self.run.steps[name]

    def send(self, command: Command) -> None:
        """Asks for something outside, once all this is stored."""
        self.commands.append(command)

    def mark(self, *steps: str) -> None:
        """Has steps looked at before the decision ends, or first thing in the next one."""
        self.dirty.update(dict.fromkeys(steps))

    def enqueue(self, step: str, not_before: float) -> None:
        """Puts a step in line for a place."""
        self.queue[step] = not_before
        self.wants_place = True

    def move_cursor(self, attempt: str, sequence: int, interval: float) -> None:
        """Notes the last frame that this decision stores, and when it is to be acknowledged."""
        track = self.tracks[attempt]
        self.tracks[attempt] = replace(track, cursor=sequence, ack_at=track.ack_at or self._next_beat(interval))
        self.cursors[attempt] = sequence

    def acknowledge_again(self, attempt: str, interval: float) -> None:
        """Has an acknowledgement repeated: its host told what was stored long ago."""
        track = self.tracks[attempt]
        self.tracks[attempt] = replace(track, ack_at=track.ack_at or self._next_beat(interval))

    def note_cancelled(self, attempt: str) -> None:
        """Remembers that an attempt was told to end."""
        self.tracks[attempt] = replace(self.tracks[attempt], cancelled=True)

    def tell_hosts(self) -> None:
        """Acknowledges what is stored and has streams begin anew, where that is due."""
        for attempt, track in list(self.tracks.items()):
            if track.ack_at is not None and track.ack_at <= self.now:
                self.send(AckExecution(track.host, attempt, track.cursor))
                # Stored again: a transaction that writes nothing would not make durable what was written before it.
                self.cursors[attempt] = track.cursor
                self.tracks[attempt] = replace(self.tracks[attempt], ack_at=None)
            if track.resume_at is not None and track.resume_at <= self.now:
                self.send(ResumeExecution(track.host, attempt, track.cursor, track.instance))
                self.tracks[attempt] = replace(self.tracks[attempt], resume_at=None, resumed_at=self.now)

    def finished(self, spared_until: float) -> Ongoing:
        """Gives the run's new place in the conductor's state."""
        due = [track.ack_at for track in self.tracks.values() if track.ack_at is not None]
        due += [track.resume_at for track in self.tracks.values() if track.resume_at is not None]
        due += [when for when in self.queue.values() if when > self.now]
        due += [max(when, spared_until) for when in self.deadlines()]
        if self.dirty:
            due.append(self.now)
        return Ongoing(self.run, self.tracks, self.queue, tuple(self.dirty), min(due, default=None))

    def deadlines(self) -> Iterator[float]:
        """Gives when the clocks of the run and of its queued steps run out."""
        if (deadline := self.run.deadline) is not None:
            yield deadline
        for name in self.queue:
            if (deadline := self.step(name).queue_deadline) is not None:
                yield deadline

    def _next_beat(self, interval: float) -> float:
        # One beat for all attempts: acknowledgements need a FULL commit, and so they share it.
        return (floor(self.now / interval) + 1) * interval
