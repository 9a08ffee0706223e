"""A conversation of a step with its agent, in turns."""

from conductor.core.folded.attempt import Attempt
from conductor.core.folded.step import Step
from conductor.core.model.commands import (
    CancelExecution,
    CloseExecution,
    Command,
    Evaluate,
    Record,
    SendInput,
    StartExecution,
)
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import Event, StepRequeued
from conductor.core.model.inputs import (
    AgentFinished,
    AgentStarted,
    AgentTurnEnded,
    Blob,
    HostAgent,
    HostReported,
    WorkFinished,
)
from conductor.core.model.output import Channel, Output
from conductor.core.model.plan import RetryPlan
from conductor.core.model.states import AttemptState, Cause, Failure, FailureClass
from conductor.core.model.work import Answer, OutputInvalid, Work, WorkKind, WorkResult
from tests.conductor.core.bench import RUN, Bench, asks

WRONG = Failure("OUTPUT_INVALID", "findings[0]: severity must be one of high, low", cause=Cause.SCHEMA)


REPAIR = OutputInvalid(WRONG, prompt="prompt of the repair", input="input of the repair")


class Talk:
    """A conversation of a step with its agent."""

    def __init__(self, *, takes_turns: bool = True, attempts: int = 3, **retries: int) -> None:
        self.bench = Bench()
        self.bench.take(HostReported("h1", connected=True, slots=2, agents=(HostAgent("survey", "", takes_turns),)))
        plan = {"repairs": True, "retries": RetryPlan(**retries)}
        self.bench.launch(asks("step", attempts=attempts, agent=plan))
        self.bench.queue("step")
        self.number = 0

    def begin(self) -> None:
        """Has the agent of the newest attempt begin."""
        self.number = 0
        self.report(AgentStarted(Confinement()))

    def report(self, *reports: object) -> None:
        first, self.number = self.number + 1, self.number + len(reports)
        self.bench.report(self.attempt.id, first, *reports)  # type: ignore[arg-type]

    def end_turn(self, number: int = 1, end: int = 5, reason: str = "", result: str = "") -> None:
        text = Output(self.attempt.id, Channel.ANSWER, "words")
        blob = Blob(result, b"{}") if result else None
        self.report(text, AgentTurnEnded(number, end - 5, end, blob, reason=reason))

    def check(self, answer: Answer, turn: int = 1) -> None:
        work = Work(RUN, WorkKind.CHECK, "step", self.attempt.id, turn)
        self.bench.take(WorkFinished(WorkResult(work, answer)))

    def finish(self, outcome: AttemptState = AttemptState.SUCCEEDED, reason: str = "") -> None:
        kind = FailureClass.RECOVERABLE if reason in {"SHIM_LOST", "CANCELLED"} else FailureClass.FATAL
        cause = Cause.INFRASTRUCTURE if reason in {"SHIM_LOST", "CANCELLED"} else Cause.AGENT
        self.report(AgentFinished(outcome, reason, kind=kind if reason else None, cause=cause if reason else None))

    @property
    def attempt(self) -> Attempt:
        return self.bench.attempt("step")

    @property
    def step(self) -> Step:
        return self.bench.step("step")

    @property
    def failure(self) -> Failure:
        assert self.step.failure is not None
        return self.step.failure

    def sent(self) -> list[Command]:
        """Returns what the last decision told the agent."""
        kinds = (SendInput, CloseExecution, CancelExecution, StartExecution)
        return [one for one in self.bench.last.to_send if isinstance(one, kinds)]

    def requeued(self) -> list[tuple[str, int]]:
        """Returns why the last decision made another attempt, and which retry of that cause it is."""
        return [(one.cause, one.retry) for one in self._stored() if isinstance(one, StepRequeued)]

    def _stored(self) -> list[Event]:
        return [one.event for one in self.bench.last.to_store if isinstance(one, Record)]

    def has_asked(self) -> bool:
        """Returns whether the last decision asked for a check."""
        return any(isinstance(one, Evaluate) and one.work.kind is WorkKind.CHECK for one in self.bench.last.to_send)


def waiting(**more: int) -> Talk:
    """A talk whose agent has ended its first turn."""
    talk = Talk(**more)
    talk.begin()
    talk.end_turn()
    return talk


def repairing(**more: int) -> Talk:
    """A talk whose agent was asked for a repair while it waited."""
    talk = waiting(**more)
    talk.check(REPAIR)
    return talk
