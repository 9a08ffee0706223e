"""Decides about the streams of one attempt: how each begins, which frames count, and what follows from its end.

The rules, before the code:

- A stream begins with Start only while nothing shows that the host has the attempt, and with Resume after the last number
  received otherwise. An attempt that is cancelled before it was started is resumed, too: that attaches where an earlier process
  of this conductor had started it, and blocks its id where none had.
- Frames are taken in order, each once; a number that leaves one out is a defect of the host.
- The end of a stream does not end an attempt. It is over when its end was stored and acknowledged and the host closed the call
  after our half-close; or when the host does not know it, or refused it.
- A refusal of a Start is final only where no other Start of the attempt may still be on its way. Where one was sent on a stream
  that broke, a Resume blocks the id first, so that no refused attempt begins.
- gRPC loses the status of a call that ends while it is written to. The host is asked again, and then only the opening is written
  until it has answered.
- A refusal counts against the attempt only where it is about the attempt. A host that is disconnected is asked again, and so is one
  that answers nonsense, a few times.

This module sends nothing and waits for nothing: `conductor.hosts.attempt_stream` does.
"""

from dataclasses import dataclass
from enum import StrEnum

from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    ResumeExecution,
    StartExecution,
    TurnCommand,
)
from conductor.core.model.inputs import ExecutionLost, ExecutionRefused

ExecutionCommand = StartExecution | ResumeExecution | CancelExecution | TurnCommand | AckExecution

# Failures in a row that are neither a lost connection nor an answer about the attempt: a defect on one of the two sides.
MAX_DEFECTS = 8
EPOCH_SUPERSEDED = "EPOCH_SUPERSEDED"
EPOCH_TOO_FAR = "EPOCH_TOO_FAR"
# In the place of a gRPC code: the call ended, and its status was lost on our side.
STATUS_LOST = "STATUS_LOST"

