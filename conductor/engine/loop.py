"""The engine: the one loop of the conductor. It takes what waits, asks the core, stores, and only then acts.

    inputs -> advance -> append -> adopt the state -> answer callers -> send commands -> again

The rules that this file keeps, because everything else leans on them:

- Nothing is answered or sent before the decision that says so is stored.
- Where storing fails for a passing reason, *the same* decision is tried again until it succeeds; meanwhile requests are
  refused, and reads go on beside it. Any other failure comes out of `run` and ends the process: recovery is the same path.
- It never waits for a link, a worker or a caller. It waits for inputs, for the clock and for the database.
- Inputs that wait are taken before a timer is looked at, so that a late call does not mistake silence for death.

It decides nothing itself but one thing: whether a request id was met before is asked of the database, right here in front of
the core, where nobody else can write meanwhile. So ids hold for as long as their run and the memory of its
deletion, not for as long as this process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import structlog

from conductor.clock import Clock
from conductor.core.model.commands import Accepted, Command, Decision, Rejected, Reply
from conductor.core.model.inputs import ExecutionReported, Input, RequestCancel, RequestRun
from conductor.engine.inbox import Inbox, InboxLimits, Note, Request
from conductor.engine.run_log import log_changes
from conductor.errors import (
    DatabaseDamagedError,
    InvalidRequestError,
    NoCapacityError,
    OutcomeUnknownError,
    PreconditionError,
    RequestIdReusedError,
    ShuttingDownError,
    StatusError,
    StorageError,
)
from conductor.store.port import Store
from conductor.store.records import StoredRequest
from conductor.store.refusals import run_was_deleted

State = TypeVar("State")
Result = TypeVar("Result")
Advance = Callable[[State, Sequence[Input], float], tuple[Decision, State]]

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
# After so long, those who wait for an answer are told that there is trouble, rather than nothing until their deadline.
PATIENCE_SECONDS = 2.0
TURNS_TO_STOP = 100
RUN_NOT_FOUND = "RUN_NOT_FOUND"
RUN_NOT_RUNNING = "RUN_NOT_RUNNING"

log = structlog.get_logger(__name__)


class Engine(Generic[State]):
    """Drives `advance` over a state that starts where recovery left it; `recovered` are the commands that recovery asks for."""

    def __init__(
        self,
        advance: Advance[State],
        state: State,
        store: Store,
        dispatch: Callable[[Command], None],
        clock: Clock,
        *,
        recovered: Sequence[Command] = (),
        limits: InboxLimits | None = None,
    ) -> None:
        self._advance = advance
        self._state = state
        self._store = store
        self._dispatch = dispatch
        self._clock = clock
        self._recovered = recovered
        self._inbox = Inbox(limits)
        self._wake_at: float | None = None
        self._callers: dict[int, asyncio.Future[Reply]] = {}
        self._last_reply = 0
        self._trouble = ""
        self._stopping = asyncio.Event()

    @property
    def state(self) -> State:
        """The state as it was stored last. Not to be changed."""
        return self._state

    async def submit(self, request: Request) -> Accepted:
        """Asks for a run, or for a run to stop, and gives the answer once it is stored.

        NoCapacityError, ShuttingDownError, StorageError, and whatever the core says against it. OutcomeUnknownError where nobody
        can say yet.
        """
        if self._trouble:
            raise StorageError(self._trouble)
        self._last_reply += 1
        reply = self._last_reply
        self._inbox.request(replace(request, reply=reply))
        caller: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._callers[reply] = caller
        try:
            answer = await caller
        finally:
            del self._callers[reply]
        if isinstance(answer, Accepted):
            return answer
        raise await self._explain(request, answer)

    def note(self, note: Note) -> None:
        """Takes what hosts and workers tell; never waits."""
        self._inbox.note(note)

    async def offer(self, report: ExecutionReported) -> None:
        """Takes what an attempt said; waits while more than enough of it waits already."""
        await self._inbox.offer(report)

    def stop(self) -> None:
        """Lets `run` come back once everything that waits is stored. Nothing new is taken."""
        self._stopping.set()
        self._inbox.close()

    async def run(self) -> None:
        """Works until `stop`, or until something fails that trying again does not mend."""
        try:
            for command in self._recovered:
                self._dispatch(command)
            await self._turn()
            while not self._stopping.is_set():
                await self._clock.wait(self._inbox.filled, self._wake_at)
                await self._turn()
            await self._finish()
        finally:
            self._inbox.close()
            for caller in self._callers.values():
                if not caller.done():
                    caller.set_exception(ShuttingDownError())

    async def _finish(self) -> None:
        for _ in range(TURNS_TO_STOP):
            if self._inbox.is_empty and (self._wake_at is None or self._wake_at > self._clock.now()):
                return
            await self._turn()

    async def _turn(self) -> None:
        inputs = await self._answer_known(self._inbox.take())
        now = self._clock.now()
        decision, state = self._advance(self._state, inputs, now)
        if decision.to_store or decision.blobs or decision.cursors:
            await self._insist(lambda: self._store.append(decision, now))
        self._state = state
        self._wake_at = decision.wake_at
        for reply in decision.replies:
            self._answer(reply)
        for command in decision.to_send:
            self._dispatch(command)
        # Whoever was told begins first: a line of log costs as much as deciding what it tells.
        await asyncio.sleep(0)
        log_changes(decision.to_store)

    async def _answer_known(self, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        """Answers the requests that were met before, and gives the inputs without them."""
        ids = [entry.request_id for entry in inputs if isinstance(entry, Request) and entry.request_id]
        if not ids:
            return inputs
        known = await self._insist(lambda: self._store.requests(ids))
        rest: list[Input] = []
        for entry in inputs:
            if isinstance(entry, Request) and (met := known.get(entry.request_id)) is not None:
                self._answer(_repeat(entry, met))
            else:
                rest.append(entry)
        return tuple(rest)

    async def _insist(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Does it until it succeeds, as long as what fails may pass. A conductor that is told to stop tries only once more."""
        pause = FIRST_PAUSE_SECONDS
        patient_until = self._clock.now() + PATIENCE_SECONDS
        while True:
            is_last = self._stopping.is_set()
            try:
                result = await work()
            except StorageError as error:
                if is_last or isinstance(error, DatabaseDamagedError):
                    raise
                self._fall_ill(error)
                if self._clock.now() >= patient_until:
                    self._give_up_callers()
            else:
                self._recover()
                return result
            await self._clock.wait(self._stopping, self._clock.now() + pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _fall_ill(self, error: StorageError) -> None:
        if not self._trouble:
            log.warning("store_failed", error=str(error))
        self._trouble = str(error)

    def _give_up_callers(self) -> None:
        """Answers those who wait; what they asked for is still done when the trouble passes, since it was decided or waits."""
        for caller in self._callers.values():
            if not caller.done():
                message = f"{self._trouble}; what was asked for may still come to pass"
                caller.set_exception(OutcomeUnknownError(message, hint="ask again with the same request id"))

    def _recover(self) -> None:
        if self._trouble:
            log.info("store_recovered")
        self._trouble = ""

    def _answer(self, reply: Reply) -> None:
        caller = self._callers.get(reply.reply)
        if caller is not None and not caller.done():  # whoever asked may have gone
            caller.set_result(reply)

    async def _explain(self, request: Request, rejected: Rejected) -> StatusError:
        """Gives the error for a reason of the core, which forgets what ended; the store tells how, and knows the deleted."""
        if rejected.reason in {RUN_NOT_FOUND, RUN_NOT_RUNNING} and isinstance(request, RequestCancel):
            row = await self._store.run(request.run)
            how = f": {row.failure.message}" if row.failure else f": it {row.state}"
            message = f"run {request.run} has ended{how}"
            return PreconditionError(RUN_NOT_RUNNING, message, subject=f"runs/{request.run}")
        if rejected.reason != RUN_NOT_FOUND:
            return _error(request, rejected)
        known = (await self._store.requests((request.request_id,))).get(request.request_id)
        return _error(request, rejected) if known is None else run_was_deleted(known)


def _repeat(request: RequestRun | RequestCancel, met: StoredRequest) -> Reply:
    """Gives the answer to a request whose id was met: the one before, also where its run is gone since."""
    if met.digest != request.request_digest:
        return _reused(request)
    if met.deleted:
        return Rejected(request.reply, RUN_NOT_FOUND, met.deleted)
    return Accepted(request.reply, met.run, repeated=True)


def _reused(request: RequestRun | RequestCancel) -> Rejected:
    message = f"request id '{request.request_id}' was used before, with another body"
    return Rejected(request.reply, RequestIdReusedError.reason, message)


def _error(request: Request, rejected: Rejected) -> StatusError:
    match rejected.reason:
        case RequestIdReusedError.reason:
            return RequestIdReusedError(rejected.message)
        case NoCapacityError.reason:
            return NoCapacityError(rejected.message)
        case InvalidRequestError.reason:
            return InvalidRequestError(message=rejected.message)
        case StatusError.reason:
            return StatusError(rejected.message)
        case _:
            run = request.plan.run if isinstance(request, RequestRun) else request.run
            return PreconditionError(rejected.reason, rejected.message, subject=f"runs/{run}")
