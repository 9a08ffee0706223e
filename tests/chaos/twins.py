"""Services with one mistake each, in the real processes. A checker that does not notice them is worth nothing.

Which one comes in a variable; without it nothing is changed. Each breaks one rule of architecture.md, in the way in which a
careful person might break it: every one of them passes every run without trouble. `TWINS` says at which point a service
has to die for it to show; the network does the rest.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

TWIN = "CHAOS_TWIN"
SLOW_DISK_SECONDS = 0.03
LOOKING_SECONDS = 0.1


def break_conductor() -> None:
    """Makes the conductor's mistake, if one is asked for."""
    _break(is_host=False)


def break_host() -> None:
    """Makes the host's mistake, if one is asked for."""
    _break(is_host=True)


def _break(*, is_host: bool) -> None:
    twin = TWINS.get(os.environ.get(TWIN, ""))
    if twin is not None and twin.is_of_the_host is is_host:
        twin.mistake()


def acknowledge_before_the_commit() -> None:
    """Rule 16: the last acknowledgement leaves with the frame that it is for. The commit comes when the disk has time."""
    from conductor.core.model.commands import AckExecution
    from conductor.hosts.attempt_stream import AttemptStream
    from conductor.store.sqlite.store import SqliteStore

    take, append = AttemptStream._take, SqliteStore.append

    async def take_and_acknowledge(self: AttemptStream, response: Any) -> None:
        if response.HasField("finished"):
            self.mailbox.put(AckExecution("", self.attempt, response.sequence, finished=True))
        await take(self, response)

    async def append_to_a_slow_disk(self: SqliteStore, decision: Any, time: float) -> Any:
        await asyncio.sleep(SLOW_DISK_SECONDS)
        return await append(self, decision, time)

    AttemptStream._take = take_and_acknowledge  # type: ignore[method-assign]
    SqliteStore.append = append_to_a_slow_disk  # type: ignore[method-assign]


def resume_the_watchers_one_too_far() -> None:
    """G1: the token names what comes next, not what was told last; but the reader takes it for what was told last."""
    from conductor.api.narrator import Narrator

    at = Narrator.at.__func__  # type: ignore[attr-defined]

    async def one_too_far(cls: type, store: Any, run: str, position: int) -> Any:
        last = (await store.run(run)).last_position
        return await at(cls, store, run, min(position + 1, last) if position > 1 else position)

    Narrator.at = classmethod(one_too_far)  # type: ignore[assignment, method-assign]


def take_the_watchers_cursor_for_a_time() -> None:
    """G1: what follows is what was stored in a later second than what was told last. What was stored in the same is skipped."""
    from conductor.api.narrator import Narrator

    at = Narrator.at.__func__  # type: ignore[attr-defined]

    async def by_time(cls: type, store: Any, run: str, position: int) -> Any:
        second = 0
        for stored in await store.history(run, position - 1) if position > 1 else ():
            if second and int(stored.time) > second:
                break
            second, position = int(stored.time), stored.position
        return await at(cls, store, run, position)

    Narrator.at = classmethod(by_time)  # type: ignore[assignment, method-assign]


def admit_every_epoch() -> None:
    """Rule 10: any start of a conductor may act, not the newest alone."""
    from agenthost.host.fences import Fences

    async def admit(self: Fences, conductor: str, epoch: int) -> None:
        pass

    Fences.admit = admit  # type: ignore[method-assign]


def forget_the_cuts() -> None:
    """Rule 1: frames are cut again after a restart, wherever the output stands then."""
    from agenthost.attempt.cuts import Cuts
    from agenthost.core.output.numbering import Cut

    def read(self: Cuts) -> Any:
        return iter(())

    def append(self: Cuts, cut: Cut) -> None:
        pass

    Cuts.read, Cuts.append = read, append  # type: ignore[method-assign]


def replay_one_too_few() -> None:
    """Rule 1: a stream that resumes after n begins behind n + 1, with the numbers moved so that no gap shows."""
    from dataclasses import replace

    from agenthost.attempt.outbox import Outbox
    from agenthost.core.output.frame import Frame
    from agenthost.core.output.report import Output

    frames = Outbox.frames

    async def skipping(self: Outbox, after: int) -> AsyncIterator[Frame]:
        async for frame in frames(self, after):
            skipped = after and frame.sequence == after + 1 and isinstance(frame.content, Output)
            yield replace(frame, content=replace(frame.content, text="")) if skipped else frame

    Outbox.frames = skipping  # type: ignore[method-assign]