# UNAUTHENTICATED: this conductor's certificate has ended or was revoked. Its attempts go on meanwhile; another one mends it.
_UNREACHABLE = frozenset({"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "UNAUTHENTICATED", STATUS_LOST})
# A newer stream of this conductor serves it; or another instance of the host answers at that address; or the epoch was not right.
_ELSEWHERE = frozenset({"STREAM_SUPERSEDED", "OTHER_INSTANCE", EPOCH_SUPERSEDED, EPOCH_TOO_FAR})
# ALREADY_EXISTS: the id is taken, as where this conductor was restored from a backup; the next attempt has another.
_ANOTHER_MAY = frozenset({"FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "ALREADY_EXISTS"})
_NONE_MAY = frozenset({"INVALID_ARGUMENT", "PERMISSION_DENIED", "UNIMPLEMENTED", "OUT_OF_RANGE"})


class Place(StrEnum):
    """Compares a frame's number with the last that was received."""

    NEXT = "next"
    KNOWN = "known"
    TOO_FAR = "too_far"


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Holds the status that a stream ended with: the name of a gRPC code, and the host's reason."""

    code: str
    reason: str = ""
    message: str = ""
    retry_after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamVerdict:
    """Says what follows from a stream's end. `news` is for the engine; `is_defect`: given up, and a person should look."""

    is_over: bool
    news: ExecutionRefused | ExecutionLost | None = None
    is_defect: bool = False


GO_ON = StreamVerdict(is_over=False)
OVER = StreamVerdict(is_over=True)


class Conversation:
    """Follows all streams of one attempt, one after another."""

    def __init__(self, attempt: str) -> None:
        self.attempt = attempt
        self.received = 0
        self.is_cancelled = False
        self.is_cautious = False  # the last stream's status was lost: listen before more is written
        self.is_dismissed = False  # no run counts on it: its output is dropped, its end is acknowledged
        self.instance = ""  # of the host that is meant
        self._start: StartExecution | None = None
        self._starts = 0  # streams that began with it
        self._refusal: ExecutionRefused | None = None  # received, and noted when the id is blocked
        self._is_known = False  # the host has shown that it has the attempt
        self._is_finished = False  # the last frame was received
        self._is_released = False  # its acknowledgement was written, and the stream half-closed
        self._defects = 0

    @property
    def to_start(self) -> StartExecution | None:
        """Returns the Start that a stream must begin with; None where it begins with a Resume after `received`."""
        return None if self._is_known or self.is_cancelled or self._refusal else self._start

    def hear(self, command: ExecutionCommand) -> None:
        """Notes a command of the core before it is sent to the host."""
        match command:
            case StartExecution():
                self._start, self.instance = command, command.instance
                self._starts = max(self._starts, int(command.repeated))
            case ResumeExecution():
                self.instance = command.instance
                self._start, self._is_known, self.received = None, True, command.after_sequence
            case CancelExecution():
                self.is_cancelled = True
            case AckExecution():
                # Without a Resume before it, it settles what an earlier process received: no frame below it is wanted again.
                self.received = max(self.received, command.sequence)
                self._is_finished = self._is_finished or command.finished

    def begin_stream(self) -> None:
        """Begins a stream."""
        self._starts += self.to_start is not None
        self._is_released = False

    def release(self) -> None:
        """Notes that the end's acknowledgement was written, and the stream half-closed."""
        self._is_released = True

    def take(self, sequence: int, *, is_end: bool) -> Place:
        """Takes a frame's number; only the next one counts."""
        if sequence > self.received + 1:
            return Place.TOO_FAR
        self._is_known = True
        if sequence <= self.received:
            return Place.KNOWN
        self.received = sequence
        self._is_finished = is_end
        self._defects = 0
        return Place.NEXT

    def judge(self, end: StreamEnd | None) -> StreamVerdict:
        """Says what follows from the end of a stream; None for a stream that ended with OK."""
        self.is_cautious = end is not None and end.code == STATUS_LOST
        if end is None:
            return StreamVerdict(is_over=self._is_released)
        if end.code == "NOT_FOUND":
            return self._lose(end.message)
        is_turned_away = end.reason == "HOST_DRAINING" and not self._is_known
        if end.reason in _ELSEWHERE or (end.code in _UNREACHABLE and not is_turned_away):
            return GO_ON
        if not self._is_known and end.reason != "SNAPSHOT_MISSING":
            if end.code in _ANOTHER_MAY:
                return self._refuse(end, retryable=True)
            if end.code in _NONE_MAY:
                return self._refuse(end, retryable=False)
        return self._count_defect(end)

    def _count_defect(self, end: StreamEnd) -> StreamVerdict:
        self._defects += 1
        if self._defects < MAX_DEFECTS:
            return GO_ON
        if self._is_known:
            given_up = self._lose(f"its host answers only with {end.code}: {end.message}")
        else:
            given_up = StreamVerdict(is_over=True, news=self._refusal or self._explain(end, retryable=True))
        return StreamVerdict(is_over=True, news=given_up.news, is_defect=True)

    def _lose(self, message: str) -> StreamVerdict:
        if self._refusal is not None and not self._is_known:
            return StreamVerdict(is_over=True, news=self._refusal)
        if self._is_finished or self.is_dismissed:
            return OVER
        return StreamVerdict(is_over=True, news=ExecutionLost(self.attempt, message))

    def _refuse(self, end: StreamEnd, *, retryable: bool) -> StreamVerdict:
        news = self._refusal or self._explain(end, retryable=retryable)
        if self._starts > 1 and self._refusal is None and not self.is_cancelled:
            self._refusal = news
            return GO_ON
        return StreamVerdict(is_over=True, news=news)

    def _explain(self, end: StreamEnd, *, retryable: bool) -> ExecutionRefused:
        return ExecutionRefused(self.attempt, end.reason or end.code, end.message, retryable, end.retry_after_seconds)
