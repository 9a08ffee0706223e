"""From an attempt's spool to its numbered frames, from the first to the last, whoever reads it and how often.

Two readers of a spool find different amounts of it at a time, so what a frame holds is decided once: everything between two
*cuts* of the spool becomes frames together. A cut is recorded before its frames are sent; a later reader cuts at the same
places, and so gives the same frames the same numbers. Where it would not (a damaged file, a parser that has changed), it raises
DamagedError instead. It knows no file and waits for nothing: the outbox brings bytes and cuts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agenthost.core.damage import DamagedError
from agenthost.core.output.agent_output import AgentOutput, Summary
from agenthost.core.output.frame import Finished, Frame, Started
from agenthost.core.output.frames import merge
from agenthost.core.output.report import Report

_STARTED = _FINISHED = 1
# More than what the parser may hold back for the end: the rest of a line or a secret of either stream, and what is said of it.
_HELD_BACK = 16


@dataclass(frozen=True, slots=True)
class Cut:
    """Everything up to this offset of the spool was framed then, and the last frame had that number.

    `final`: what the end completes, too.
    """

    offset: int
    time_ns: int
    sequence: int
    final: bool


def highest_number(newest: Cut | None, spool_bytes: int, *, is_over: bool) -> int:
    """The highest number that a frame can have had, whatever became of cuts behind `newest`. The spool must be whole.

    A cut is made where there was more to read, or at the end. So cuts are missing only where bytes follow the newest, and
    each frame took one of them at least.
    """
    if newest and newest.final:
        return newest.sequence + _FINISHED
    sequence = newest.sequence if newest else _STARTED
    unread = spool_bytes - (newest.offset if newest else 0)
    return sequence + unread + _HELD_BACK + _FINISHED if unread > 0 or is_over else sequence


class Numbering:
    """One reader's way through an attempt's output."""

    def __init__(self, output: AgentOutput) -> None:
        self._output = output
        self._waiting: list[Report] = []
        self._merged: list[Report] | None = None
        self.offset = 0
        self.sequence = 0
        self.is_complete = False

    @property
    def summary(self) -> Summary:
        """What the end needs to know of the output."""
        return self._output.summary

    @property
    def has_frames(self) -> bool:
        """Whether a cut made now would give frames, or be the last."""
        return bool(self._waiting) or self.is_complete

    def frame(self, content: Started | Report | Finished, time_ns: int) -> Frame:
        """The next frame."""
        self.sequence += 1
        return Frame(self.sequence, time_ns, content)

    def take(self, data: bytes) -> None:
        """Takes the next bytes of the spool."""
        self.offset += len(data)
        self._waiting += self._output.feed(data)

    def take_end(self, *, is_whole: bool = False) -> None:
        """Takes that nothing follows. `is_whole`: its writer said so, and did not die over it."""
        self._waiting += self._output.finish(is_whole=is_whole)
        self.is_complete = True

    def cut(self, time_ns: int) -> Cut:
        """Where a cut falls now. To be recorded before its frames are sent."""
        self._merged, self._waiting = list(merge(self._waiting)), []
        return Cut(self.offset, time_ns, self.sequence + len(self._merged), final=self.is_complete)

    def frames_at(self, cut: Cut) -> Iterator[Frame]:
        """The frames of everything that was taken since the cut before; raises DamagedError where they are not as many as then."""
        sayings = list(merge(self._waiting)) if self._merged is None else self._merged
        self._merged, self._waiting = None, []
        if self.sequence + len(sayings) != cut.sequence:
            raise DamagedError(f"spool: frame {cut.sequence} was sent, and cannot be made again")
        for said in sayings:
            yield self.frame(said, cut.time_ns)
