"""Inputs that wait for the engine: in two lanes, both bounded, neither of which makes the engine wait (rule 4).

The control lane is taken first and keeps its order: requests, reports of hosts, answers of workers, ends. A request is refused
where too many wait. Everything else in this lane is bounded by what was asked (an answer per question, an end per attempt); its
limit only guards against a defect.

What attempts say waits in one slot per attempt. Frames that follow each other are merged there: the longer a commit takes, the
more goes into the next one. A full slot makes its link wait, the link stops reading, HTTP/2 stops the host. Slots are taken in
turn, whole; an emptied slot goes to the end of the line.

Nothing here looks into an input, except to merge text.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace

from conductor.core.model.activity import Notice, ToolCall, ToolResult, Usage
from conductor.core.model.inputs import (
    ExecutionLost,
    ExecutionRefused,
    ExecutionReported,
    HostReported,
    Input,
    Report,
    Request,
    WorkFinished,
)
from conductor.core.model.output import Output
from conductor.errors import NoCapacityError, ShuttingDownError

Note = HostReported | ExecutionRefused | ExecutionLost | WorkFinished


@dataclass(frozen=True, slots=True)
class InboxLimits:
    """The limits of the inbox. One decision is made of one batch."""

    requests: int = 256
    notes: int = 20_000
    slot_bytes: int = 256 * 1024
    batch_bytes: int = 2 * 1024 * 1024
    batch_inputs: int = 256  # of each lane


@dataclass(slots=True)
class _Frames:
    """Frames without a gap between them."""

    first: int
    last: int
    reports: list[Report]


@dataclass(slots=True)
class _Slot:
    """The output of an attempt since its slot was taken last."""

    attempt: str
    size: int = 0
    frames: list[_Frames] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, report: ExecutionReported, size: int) -> None:
        """Merges a report where its numbers continue; a repetition after a reconnection stays apart."""
        self.size += size
        if self.frames and self.frames[-1].last + 1 == report.first_sequence:
            self.frames[-1].last = report.last_sequence
            self.frames[-1].reports.extend(report.reports)
        else:
            self.frames.append(_Frames(report.first_sequence, report.last_sequence, list(report.reports)))

    def merged(self) -> list[ExecutionReported]:
        """Returns the contents as inputs."""
        return [
            ExecutionReported(self.attempt, frames.first, frames.last, _join(frames.reports)) for frames in self.frames
        ]


class Inbox:
    """Inputs that wait. `filled` is set while there are any, and when the inbox is closed."""

    def __init__(self, limits: InboxLimits | None = None) -> None:
        self.filled = asyncio.Event()
        self._limits = limits or InboxLimits()
        self._control: deque[Input] = deque()
        self._requests = 0
        self._slots: dict[str, _Slot] = {}
        self._closed = False

    def request(self, request: Request) -> None:
        """Takes a request; NoCapacityError where too many wait."""
        self._refuse_when_closed()
        if self._requests >= self._limits.requests:
            raise NoCapacityError(f"{self._limits.requests} requests wait already")
        self._requests += 1
        self._put(request)

    def put_back(self, request: Request) -> None:
        """Takes a request that was taken too early; it comes first next time."""
        self._requests += 1
        self._control.appendleft(request)
        self.filled.set()

    def note(self, note: Note) -> None:
        """Takes an input that is not a request. A closed inbox drops it: recovery asks again."""
        if self._closed:
            return
        if len(self._control) - self._requests >= self._limits.notes:
            raise NoCapacityError(f"{self._limits.notes} notes wait already: more than were asked for")
        self._put(note)

    async def offer(self, report: ExecutionReported) -> None:
        """Takes what an attempt said, once its slot has room. One caller per attempt."""
        size = _size(report)
        while True:
            self._refuse_when_closed()
            slot = self._slots.get(report.attempt)
            if slot is None:
                slot = self._slots[report.attempt] = _Slot(report.attempt)
            if slot.size == 0 or slot.size + size <= self._limits.slot_bytes:
                slot.add(report, size)
                self.filled.set()
                return
            await slot.taken.wait()

    def take(self) -> tuple[Input, ...]:
        """Takes the next batch: first from the control lane, then slots in turn. Empty where nothing waits."""
        batch: list[Input] = []
        while self._control and len(batch) < self._limits.batch_inputs:
            batch.append(self._control.popleft())
        self._requests -= sum(isinstance(entry, Request) for entry in batch)
        batch.extend(self._take_slots())
        if not (self._control or self._slots or self._closed):
            self.filled.clear()
        return tuple(batch)

    def close(self) -> None:
        """Refuses new inputs; those that wait can still be taken."""
        self._closed = True
        self.filled.set()
        for slot in self._slots.values():
            slot.taken.set()

    @property
    def is_empty(self) -> bool:
        """No input waits."""
        return not (self._control or self._slots)

    def _put(self, entry: Input) -> None:
        self._control.append(entry)
        self.filled.set()

    def _take_slots(self) -> list[Input]:
        taken: list[Input] = []
        size = 0
        while self._slots and size < self._limits.batch_bytes and len(taken) < self._limits.batch_inputs:
            slot = self._slots.pop(next(iter(self._slots)))
            size += slot.size
            taken.extend(slot.merged())
            slot.taken.set()
        return taken

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ShuttingDownError


def _join(reports: list[Report]) -> tuple[Report, ...]:
    """Joins texts of one channel that follow each other."""
    joined: list[Report] = []
    texts: list[str] = []
    for report, after in zip(reports, [*reports, None][1:], strict=True):
        if not isinstance(report, Output):
            joined.append(report)
            continue
        texts.append(report.text)
        if not isinstance(after, Output) or after.channel != report.channel:
            joined.append(replace(report, text="".join(texts)))
            texts = []
    return tuple(joined)


def _size(report: ExecutionReported) -> int:
    return sum(map(_size_of, report.reports))


def _size_of(part: Report) -> int:
    # An empty frame costs something too; characters instead of bytes, since this need not be exact.
    match part:
        case Output(text=text) | ToolResult(text=text) | Notice(text=text):
            return 64 + len(text)
        case ToolCall(arguments=arguments):
            return 128 + len(arguments)
        case Usage():
            return 128
        case _:
            return 1088
