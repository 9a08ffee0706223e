"""A seeded world of conductors that share a database: stops, pauses, machines that sleep, lost answers and clocks that differ.

The database is true to PostgreSQL where it matters: one row for the lease, its own clock, statements that run late though no client
waits for them any more, and commits whose outcome the conductor never hears. The conductors decide with the real core. Every send
and every commit is judged at once, against the database's row and clock: `faults` tells what was broken.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from conductor.core.lease import standing as core
from conductor.core.lease.model import (
    Answered,
    Ask,
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

SECONDS = 2.0
TIMEOUT_SECONDS = SECONDS / 4
SEND_SECONDS = 0.05
APPEND_SECONDS = 0.1
HOSTS = 2


@dataclass
class Rules:
    """What a broken twin changes. The defaults are the real rules."""

    decide: Callable[..., tuple[Standing, tuple[object, ...]]] = core.decide
    may_send: Callable[[Standing, float], bool] = Standing.may_send
    has_fence: bool = True
    fence_is_in_the_transaction: bool = True
    asks_after_unknown_commit: bool = True
    raises_epoch: bool = True
    database_judges: bool = True  # whether a lease has run out; else the conductor's wall clock does
    counts_sleep: bool = True  # CLOCK_BOOTTIME; else CLOCK_MONOTONIC
    hosts_fence: bool = True


@dataclass
class Database:
    """The row of the lease, the fence and the journal."""

    rules: Rules
    holder: str = ""
    epoch: int = 0
    until: float = 0.0
    asked_last: tuple[int, int] = (0, 0)  # epoch and number of the last decision
    journal: list[tuple[int, int]] = field(default_factory=list)

    def answer(self, ask: Ask, me: str, now: float, *, judged_free: bool) -> Lease:
        """Carries out a statement."""
        is_held = self.holder != "" and (now < self.until if self.rules.database_judges else not judged_free)
        match ask.question:
            case Question.TAKE if self.epoch == ask.epoch and (not is_held or self.holder == me):
                self.holder, self.until = me, now + SECONDS
                self.epoch += self.rules.raises_epoch
            case Question.RENEW if (self.holder, self.epoch) == (me, ask.epoch) and now < self.until:
                self.until = now + SECONDS
            case Question.GIVE_AWAY if (self.holder, self.epoch) == (me, ask.epoch):
                self.holder, self.until = "", 0.0
        left = max(self.until - now, 0.0) if is_held or self.holder == me else 0.0
        return Lease(self.holder, self.epoch, left)

    def admits(self, epoch: int) -> bool:
        """Returns whether the fence lets a write of this epoch through."""
        return self.epoch == epoch or not self.rules.has_fence

    def append(self, epoch: int, number: int, *, is_admitted: bool | None = None) -> bool:
        """Stores a decision; returns whether the fence let it through. `is_admitted` was judged before the transaction."""
        if not (self.admits(epoch) if is_admitted is None else is_admitted):
            return False
        self.journal.append((epoch, number))
        self.asked_last = epoch, number
        return True


class Process:
    """One life of a conductor on a machine whose clocks are wrong in their own way."""

    def __init__(self, world: "World", name: str, random: Random) -> None:
        self.world = world
        self.name = name
        self.rate = random.uniform(0.97, 1.03)
        self.offset = random.uniform(0.0, 1e5)
        self.wall = random.uniform(-5.0, 5.0)
        self.slept = 0.0
        self.resumes_at = 0.0
        self.is_dead = False
        self.standing = Standing(name, SECONDS)
        self.tenure = 0  # counts the times that it became active; parts of an earlier one do nothing
        self.decisions = count(1)
        self.stored = 0

    def clock(self) -> float:
        """Returns CLOCK_BOOTTIME."""
        return self.offset + (self.world.now - self.slept * (not self.world.rules.counts_sleep)) * self.rate

    def after(self, seconds: float, deed: Callable[[], None]) -> None:
        """Does something later: not while the process stands still, and never once it is dead."""

        def wake() -> None:
            if self.is_dead:
                return
            if self.world.now < self.resumes_at:
                self.world.at(self.resumes_at, wake)
            else:
                deed()

        self.world.at(self.world.now + seconds, wake)

    def begin(self) -> None:
        """Begins as a standby."""
        self.hear(())

    def hear(self, inputs: Iterable[Input]) -> None:
        """Lets the core decide, and does what it says."""
        before = self.standing.role
        self.standing, deeds = self.world.rules.decide(self.standing, inputs, self.clock())
        if before is not self.standing.role:
            self.world.seen.add(f"{before} -> {self.standing.role}")
        for deed in deeds:
            self._do(deed)
        if (wake_at := self.standing.wake_at) is not None:
            standing = self.standing
            # A later input makes a new appointment; an old one finds nothing to do.
            self.after(max(wake_at - self.clock(), 0.0) / self.rate, lambda: self._wake(standing))

    def _wake(self, standing: Standing) -> None:
        if standing is self.standing:
            self.hear(())

    def _do(self, deed: object) -> None:
        match deed:
            case Ask():
                self._ask(deed)
            case Recover():
                self.tenure += 1
                self._recover(self.tenure, deed.epoch)
            case Stop():
                self.tenure += 1
                longest = 0.3 if self.world.random.random() < 0.8 else 2 * SECONDS
                self.after(self.world.random.uniform(0.0, longest), lambda: self.hear((Ended(),)))

    def _ask(self, ask: Ask) -> None:
        asked_at, random = self.clock(), self.world.random
        is_over = False

        def finish(entry: Input) -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self.hear((entry,))

        def carry_out() -> None:
            # The statement runs also when its process stands still or is dead.
            database = self.world.database
            judged_free = database.until <= self.world.now + self.wall
            lease = database.answer(ask, self.name, self.world.now, judged_free=judged_free)
            if random.random() > self.world.loss:
                self.after(self.world.delay(), lambda: finish(Answered(ask.question, asked_at, lease)))

        if random.random() > self.world.loss:
            self.world.at(self.world.now + self.world.delay(), carry_out)
        self.after(TIMEOUT_SECONDS, lambda: finish(Unanswered(ask.question)))

    def _recover(self, tenure: int, epoch: int) -> None:
        def ready() -> None:
            if tenure == self.tenure:
                for host in range(HOSTS):
                    self._send(host, epoch)
                self.hear((Ready(),))
                self._keep_sending(tenure, epoch)
                self._keep_appending(tenure, epoch, 0)

        self.after(self.world.random.uniform(0.01, 0.3), ready)

    def _keep_sending(self, tenure: int, epoch: int) -> None:
        if tenure == self.tenure:
            self._send(self.world.random.randrange(HOSTS), epoch)
            self.after(SEND_SECONDS, lambda: self._keep_sending(tenure, epoch))

    def _send(self, host: int, epoch: int) -> None:
        if self.world.rules.may_send(self.standing, self.clock()):
            self.world.judge_send(self)
            # It may be stopped between its look at the clock and the send; what is in flight is the hosts' fence's.
            self.after(0.0, lambda: self.world.at(self.world.now + self.world.delay(), self._arrival(host, epoch)))

    def _arrival(self, host: int, epoch: int) -> Callable[[], None]:
        return lambda: self.world.arrive(host, epoch)

    def _keep_appending(self, tenure: int, epoch: int, number: int) -> None:
        """Stores the next decision, or the last one again where its outcome is not known."""
        if tenure != self.tenure:
            return
        number = number or next(self.decisions)
        database, random, rules = self.world.database, self.world.random, self.world.rules
        is_lost, breaks = random.random() < self.world.loss, random.random() < self.world.loss
        looked = None if rules.fence_is_in_the_transaction else database.admits(epoch)

        def commit() -> None:
            is_stored = not is_lost and database.append(epoch, number, is_admitted=looked)
            self.world.judge_commit(epoch, number)
            self.after(self.world.delay(), lambda: heard(is_stored=is_stored))

        def heard(*, is_stored: bool) -> None:
            if tenure != self.tenure:
                return
            if is_lost or breaks:
                if rules.asks_after_unknown_commit and database.asked_last == (epoch, number):
                    self.after(APPEND_SECONDS, lambda: self._keep_appending(tenure, epoch, 0))
                elif database.admits(epoch):
                    self._keep_appending(tenure, epoch, number)
                else:
                    self.hear((FenceLost(),))
            elif is_stored:
                self.stored += 1
                self.after(APPEND_SECONDS, lambda: self._keep_appending(tenure, epoch, 0))
            else:
                self.hear((FenceLost(),))

        self.world.at(self.world.now + self.world.delay(), commit)


class World:
    """Everything that happens, in the order of true time, which is the database's."""

    def __init__(self, seed: int, conductors: int, rules: Rules | None = None) -> None:
        self.random = Random(f"lease {seed}")
        self.rules = rules or Rules()
        self.now = 0.0
        self.loss = 0.05
        self.database = Database(self.rules)
        self.hosts = [0] * HOSTS
        self.faults: list[str] = []
        self.seen: set[str] = set()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers, self._lives = count(), count(1)
        self.conductors = [self._new(place) for place in range(conductors)]

    def at(self, time: float, deed: Callable[[], None]) -> None:
        """Puts something on the agenda."""
        heapq.heappush(self._agenda, (time, next(self._numbers), deed))

    def delay(self) -> float:
        """Returns how long a message takes: mostly little, at times longer than anyone waits."""
        return self.random.expovariate(200.0) if self.random.random() > self.loss else self.random.uniform(0.0, SECONDS)

    def run(self, seconds: float) -> None:
        """Lets trouble come for so long, and then peace for some leases: one conductor must be at work at the end."""
        self._trouble()
        self._go_on(seconds)
        self.loss = 0.0
        for process in self.conductors:
            process.resumes_at = min(process.resumes_at, self.now)
        self._go_on(self.now + 4 * SECONDS)
        before = sum(process.stored for process in self.conductors)
        self._go_on(self.now + SECONDS)
        if sum(process.stored for process in self.conductors) == before:
            self.faults.append("no conductor stores anything, long after the last trouble")

    def judge_send(self, process: Process) -> None:
        """Notes a send of a conductor that does not hold the lease by the database's clock."""
        database = self.database
        if database.holder != process.name or self.now >= database.until:
            self.faults.append(
                f"{process.name} sends at {self.now:.3f}: {database.holder} holds to {database.until:.3f}"
            )

    def judge_commit(self, epoch: int, number: int) -> None:
        """Notes what a superseded conductor stored, and what was stored twice."""
        journal = self.database.journal
        if len(journal) > 1 and journal[-1][0] < journal[-2][0]:
            self.faults.append(f"a decision of epoch {journal[-1][0]} is stored after one of {journal[-2][0]}")
        if journal.count((epoch, number)) > 1:
            self.faults.append(f"decision {number} of epoch {epoch} is stored twice")

    def arrive(self, host: int, epoch: int) -> None:
        """Lets a host take or refuse a frame."""
        if epoch < self.hosts[host]:
            self.seen.add("older epoch refused")
            if not self.rules.hosts_fence:
                self.faults.append(f"host {host} obeys epoch {epoch} after {self.hosts[host]}")
        self.hosts[host] = max(self.hosts[host], epoch)

    def _new(self, place: int) -> Process:
        process = Process(self, f"c{place}.{next(self._lives)}", self.random)
        self.at(self.now, process.begin)
        return process

    def _go_on(self, until: float) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, deed = heapq.heappop(self._agenda)
            deed()
        self.now = until

    def _trouble(self) -> None:
        """Stops, freezes, puts to sleep or asks one of them, mostly the active one, again and again."""
        random = self.random
        active = [one for one in self.conductors if one.standing.role is not Role.STANDBY]
        process = random.choice(active if active and random.random() < 0.7 else self.conductors)
        match random.choice(("kill", "freeze", "sleep", "hand over", "hand over for good")):
            case "kill":
                self._kill(process)
            case "freeze":
                process.resumes_at = self.now + random.uniform(0.1, 2.5 * SECONDS)
            case "sleep":
                seconds = random.uniform(0.1, 2.5 * SECONDS)
                process.resumes_at = self.now + seconds
                process.slept += seconds
            case "hand over":
                process.after(0.0, lambda: process.hear((HandOverAsked(),)))
            case _:
                process.after(0.0, lambda: process.hear((HandOverAsked(for_good=True),)))
                self.at(self.now + SECONDS, lambda: self._kill(process))
        if self.loss:
            self.at(self.now + random.uniform(0.3, 2 * SECONDS), self._trouble)

    def _kill(self, process: Process) -> None:
        if not process.is_dead:
            process.is_dead = True
            self.conductors[self.conductors.index(process)] = self._new(int(process.name[1]))
