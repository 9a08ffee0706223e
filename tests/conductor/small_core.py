"""A core small enough to see through, and an engine with a real store around it. For the tests of the engine."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from conductor.core.model.commands import (
    Accepted,
    AckExecution,
    Command,
    Decision,
    Evaluate,
    Record,
    Rejected,
)
from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.events.run_events import RunCreated
from conductor.core.model.inputs import ExecutionReported, Input, RequestCancel, RequestRun
from conductor.core.model.output import Channel, Output
from conductor.core.model.work import Work, WorkKind
from conductor.engine.inbox import InboxLimits
from conductor.engine.loop import Engine
from conductor.store.sqlite.store import SqliteStore
from tests.conductor.store.material import attempt_name, plan, run_name
from tests.kit.clock import ManualClock

RUN = run_name(1)
NOW = 1000.0


@dataclass
class SmallCore:
    """Creates runs, refuses cancels for the reason they give, stores and acknowledges text; wakes when it is told to."""

    wakes: list[float] = field(default_factory=list)
    calls: list[tuple[int, float]] = field(default_factory=list)
    durable: bool = True
    late: int = 0  # so many calls leave their inputs to the next one
    held: tuple[Input, ...] = ()

    def advance(self, state: ConductorState, inputs: Sequence[Input], now: float) -> tuple[Decision, ConductorState]:
        self.calls.append((len(inputs), now))
        self.wakes = [wake for wake in self.wakes if wake > now]
        decision = Decision(durable=self.durable, wake_at=min(self.wakes, default=None))
        waiting, self.held = (*self.held, *inputs), ()
        if inputs and self.late:
            self.late -= 1
            self.held = waiting
            return replace(decision, wake_at=now), state
        for entry in waiting:
            decision = self.take(decision, entry)
        return decision, replace(state, backlog=(*state.backlog, *inputs))

    def take(self, decision: Decision, entry: Input) -> Decision:
        match entry:
            case RequestRun(plan=wanted):
                created = RunCreated(wanted, entry.request_id, entry.request_digest)
                return replace(
                    decision,
                    to_store=(*decision.to_store, Record(wanted.run, created, "RunCreated")),
                    replies=(*decision.replies, Accepted(entry.reply, wanted.run)),
                    to_send=(*decision.to_send, Evaluate(Work(wanted.run, WorkKind.REPORT))),
                )
            case RequestCancel():
                rejected = Rejected(entry.reply, entry.reason, "the core said so")
                return replace(decision, replies=(*decision.replies, rejected))
            case ExecutionReported(attempt=name, last_sequence=last):
                said = [part for part in entry.reports if isinstance(part, Output)]
                return replace(
                    decision,
                    to_store=(*decision.to_store, *said),
                    cursors=(*decision.cursors, (name, last)),
                    to_send=(*decision.to_send, AckExecution("north", name, last)),
                )
            case _:
                return decision


@dataclass
class World:
    """An engine at work over a store, with everything that it sent."""

    store: SqliteStore
    folder: Path
    core: SmallCore = field(default_factory=SmallCore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    sent: list[Command] = field(default_factory=list)
    on_send: Callable[[Command], None] | None = None
    limits: InboxLimits | None = None
    recovered: tuple[Command, ...] = ()

    def send(self, command: Command) -> None:
        self.sent.append(command)
        if self.on_send is not None:
            self.on_send(command)

    def make(self) -> Engine:
        return Engine(
            self.core.advance,
            ConductorState(),
            self.store,
            self.send,
            self.clock,
            recovered=self.recovered,
            limits=self.limits,
        )

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        engine = self.make()
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            await self.clock.until_waiting(min(self.core.wakes, default=None))
            yield engine
            engine.stop()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the database so that no other can write."""
        connection = sqlite3.connect(self.folder / "conductor.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.rollback()
            connection.close()

    async def until_it_pauses(self) -> None:
        await self.clock.until_waiting(NOW + 0.05)


def request(run: str = RUN, request_id: str = "", digest: str = "d") -> RequestRun:
    return RequestRun(plan(run), (), request_id, digest if request_id else "")


def text(sequence: int, words: str) -> ExecutionReported:
    return ExecutionReported(attempt_name(RUN), sequence, sequence, (Output(attempt_name(RUN), Channel.ANSWER, words),))
