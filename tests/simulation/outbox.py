"""A stream's way through an attempt's output in a simulated world: the order of acts of `agenthost.attempt.outbox`.

Numbers and frames are `core.numbering`'s. Where a replay does not arrive at what was sent (a power cut took cuts or spool), the
attempt ends as damaged, under a number that no stream has used.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agenthost.core.admission.order import Limits
from agenthost.core.damage import FILLER, DamagedError
from agenthost.core.ending import Cause, Ending, judge
from agenthost.core.output.agent_output import AgentOutput
from agenthost.core.output.frame import Attestation, Finished, Frame, Started
from agenthost.core.output.numbering import Cut
from tests.simulation.agenda import Task
from tests.simulation.disk import Spool
from tests.simulation.execution import Attachment, Execution

if TYPE_CHECKING:
    from tests.simulation.daemon import Daemon

READ_BYTES = 200
_STARTED = Started(Attestation(mechanism="simulated"))


class Outbox:
    """Tells one stream of one attempt."""

    def __init__(self, daemon: "Daemon", mine: Attachment, execution: Execution, after: int) -> None:
        if execution.folder is None:
            raise RuntimeError("an execution without a folder")
        self.daemon = daemon
        self.mine = mine
        self.execution = execution
        self.after = after
        self.folder = execution.folder
        self.numbering = daemon.subject.numbering(AgentOutput("text", 10_000))

    def write(self) -> Task:
        """Every frame above the number that the client has, up to the last."""
        self.execution.delivery.resume(self.after)
        try:
            yield from self._tell_intact()
        except DamagedError:
            yield from self._tell_damaged()

    def cuts(self) -> Sequence[Cut]:
        return list(self.folder.cuts.items)

    def _tell(self, frame: Frame) -> None:
        self.execution.delivery.note(frame.sequence, is_end=isinstance(frame.content, Finished))
        if frame.sequence > self.after:
            self.mine.call.respond(frame)

    def _tell_intact(self) -> Task:
        spool, numbering = self.folder.spool, self.numbering
        if spool is None or self.folder.damage:
            raise DamagedError
        while not self.folder.is_released and self.execution.ending is None:
            yield from self._wait()
        if self.folder.is_released:
            self._tell(numbering.frame(_STARTED, 1))
        for cut in self.cuts():
            yield from self._replay(cut, spool)
        if self.after > numbering.sequence + numbering.is_complete:
            raise DamagedError
        while not numbering.is_complete:
            yield from self._tell_new(spool)
        while self.execution.ending is None:  # the last cut may be an earlier daemon's
            yield from self._wait()
        self.mine.check()
        self._tell(numbering.frame(self._finished(), 1))
        self.daemon.machine.pass_point("end told")

    def _wait(self) -> Task:
        self.mine.check()
        yield self.execution.bell, self.mine.call.bell

    def _replay(self, cut: Cut, spool: Spool) -> Task:
        numbering = self.numbering
        while (left := cut.offset - numbering.offset) > 0:
            data = _read(spool, numbering.offset, min(left, READ_BYTES))
            if not data:
                raise DamagedError
            numbering.take(data)
            yield 0.0
        if cut.final:
            numbering.take_end(is_whole=self.folder.status is not None)
        for frame in numbering.frames_at(cut):
            self._tell(frame)

    def _tell_new(self, spool: Spool) -> Task:
        numbering = self.numbering
        self.mine.check()
        has_ended = self.execution.ending is not None
        if data := _read(spool, numbering.offset, READ_BYTES):
            numbering.take(data)
        elif has_ended:
            numbering.take_end(is_whole=self.folder.status is not None)
        else:
            yield from self._wait()
            return
        if numbering.has_frames:
            cut = numbering.cut(int(self.daemon.agenda.now * 1e9))
            self.folder.cuts.append(cut)
            self.daemon.machine.pass_point("cut made, not sent")
            for frame in numbering.frames_at(cut):
                self._tell(frame)
        yield self.daemon.rng.random() * 0.05

    def _tell_damaged(self) -> Task:
        """Its end has a number that no stream has used; what lies between and cannot be made again is filled."""
        self.daemon.machine.seen["files damaged"] += 1
        self.execution.is_cancelled = True
        self.execution.bell.ring()
        while self.execution.ending is None:
            yield from self._wait()
        folder, numbering = self.folder, self.numbering
        folder.damage = folder.damage or max(numbering.sequence, self.after) + 1
        numbering.sequence = min(max(numbering.sequence, self.after), folder.damage - 1)
        while numbering.sequence < folder.damage - 1:
            self._tell(numbering.frame(FILLER, 1))
        self.execution.ending = Ending(Cause.FILES_DAMAGED)
        self._tell(numbering.frame(self._finished(), 1))

    def _finished(self) -> Finished:
        ending = self.execution.ending
        if ending is None:
            raise RuntimeError("an attempt that runs has no last frame")
        summary = self.numbering.summary
        return Finished(judge(ending, summary, Limits()), ending, summary, Attestation())


def _read(spool: Spool, offset: int, limit: int) -> bytes:
    return bytes(spool.data[offset : offset + limit])
