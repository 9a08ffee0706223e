"""Keeps the lease: asks the database, drives the tenure of the active conductor, and lets no part send without a lease.

`core.lease` decides. Times are CLOCK_BOOTTIME, which counts while the machine sleeps. A tenure that loses its database ends, and
the next one begins with a new epoch, by the same recovery as at a start; any other failure of a tenure ends the process.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeGuard

import structlog

from conductor.core.lease.model import (
    Answered,
    Ask,
    Deed,
    Ended,
    FenceLost,
    HandOverAsked,
    Input,
    Lease,
    Question,
    Ready,
    Recover,
    Role,
    Standing,
    Stop,
    Unanswered,
)
from conductor.core.lease.standing import decide
from conductor.errors import DatabaseAwayError, OutcomeUnknownError, StorageError, StoreLostError, SupersededError
from conductor.store.shared import Claim, SharedStore

# A timer of asyncio does not count while the machine sleeps: the clock is looked at this often at least.
LONGEST_WAIT_SECONDS = 0.5
ANSWER_SHARE = 0.25  # of the lease: a question that takes longer is given up
POLITE_SECONDS = 1.0  # for a tenure to store what waits, before the lease is given away
HAND_OVER_SECONDS = 5.0
BEGIN_SECONDS = 5.0
WARNING_SECONDS = 60.0  # between two lines about a database that does not answer

# Recovers as the active conductor of this epoch and works until it is ended; calls back when requests are taken.
Lead = Callable[[int, Callable[[], None]], Awaitable[None]]

_PASSING = (StorageError, DatabaseAwayError, StoreLostError, SupersededError, OutcomeUnknownError)

_log = structlog.get_logger(__name__)


def boottime() -> float:
    """Returns the time since the machine started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeaseKeeper:
    """Keeps the lease for one process. `lead` is run in each tenure; `end` ends that politely."""

    def __init__(
        self, store: SharedStore, claim: Claim, lead: Lead, end: Callable[[], None], now: Callable[[], float] = boottime
    ) -> None:
        self._store = store
        self._claim = claim
        self._lead_with = lead
        self._end = end
        self._now = now
        self._standing = Standing(claim.holder, claim.seconds)
        self._inputs: list[Input] = []
        self._changed = asyncio.Event()
        self._moved = asyncio.Event()  # the role is another one
        self._tenure: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._told_at = now()
        self._warned_at = -WARNING_SECONDS
        # Why the last question was not answered, and what to do; empty where it was.
        self.problem = ""

    @property
    def role(self) -> Role:
        """Returns the role of this conductor."""
        return self._standing.role

    @property
    def told(self) -> Lease:
        """Returns the lease as the database told it last."""
        return self._standing.told

    def lease_left(self) -> float:
        """Returns how long the lease of the active conductor still lasts, as far as it was told."""
        return max(0.0, self.told.left - (self._now() - self._told_at))

    def may_send(self) -> bool:
        """Returns whether the lease is held at this moment."""
        return self._standing.may_send(self._now())

    def claim_at(self, address: str) -> None:
        """Names the address at which callers reach this conductor, from the next takeover on."""
        self._claim = Claim(self._claim.holder, self._claim.seconds, address)

    async def begun(self) -> None:
        """Returns when this conductor is the active one, or has heard that another is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGIN_SECONDS):
                while not (self.role is Role.ACTIVE or (self.role is Role.STANDBY and self.told.left > 0)):
                    self._moved.clear()
                    await self._moved.wait()

    async def hand_over(self, *, for_good: bool = False) -> None:
        """Gives the lease away, if it is held; returns when it is free."""
        self._hear(HandOverAsked(for_good))
        try:
            async with asyncio.timeout(HAND_OVER_SECONDS):
                while self._inputs or self._standing.until:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            _log.warning("lease_not_given_away", role=str(self.role))

    async def run(self) -> None:
        """Works until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                inputs, self._inputs = self._inputs, []
                before = self._standing
                self._standing, deeds = decide(before, inputs, self._now())
                if before.role is not self._standing.role:
                    _log.info("role_changed", role=str(self.role), was=str(before.role), epoch=self._standing.epoch)
                for deed in deeds:
                    self._do(deed, tasks)
                self._moved.set()
                await self._wait()

    def _hear(self, entry: Input) -> None:
        self._inputs.append(entry)
        self._changed.set()

    async def _wait(self) -> None:
        due = self._standing.wake_at
        seconds = LONGEST_WAIT_SECONDS if due is None else min(max(due - self._now(), 0.0), LONGEST_WAIT_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _do(self, deed: Deed, tasks: asyncio.TaskGroup) -> None:
        match deed:
            case Ask():
                tasks.create_task(self._ask(deed), name=f"lease: {deed.question}")
            case Recover():
                self._is_stopping = False
                self._tenure = tasks.create_task(self._lead(deed.epoch), name=f"tenure {deed.epoch}")
            case Stop():
                tasks.create_task(self._stop(politely=deed.politely), name="end of a tenure")

    async def _ask(self, ask: Ask) -> None:
        asked_at = self._now()
        try:
            # TAKE waits for a stopped holder's lock, and ends its backend then.
            seconds = self._claim.seconds * (1.0 if ask.question is Question.TAKE else ANSWER_SHARE)
            async with asyncio.timeout(seconds):
                lease = await self._store.ask_lease(ask, self._claim)
        except (StorageError, TimeoutError) as error:
            if asked_at >= self._warned_at + WARNING_SECONDS:
                self._warned_at = asked_at
                _log.warning("lease_unanswered", question=str(ask.question), error=str(error) or "no answer in time")
            self.problem = _describe(error)
            self._hear(Unanswered(ask.question))
        else:
            self.problem = ""
            self._warned_at = -WARNING_SECONDS
            self._told_at = asked_at
            self._hear(Answered(ask.question, asked_at, lease))

    async def _lead(self, epoch: int) -> None:
        try:
            await self._lead_with(epoch, lambda: self._hear(Ready()))
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
        except BaseException as error:
            if not self._is_stopping and not _may_pass(error):
                raise
            _log.warning("tenure_lost", epoch=epoch, error=str(_first(error)))
            self._hear(FenceLost())
        self._hear(Ended())

    async def _stop(self, *, politely: bool) -> None:
        """Ends the tenure; one that does not end in time is cancelled."""
        if (tenure := self._tenure) is None:
            return
        if politely:
            self._end()
            await asyncio.wait({tenure}, timeout=POLITE_SECONDS)
        self._is_stopping = True
        tenure.cancel()


def _describe(error: StorageError | TimeoutError) -> str:
    if isinstance(error, TimeoutError):
        return "its database does not answer in time; look whether its server is overloaded or stopped"
    return "; ".join((str(error), *error.hint.splitlines()))


def _may_pass(error: BaseException) -> TypeGuard[BaseExceptionGroup[BaseException] | StorageError]:
    """Returns whether nothing but the connection to the database, or the lease, was lost."""
    if isinstance(error, BaseExceptionGroup):
        return all(_may_pass(inner) for inner in error.exceptions)
    return type(error) in _PASSING


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