def write_without_a_fence() -> None:
    """Rule 1 of PostgreSQL: a holder of any connection writes, in any epoch."""
    from conductor.store.postgresql import writer

    writer.FENCE = _UNFENCED


def look_at_the_fence_before_the_transaction() -> None:
    """Rule 1: the epoch is right when it is looked at. What is stored a moment later, nothing compares."""
    from conductor.errors import SupersededError
    from conductor.store.postgresql import writer

    store = writer.Writer.store

    async def look_first(self: Any, statements: Any, **options: Any) -> None:
        identity = self._identity
        if not await self.ask(writer._IS_NEWEST, identity.conductor_id, identity.epoch):
            raise SupersededError
        await asyncio.sleep(LOOKING_SECONDS)
        await store(self, statements, **options)

    writer.FENCE = _UNFENCED
    writer.Writer.store = look_first  # type: ignore[method-assign]


def repeat_a_broken_commit() -> None:
    """Rule 2: what was not answered was not stored, so it is sent again."""
    import psycopg

    from conductor.store.postgresql import writer
    from conductor.store.postgresql.connection import connect

    store = writer.Writer.store

    async def store_again(self: Any, statements: Any, **options: Any) -> None:
        try:
            await store(self, statements, **options)
        except psycopg.Error:
            if not self._connection.closed:
                raise
            self._connection, self._end = await connect(self._address), None
            await store(self, statements, **options)

    async def never_ask(self: Any, number: int, error: Exception) -> bool:
        return False

    writer.FENCE = _UNFENCED
    writer.Writer.store = store_again  # type: ignore[method-assign]
    writer.Writer._was_stored = never_ask  # type: ignore[method-assign]


def judge_the_lease_by_the_own_clock() -> None:
    """Rule 5: a lease has run out when one's own clock says so, which is ahead of the database's."""
    from conductor.store.postgresql.sharing import lease

    lease._TAKE = lease._TAKE.replace(
        "lease_end <= clock_timestamp()", "lease_end <= clock_timestamp() + interval '3 s'"
    )
    look = lease.ask_lease

    async def ask_lease(connection: Any, question: Any, claim: Any) -> Any:
        from dataclasses import replace

        seen = await look(connection, question, claim)
        is_another = seen.holder != claim.holder
        return replace(seen, left=max(seen.left - 3.0, 0.0)) if is_another else seen

    from conductor.store.postgresql.sharing import store

    store.ask_lease = ask_lease  # type: ignore[assignment]


# As many values, and no condition.
_UNFENCED = """
WITH fence AS (
  UPDATE meta SET last_id = greatest(last_id, %s), decision = %s WHERE conductor_id = %s AND (%s, %s) IS NOT NULL RETURNING 1
) SELECT 1 / count(*), set_config('synchronous_commit', %s, true) FROM fence
"""


@dataclass(frozen=True, slots=True)
class Twin:
    """A mistake, in which service, and the point at which a service must die for it to show. `is_shared`: on PostgreSQL."""

    mistake: Callable[[], None]
    is_of_the_host: bool
    point: str
    is_shared: bool = False


_SHARED = (
    write_without_a_fence,
    look_at_the_fence_before_the_transaction,
    repeat_a_broken_commit,
    judge_the_lease_by_the_own_clock,
)
TWINS: Mapping[str, Twin] = {
    mistake.__name__: Twin(mistake, is_of_the_host=is_of_the_host, point=point)
    for mistake, is_of_the_host, point in (
        (acknowledge_before_the_commit, False, "K5-uncommitted"),
        (resume_the_watchers_one_too_far, False, "K4"),
        (take_the_watchers_cursor_for_a_time, False, "K4"),
        (admit_every_epoch, True, "K5"),
        (forget_the_cuts, True, "H-cut"),
        (replay_one_too_few, True, "H-cut"),
    )
} | {mistake.__name__: Twin(mistake, is_of_the_host=False, point="K4", is_shared=True) for mistake in _SHARED}
