"""`python -m tests.chaos.conductor serve …`: the real conductor, with a fuse at its seams and, for the twins, a mistake.

Each seam is where one part hands over to the next: the store's transaction, the dispatcher, a stream's frame, a worker's answer.
"""

import os
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import psycopg

from conductor.cli.main import main
from conductor.core.model.commands import AckExecution, Record
from conductor.core.model.events.attempt_events import AttemptCreated, AttemptEnded, RepairAsked, TurnChecked
from conductor.core.model.events.gate_events import GateOpened, GateResolved
from conductor.core.model.events.run_events import RunCancelRequested, RunCreated, StepSucceeded
from conductor.core.model.output import Output
from conductor.core.model.work import WorkKind
from conductor.engine.dispatcher import Dispatcher
from conductor.evaluation import evaluator
from conductor.hosts.attempt_stream import AttemptStream
from conductor.store.postgresql import writer
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.sqlite.store import SqliteStore
from conductor.store.sqlite.writing import transaction
from tests.chaos.crash_points import Fuse, wrap
from tests.chaos.kin import die_with_parent
from tests.chaos.twins import break_conductor

# A stream lives while its host was heard so long ago: by this conductor, should also a connection have been cut since.
HEARD_SECONDS = 3.0
LOST_ANSWERS = 0.002
_COMMITTED = {
    RunCreated: "K1",
    AttemptCreated: "K2",
    StepSucceeded: "K7",
    TurnChecked: "K7-turn",
    RepairAsked: "K8",
    GateOpened: "K9",
    GateResolved: "K10",
    RunCancelRequested: "K12",
    AttemptEnded: "K5-committed",
}
_UNCOMMITTED = {RunCreated: "K1-uncommitted", AttemptEnded: "K5-uncommitted"}
_ANSWERED = {WorkKind.CHECK: "K6", WorkKind.REPORT: "K11", WorkKind.FOLD: "K13"}


def lay_fuse(fuse: Fuse) -> None:
    """Puts the fuse at every seam of the conductor."""
    wrap(AttemptStream, "_stream", lambda method: _counted(method, fuse))
    wrap(AttemptStream, "_take", lambda method: _reading(method, fuse))
    wrap(SqliteStore, "append", lambda method: _after_commit(method, fuse))
    wrap(PostgresqlStore, "append", lambda method: _after_commit(_before_append(method, fuse), fuse))
    wrap(transaction, "_write_all", lambda method: _before_commit(method, fuse))
    wrap(Dispatcher, "send", lambda method: _sending(method, fuse))
    wrap(evaluator, "ask_worker", lambda method: _answering(method, fuse))


def _counted(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def stream(self: Any) -> object:
        # One that waits for its host is open, but no host would feel its end.
        with fuse.stream(lambda: time.monotonic() - getattr(self, "heard_at", -HEARD_SECONDS) < HEARD_SECONDS):
            return await method(self)

    return stream


def _reading(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def take(self: Any, response: Any) -> None:
        self.heard_at = time.monotonic()
        if response.HasField("started"):
            fuse.meet("K3")
        if response.HasField("input_applied"):
            fuse.meet("K8-applied")
        if response.HasField("finished"):
            fuse.meet("K5")
        await method(self, response)

    return take


def _after_commit(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def append(self: Any, decision: Any, time: float) -> object:
        stored = await method(self, decision, time)
        for item in decision.to_store:
            if isinstance(item, Record) and (point := _COMMITTED.get(type(item.event))):
                fuse.meet(point)
        return stored

    return append


def _before_commit(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    def write_all(connection: object, decision: Any, time: float) -> object:
        written = method(connection, decision, time)
        _meet_uncommitted(decision, fuse)
        return written

    return write_all


def _before_append(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    """On PostgreSQL a transaction is one round trip: what is not committed was not sent."""

    async def append(self: Any, decision: Any, time: float) -> object:
        _meet_uncommitted(decision, fuse)
        return await method(self, decision, time)

    return append


def lose_answers() -> None:
    """Breaks the connection to PostgreSQL after some COMMITs, which are carried out and never answered."""
    random = Random(f"answers {os.getpid()}")
    run_together = writer.run_together

    async def run(connection: Any, *statements: Any) -> Any:
        rows = await run_together(connection, *statements)
        is_commit = "UPDATE meta SET last_id" in statements[0][0]
        if is_commit and random.random() < LOST_ANSWERS:
            await connection.close()
            raise psycopg.OperationalError("the answer to a COMMIT was lost, by the test")
        return rows

    writer.run_together = run


def _meet_uncommitted(decision: Any, fuse: Fuse) -> None:
    for item in decision.to_store:
        if isinstance(item, Output):
            fuse.meet("K4")
        elif point := _UNCOMMITTED.get(type(item.event)):
            fuse.meet(point)


def _sending(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    def send(self: Dispatcher, command: object) -> None:
        if isinstance(command, AckExecution) and not command.finished:
            fuse.meet("K4-committed")
        method(self, command)

    return send


def _answering(method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def ask_worker(gathering: object, worker: object, work: Any) -> object:
        answer = await method(gathering, worker, work)
        if point := _ANSWERED.get(work.kind):
            fuse.meet(point)
        return answer

    return ask_worker


if __name__ == "__main__":
    die_with_parent()
    break_conductor()
    lay_fuse(Fuse.from_environment())
    lose_answers()
    sys.exit(main())
