"""One stream's way through an attempt's output: from the spool to numbered frames, from the first or from any number on.

The spool is the outbox: nothing is buffered here. A new stream reads the spool from its beginning, without sending up to the
number that its client has, along the same cuts as the stream before it; from there on it makes cuts of its own. Whatever the spool
holds when the writer is free becomes the next frame, so the first token leaves at once and a slow reader gets large frames.

`core.output.numbering` makes frames of bytes and cuts; this module waits and reads. Only one outbox of an attempt is in use at a
time, because two would cut differently: the execution sees to that.

Where a replay differs from what was sent (checksums, the numbers in the cuts, the number that the client has), the attempt ends
as damaged: see `core.damage`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from agenthost.attempt.cuts import LARGE_CUT_BYTES, Cuts
from agenthost.core.damage import FILLER, Damage, DamagedError, tells_of_a_file
from agenthost.core.output.agent_output import AgentOutput
from agenthost.core.output.frame import Frame
from agenthost.core.output.numbering import Cut, Numbering
from agenthost.errors import StorageError

if TYPE_CHECKING:  # it opens outboxes
    from agenthost.attempt.execution import Execution

# Parsing so much takes the event loop some ten milliseconds at worst; other streams wait that long.
READ_BYTES = LARGE_CUT_BYTES


class Outbox:
    """Makes the frames of one attempt for one stream."""

    def __init__(
        self,
        source: "Execution",
        cuts: Cuts,
        output: AgentOutput,
        note_sequence: Callable[[int], None],
    ) -> None:
        self._source = source
        self._cuts = cuts
        self._numbering = Numbering(output)
        self._note_sequence = note_sequence

    async def frames(self, after: int) -> AsyncGenerator[Frame, None]:
        """Yields every frame above the number `after`, as it comes; ends after `Finished`."""
        recorded = self._cuts.read()
        try:
            await self._wait_until_started()
            for frame in self._pass(self._first(), after):
                yield frame
            while not self._numbering.is_complete:
                cut = await self._next_cut(next(recorded, None), after)
                for frame in self._pass(self._numbering.frames_at(cut), after):
                    yield frame
            self._check_resumed(after)
            await self._wait_until_ended()
            for frame in self._pass(self._last(), after):
                yield frame
        except (DamagedError, OSError) as error:
            if isinstance(error, OSError) and not tells_of_a_file(error):
                raise StorageError(f"the attempt's files cannot be used now: {error.strerror}") from error
            damage = await self._source.mark_damaged(str(error), max(self._numbering.sequence, after) + 1)
            for frame in self._pass(self._damaged(damage, after), after, is_end=True):
                yield frame
        finally:
            self._source.note_read(None)
            self._cuts.close()

    def _first(self) -> Iterator[Frame]:
        if self._source.started:
            yield self._numbering.frame(*self._source.started)

    def _last(self) -> Iterator[Frame]:
        numbering = self._numbering
        end = self._source.finish(numbering.summary, numbering.sequence + 1, is_cancelled=numbering.is_cancelled)
        yield numbering.frame(*end)

    def _pass(self, frames: Iterable[Frame], after: int, *, is_end: bool = False) -> Iterator[Frame]:
        """Notes every frame, and yields those that the client lacks.

        The number of a damaged end is given to nothing else, not even where the damage was mended since.
        """
        for frame in frames:
            if not is_end and (damage := self._source.damage) and frame.sequence >= damage.sequence:
                raise DamagedError(damage.text)
            self._note_sequence(frame.sequence)
            if frame.sequence > after:
                yield frame

    def _damaged(self, damage: Damage, after: int) -> Iterator[Frame]:
        """Makes the end of an attempt that cannot be sent as it was, after everything that its client has."""
        numbering = self._numbering
        numbering.sequence = min(max(numbering.sequence, after), damage.sequence - 1)
        while numbering.sequence < damage.sequence - 1:
            yield numbering.frame(FILLER, damage.time_ns)
        yield numbering.frame(*self._source.finish(numbering.summary, damage.sequence))

    def _check_resumed(self, after: int) -> None:
        """Raises DamagedError where the recorded cuts do not reach the number that the client has."""
        if after > self._numbering.sequence + self._numbering.is_complete:
            raise DamagedError(f"cuts: it ends before frame {after}, which was sent")

    async def _wait_until_started(self) -> None:
        while True:
            changed = self._source.change.subscribe()
            if self._source.fault:
                raise DamagedError(self._source.fault)
            if self._source.started or self._source.ended:
                return
            await changed.wait()

    async def _wait_until_ended(self) -> None:
        """Waits for the end: an earlier daemon may have made the last cut, and this one may not have read the end yet."""
        while True:
            changed = self._source.change.subscribe()
            if self._source.ended:
                return
            await changed.wait()

    async def _read_up_to(self, cut: Cut) -> None:
        """Reads as far as a cut that was made before."""
        numbering = self._numbering
        while (left := cut.offset - numbering.offset) > 0:
            data = self._source.read_spool(numbering.offset, min(READ_BYTES, left))
            if not data:
                raise DamagedError(f"spool: it ends at byte {numbering.offset}, and was {cut.offset} bytes long")
            numbering.take(data)
            await asyncio.sleep(0)
        if cut.cancelled:
            numbering.leave_rest()
        elif cut.final:
            numbering.take_end(is_whole=self._source.is_whole)

    async def _next_cut(self, recorded: Cut | None, after: int) -> Cut:
        """Reads up to a cut that was recorded; where there is none, makes and records one."""
        if recorded is not None:
            await self._read_up_to(recorded)
            return recorded
        self._check_resumed(after)
        cut = await self._new_cut()
        self._cuts.append(cut)
        return cut

    async def _new_cut(self) -> Cut:
        """Waits until there are frames to cut, or until the output is complete."""
        numbering, begun = self._numbering, self._numbering.offset
        while True:
            changed = self._source.change.subscribe()
            if not self._take_more():
                self._source.note_read(numbering.summary)
                await changed.wait()
                continue
            is_due = numbering.is_complete or numbering.offset - begun >= LARGE_CUT_BYTES
            if numbering.has_frames and (is_due or self._cuts.has_room()):
                return numbering.cut(time.time_ns())
            await asyncio.sleep(0)

    def _take_more(self) -> bool:
        """Takes what there is by now, the end included; returns whether there was anything."""
        numbering, source = self._numbering, self._source
        if source.is_overtaken and numbering.offset < source.spool_size:
            numbering.leave_rest()
            return True
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
