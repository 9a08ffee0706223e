"""The engine: the one loop of the conductor. It takes the inputs that wait, asks the core, stores, and only then acts.

    inputs -> advance -> append -> adopt the state -> answer callers -> send commands -> again

The rules that this file keeps, because everything else leans on them:

- Nothing is answered or sent before the decision that says so is stored.
- While the store fails for a passing reason, the engine retries *the same* decision; requests are refused meanwhile, and reads go
  on beside it. Any other failure comes out of `run` and ends the process: recovery is the same path as a start.
- It never waits for a link, a worker or a caller. It waits for inputs, for the clock and for the store.
- Waiting inputs are taken before a timer is looked at, so that a late call does not mistake silence for death.

It decides nothing itself. The store knows which request ids were used before (`requests`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog

from conductor.clock import Clock
from conductor.core.model.commands import Accepted, Command, Decision
from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.inputs import ExecutionReported, Input, Request
from conductor.engine.inbox import Inbox, InboxLimits, Note
from conductor.engine.requests import Requests
from conductor.engine.run_log import log_changes
from conductor.engine.stored import Observer, Stored
from conductor.errors import DatabaseDamagedError, OutcomeUnknownError, ShuttingDownError, StorageError, StoreLostError
from conductor.store.port import Store

Advance = Callable[[ConductorState, Sequence[Input], float], tuple[Decision, ConductorState]]
Result = TypeVar("Result")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
# After so long, waiting callers get an error instead of silence until their deadline.
PATIENCE_SECONDS = 2.0
TURNS_TO_STOP = 100

log = structlog.get_logger(__name__)


class Engine:
    """Drives `advance` over a state that starts where recovery left it; `recovered` are the commands that recovery asks for.

    `observers` are told what was stored, after everything that follows from it was sent.
    """

    def __init__(
        self,
        advance: Advance,
        state: ConductorState,
        store: Store,
        dispatch: Callable[[Command], None],
        clock: Clock,
        *,
        recovered: Sequence[Command] = (),
        limits: InboxLimits | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._advance = advance
        self._state = state
        self._store = store
        self._dispatch = dispatch
        self._clock = clock
        self._recovered = recovered
        self._observers = observers
        self._inbox = Inbox(limits)
        self._requests = Requests(store, self._inbox)
        self._wake_at: float | None = None
        self._store_failure = ""
        self._stopping = asyncio.Event()

    @property
    def state(self) -> ConductorState:
        """The state as it was stored last. Not to be changed."""
        return self._state

    async def submit(self, request: Request) -> Accepted:
        """Asks for something of a run; returns the answer once it is stored.

        Raises NoCapacityError, ShuttingDownError, StorageError, the core's reason against it, and OutcomeUnknownError where the
        request may still be carried out.
        """
        self.require_open()
        return await self._requests.submit(request)

    def require_open(self) -> None:
        """Raises what a request would be refused with now, whatever it asks for: ShuttingDownError or StorageError."""
        if self._stopping.is_set():
            raise ShuttingDownError
        if self._store_failure:
            raise StorageError(self._store_failure)

    def note(self, note: Note) -> None:
        """Takes what hosts and workers report; never waits."""
        self._inbox.note(note)

    async def offer(self, report: ExecutionReported) -> None:
        """Takes what an attempt said, once its slot has room."""
        await self._inbox.offer(report)

    def stop(self) -> None:
        """Lets `run` return once everything that waits is stored. Nothing new is taken."""
        self._stopping.set()
        self._inbox.close()

    async def run(self) -> None:
        """Works until `stop`, or until a failure that no retry mends."""
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
            self._requests.fail_all(ShuttingDownError)

    async def _finish(self) -> None:
        for _ in range(TURNS_TO_STOP):
            if self._inbox.is_empty and (self._wake_at is None or self._wake_at > self._clock.now()):
                return
            await self._turn()

    async def _turn(self) -> None:
        inputs = await self._retry_until_stored(partial(self._requests.admit, self._inbox.take()))
        now = self._clock.now()
        before = self._state
        decision, state = self._advance(before, inputs, now)
        begun = time.perf_counter()
        if decision.to_store or decision.blobs or decision.cursors or decision.hosts:
            await self._retry_until_stored(partial(self._store.append, decision, now))
        seconds = time.perf_counter() - begun
        self._state = state
        self._wake_at = decision.wake_at
        for reply in decision.replies:
            self._requests.answer(reply)
        for command in decision.to_send:
            self._dispatch(command)
        # Yield before logging, so that recipients start first: a line of log costs as much as a decision.
        await asyncio.sleep(0)
        if decision.to_store:
            stored = Stored(decision.to_store, before, state, now, seconds)
            log_changes(stored.items, stored.find_run)
            for observer in self._observers:
                observer.note_stored(stored)

    async def _retry_until_stored(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Repeats a call of the store while its failures may pass; only once more after `stop`."""
        pause = FIRST_PAUSE_SECONDS
        patient_until = self._clock.now() + PATIENCE_SECONDS
        while True:
            is_last = self._stopping.is_set()
            try:
                result = await work()
            except StorageError as error:
                if is_last or isinstance(error, DatabaseDamagedError | StoreLostError):
                    raise
                self._note_store_failure(error)
                if self._clock.now() >= patient_until:
                    self._fail_waiting_callers()
            else:
                self._note_store_recovery()
                return result
            await self._clock.wait(self._stopping, self._clock.now() + pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _note_store_failure(self, error: StorageError) -> None:
        if not self._store_failure:
            log.warning("store_failed", error=str(error))
        self._store_failure = str(error)

    def _note_store_recovery(self) -> None:
        if self._store_failure:
            log.info("store_recovered")
        self._store_failure = ""

    def _fail_waiting_callers(self) -> None:
        message = f"{self._store_failure}; the request was accepted but is not stored yet"
        self._requests.fail_all(partial(OutcomeUnknownError, message, hint="retry with the same request id"))
