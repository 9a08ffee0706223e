"""One stream's way through an attempt's output: from the spool to numbered frames, from the first or from any number on.

The spool is the outbox: nothing is buffered here. A stream that comes reads the spool from its beginning, in silence up to the
number that its client has, along the same cuts as the stream before it; from there on it makes cuts of its own. Whatever is
there when the writer is free becomes the next frame, so the first token leaves at once and a slow reader gets large frames.

What becomes of bytes and cuts is `core.numbering`'s; here is the waiting and the reading. One outbox of an attempt is in use at a
time: two would cut differently. The execution sees to that.

Where a replay does not give what was sent (checksums, the numbers in the cuts, the number that the client has), the attempt
ends as damaged: see `core.damage`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Protocol

from agenthost.attempt.cuts import LARGE_CUT_BYTES, Cuts
from agenthost.core.damage import FILLER, Damage, DamagedError, tells_of_a_file
from agenthost.core.output.agent_output import AgentOutput, Summary
from agenthost.core.output.frame import Finished, Frame, Started
from agenthost.core.output.numbering import Cut, Numbering
from agenthost.system.change import Change

# Parsing so much takes the event loop some ten milliseconds at worst; other streams wait that long.
READ_BYTES = LARGE_CUT_BYTES


class Source(Protocol):
    """The attempt, as far as its output goes."""

    @property
    def change(self) -> Change:
        """Rung when there is more to read, when the agent started, and when it ended."""

    @property
    def started(self) -> tuple[Started, int] | None:
        """The first frame and its time, once there is one."""

    @property
    def ended(self) -> bool:
        """Whether the spool is complete."""

    @property
    def spool_size(self) -> int:
        """How long the spool must be by now; its whole length when it is complete."""

    @property
    def is_whole(self) -> bool:
        """Whether the spool was completed in order, and not left as it was when its writer died."""

    @property
    def fault(self) -> str:
        """Why nothing of the output can be told; empty where that is not so."""

    @property
    def damage(self) -> Damage | None:
        """What an earlier stream found."""

    def read_spool(self, offset: int, limit: int) -> bytes:
        """Bytes of the spool; empty when there are none yet."""

    async def mark_damaged(self, text: str, sequence: int) -> Damage:
        """Ends the attempt as damaged, if it still runs. Gives what was found first, by whomever."""

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

    async def frames(self, after: int) -> AsyncGenerator[Frame, None]:
        """Every frame above the number `after`, as it comes; ends behind `Finished`."""
        async with aclosing(self._all(after)) as frames:
            async for frame in frames:
                self._note_sequence(frame.sequence)
                if frame.sequence > after:
                    yield frame

    async def _all(self, after: int) -> AsyncGenerator[Frame, None]:
        try:
            async with aclosing(self._intact(after)) as frames:
                async for frame in frames:
                    self._check_unused(frame)
                    yield frame
        except (DamagedError, OSError) as error:
            if isinstance(error, OSError) and not tells_of_a_file(error):
                raise
            async for frame in self._damaged(str(error), after):
                yield frame
        finally:
            self._cuts.close()

    def _check_unused(self, frame: Frame) -> None:
        """The number of an end that was told is not given to anything else, not even where the damage was mended since."""
        if (damage := self._source.damage) and frame.sequence >= damage.sequence:
            raise DamagedError(damage.text)

    async def _damaged(self, text: str, after: int) -> AsyncIterator[Frame]:
        """The end of an attempt that cannot be told as it was, behind everything that its client has."""
        numbering = self._numbering
        damage = await self._source.mark_damaged(text, max(numbering.sequence, after) + 1)
        numbering.sequence = min(max(numbering.sequence, after), damage.sequence - 1)
        while numbering.sequence < damage.sequence - 1:
            yield numbering.frame(FILLER, damage.time_ns)
        yield numbering.frame(*self._source.finish(numbering.summary, damage.sequence))

    async def _intact(self, after: int) -> AsyncGenerator[Frame, None]:
        numbering = self._numbering
        await self._wait_until_started()
        if self._source.started:
            yield numbering.frame(*self._source.started)
        for cut in self._cuts.read():
            await self._read_up_to(cut)
            for frame in numbering.frames_at(cut):
                yield frame
        if after > numbering.sequence + numbering.is_complete:
            raise DamagedError(f"cuts: it ends before frame {after}, which was sent")
        while not numbering.is_complete:
            cut = await self._next_cut()
            self._cuts.append(cut)
            for frame in numbering.frames_at(cut):
                yield frame
        await self._wait_until_ended()
        yield numbering.frame(*self._source.finish(numbering.summary, numbering.sequence + 1))

    async def _wait_until_started(self) -> None:
        while True:
            changed = self._source.change.subscribe()
            if self._source.fault:
                raise DamagedError(self._source.fault)
            if self._source.started or self._source.ended:
                return
            await changed.wait()

    async def _wait_until_ended(self) -> None:
        """The last cut may be an earlier daemon's, and the end not be known again yet to this one."""
        while True:
            changed = self._source.change.subscribe()
            if self._source.ended:
                return
            await changed.wait()

    async def _read_up_to(self, cut: Cut) -> None:
        """The replay: reads as far as a cut that was made before."""
        numbering = self._numbering
        while (left := cut.offset - numbering.offset) > 0:
            data = self._source.read_spool(numbering.offset, min(READ_BYTES, left))
            if not data:
                raise DamagedError(f"spool: it ends at byte {numbering.offset}, and was {cut.offset} bytes long")
            numbering.take(data)
            await asyncio.sleep(0)
        if cut.final:
            numbering.take_end(is_whole=self._source.is_whole)

    async def _next_cut(self) -> Cut:
        """Waits until something was said, or until nothing more can be."""
        numbering, begun = self._numbering, self._numbering.offset
        while True:
            changed = self._source.change.subscribe()
            if not self._take_more():
                await changed.wait()
                continue
            is_due = numbering.is_complete or numbering.offset - begun >= LARGE_CUT_BYTES
            if numbering.has_frames and (is_due or self._cuts.has_room()):
                return numbering.cut(time.time_ns())
            await asyncio.sleep(0)

    def _take_more(self) -> bool:
        """Takes what there is by now, the end included; whether there was anything."""
        numbering, source = self._numbering, self._source
        data = source.read_spool(numbering.offset, READ_BYTES)
        if not data:
            # In this order: what has ended has its whole length, and what is longer now than it was can be read.
            ended, size = source.ended, source.spool_size
            if numbering.offset < size:
                data = source.read_spool(numbering.offset, READ_BYTES)
            elif ended:
                numbering.take_end(is_whole=source.is_whole)
                return True
            else:
                return False
            if not data:
                raise DamagedError(f"spool: it ends at byte {numbering.offset}, and was {size} bytes long")
        numbering.take(data)
        return True
