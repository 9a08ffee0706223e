"""One stream's way through an attempt's output: from the spool to numbered frames, from the first or from any number on.

The spool is the outbox: nothing is buffered here. A stream that comes reads the spool from its beginning, in silence up to the
number that its client has, along the same cuts as the stream before it; from there on it makes cuts of its own. Whatever is
there when the writer is free becomes the next frame, so the first token leaves at once and a slow reader gets large frames.

What becomes of bytes and cuts is `core.numbering`'s; here is the waiting and the reading. One outbox of an attempt is in use at a
time: two would cut differently. The execution sees to that.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from agenthost.bell import Bell
from agenthost.core.agent_output import AgentOutput, Summary
from agenthost.core.frame import Finished, Frame, Started
from agenthost.core.numbering import Cut, Numbering
from agenthost.cuts import Cuts

# Parsing so much takes the event loop some ten milliseconds at worst; other streams wait that long.
READ_BYTES = 64 * 1024


class Source(Protocol):
    """The attempt, as far as its output goes."""

    @property
    def bell(self) -> Bell:
        """Rung when there is more to read, when the agent started, and when it ended."""

    @property
    def started(self) -> tuple[Started, int] | None:
        """The first frame and its time, once there is one."""

    @property
    def ended(self) -> bool:
        """Whether the spool is complete."""

    def read_spool(self, offset: int, limit: int) -> bytes:
        """Bytes of the spool; empty when there are none yet."""

    def finish(self, summary: Summary, sequence: int) -> tuple[Finished, int]:
        """The last frame, which has this number, and its time."""


class Outbox:
    """Makes the frames of one attempt for one stream."""

    def __init__(
        self,
        source: Source,
        cuts: Cuts,
        output: AgentOutput,
        note_sequence: Callable[[int], None],
    ) -> None:
        self._source = source
        self._cuts = cuts
        self._numbering = Numbering(output)
        self._note_sequence = note_sequence

    async def frames(self, after: int) -> AsyncIterator[Frame]:
        """Every frame above the number `after`, as it comes; ends behind `Finished`."""
        async for frame in self._all():
            self._note_sequence(frame.sequence)
            if frame.sequence > after:
                yield frame

    async def _all(self) -> AsyncIterator[Frame]:
        numbering = self._numbering
        await self._wait_until_started()
        if self._source.started:
            yield numbering.frame(*self._source.started)
        for cut in self._cuts.read():
            await self._read_up_to(cut)
            for frame in numbering.frames_at(cut):
                yield frame
        while not numbering.is_complete:
            cut = await self._next_cut()
            self._cuts.append(cut)
            for frame in numbering.frames_at(cut):
                yield frame
        yield numbering.frame(*self._source.finish(numbering.summary, numbering.sequence + 1))

    async def _wait_until_started(self) -> None:
        while True:
            heard = self._source.bell.listen()
            if self._source.started or self._source.ended:
                return
            await heard.wait()

    async def _read_up_to(self, cut: Cut) -> None:
        """The replay: reads as far as a cut that was made before."""
        while (left := cut.offset - self._numbering.offset) > 0:
            self._numbering.take(self._source.read_spool(self._numbering.offset, min(READ_BYTES, left)))
            await asyncio.sleep(0)
        if cut.final:
            self._numbering.take_end()

    async def _next_cut(self) -> Cut:
        """Waits until something was said, or until nothing more can be."""
        while True:
            heard = self._source.bell.listen()
            ended = self._source.ended
            if data := self._source.read_spool(self._numbering.offset, READ_BYTES):
                self._numbering.take(data)
            elif ended:
                self._numbering.take_end()
            else:
                await heard.wait()
                continue
            if self._numbering.has_frames:
                return self._numbering.cut(time.time_ns())
            await asyncio.sleep(0)
