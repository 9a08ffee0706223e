"""From an attempt's spool to its numbered frames: every reader makes the same frames with the same numbers.

Two readers of a spool find different amounts of it at a time, so what a frame holds is decided once: everything between two
*cuts* of the spool becomes frames together. A cut is recorded before its frames are sent, and a later reader cuts at the same
places. Where it arrives at other numbers (a damaged file, a parser that has changed), it raises DamagedError. This module opens no
file and waits for nothing: the outbox brings bytes and cuts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agenthost.core.damage import DamagedError
from agenthost.core.output.agent_output import AgentOutput, Summary
from agenthost.core.output.bounding import Bounding
from agenthost.core.output.frame import Finished, Frame, Started
from agenthost.core.output.frames import merge
from agenthost.core.output.report import Notice, NoticeKind, Report

_STARTED = _FINISHED = 1
_REST_LEFT_OUT = Notice(
    NoticeKind.MALFORMED_OUTPUT, "the attempt was cancelled while its output was being read; the rest is left out"
)
# More than the parser may hold back for the end: the rest of a line or of a secret of either stream, and the notices about it.
_HELD_BACK = 16


@dataclass(frozen=True, slots=True)
class Cut:
    """Says that everything up to this offset of the spool was framed, and which number the last frame had.

    `final`: with what the end completes. `cancelled`: nothing behind it is read, because a cancel overtook it.
    """

    offset: int
    time_ns: int
    sequence: int
    final: bool
    cancelled: bool = False


def highest_number(newest: Cut | None, spool_bytes: int, *, is_over: bool) -> int:
    """Returns the highest number that a frame can have had, even if cuts after `newest` are missing. The spool must be whole.

    A cut is made where there is more to read, or at the end. So cuts are missing only where bytes follow the newest, and each
    frame took at least one of them.
    """
    if newest and newest.final:
        return newest.sequence + _FINISHED
    sequence = newest.sequence if newest else _STARTED
    unread = spool_bytes - (newest.offset if newest else 0)
    return sequence + unread + _HELD_BACK + _FINISHED if unread > 0 or is_over else sequence


class Numbering:
    """Numbers the frames of an attempt for one reader of its spool."""

    def __init__(self, output: AgentOutput) -> None:
        self._output = output
        self._waiting: list[Report] = []
        self._merged: list[Report] | None = None
        self._bounding = Bounding()
        self.is_cancelled = False
        self.offset = 0
        self.sequence = 0
        self.is_complete = False

    @property
    def summary(self) -> Summary:
        """Returns what the end needs to know of the output."""
        return self._output.summary

    @property
    def has_frames(self) -> bool:
        """Says that a cut made now would have frames, or would be the last."""
        return bool(self._waiting) or self.is_complete

    def frame(self, content: Started | Report | Finished, time_ns: int) -> Frame:
        """Makes the next frame."""
        self.sequence += 1
        return Frame(self.sequence, time_ns, content)

    def take(self, data: bytes) -> None:
        """Takes the next bytes of the spool."""
        self.offset += len(data)
        self._waiting += self._output.feed(data)

    def take_end(self, *, is_whole: bool = False) -> None:
        """Takes the end of the spool. `is_whole`: its writer completed it, and did not die before."""
        self._waiting += self._output.finish(is_whole=is_whole)
        self.is_complete = True

    def leave_rest(self) -> None:
        """Leaves out what the spool still holds, because a cancel overtakes it."""
        self.take_end()
        self._waiting.append(_REST_LEFT_OUT)
        self.is_cancelled = True

    def cut(self, time_ns: int) -> Cut:
        """Makes a cut here. The caller records it before it sends its frames."""
        self._merged = self._take_reports()
        sequence = self.sequence + len(self._merged)
        return Cut(self.offset, time_ns, sequence, final=self.is_complete, cancelled=self.is_cancelled)

    def frames_at(self, cut: Cut) -> Iterator[Frame]:
        """Yields the frames since the cut before; raises DamagedError where they are not as many as when it was made."""
        reports = self._take_reports() if self._merged is None else self._merged
        self._merged = None
        if self.sequence + len(reports) != cut.sequence:
            raise DamagedError(f"spool: frame {cut.sequence} was sent, and cannot be made again")
        for report in reports:
            yield self.frame(report, cut.time_ns)

    def _take_reports(self) -> list[Report]:
        waiting, self._waiting = self._waiting, []
        merged = list(merge(waiting))
        return self._bounding.bound(merged) if self._output.is_bounded else merged
