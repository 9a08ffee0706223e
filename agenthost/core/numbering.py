"""From an attempt's spool to its numbered frames, from the first to the last, whoever reads it and how often.

Two readers of a spool find different amounts of it at a time, so what a frame holds is decided once: everything between two
*cuts* of the spool becomes frames together. A cut is recorded before its frames are sent; a later reader cuts at the same
places, and so gives the same frames the same numbers. It knows no file and waits for nothing: the outbox brings bytes and cuts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agenthost.core.agent_output import AgentOutput, Summary
from agenthost.core.frame import Finished, Frame, Started
from agenthost.core.frames import merge
from agenthost.core.said import Said


@dataclass(frozen=True, slots=True)
class Cut:
    """Everything up to this offset of the spool was framed then. `final`: what the end completes, too."""

    offset: int
    time_ns: int
    final: bool


class Numbering:
    """One reader's way through an attempt's output."""

    def __init__(self, output: AgentOutput) -> None:
        self._output = output
        self._waiting: list[Said] = []
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

    def frame(self, content: Started | Said | Finished, time_ns: int) -> Frame:
        """The next frame."""
        self.sequence += 1
        return Frame(self.sequence, time_ns, content)

    def take(self, data: bytes) -> None:
        """Takes the next bytes of the spool."""
        self.offset += len(data)
        self._waiting += self._output.feed(data)

    def take_end(self) -> None:
        """Takes that nothing follows."""
        self._waiting += self._output.finish()
        self.is_complete = True

    def cut(self, time_ns: int) -> Cut:
        """Where a cut falls now. To be recorded before its frames are sent."""
        return Cut(self.offset, time_ns, final=self.is_complete)

    def frames_at(self, cut: Cut) -> Iterator[Frame]:
        """The frames of everything that was taken since the cut before."""
        sayings, self._waiting = self._waiting, []
        for said in merge(sayings):
            yield self.frame(said, cut.time_ns)
