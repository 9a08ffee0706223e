"""One execution of one step by one agent, folded from its events.

This module knows what an event means for an attempt, `states` whether it may happen, `decide` why it happens.
"""

from dataclasses import dataclass

from conductor.core.folded.replacement import replace
from conductor.core.folded.turn import Turn, TurnEvent, TurnState, apply_to_turns
from conductor.core.model.events.attempt_events import (
    AttemptCreated,
    AttemptEnded,
    AttemptStarted,
    InputRefused,
    RepairAsked,
    TurnChecked,
    TurnEnded,
)
from conductor.core.model.events.event_parts import Confinement, StartSpec
from conductor.core.model.events.run_events import ReportRefused
from conductor.core.model.states import SETTLED_ATTEMPT, AttemptState, IllegalTransitionError, move_attempt

AttemptEvent = AttemptStarted | AttemptEnded | ReportRefused | TurnEvent

# Reasons that outweigh an answer that was given before: the snapshot is not what was read, or the model's last answer was none, as
# its host's gateway saw it. No other reason says anything about an answer.
OUTWEIGHING = frozenset(
    {
        "READ_ONLY_VIOLATION",
        "MODEL_UNREACHABLE",
        "AUTH_FAILED",
        "RATE_LIMITED",
        "QUOTA_EXCEEDED",
        "CONTEXT_OVERFLOW",
        "MODEL_REFUSED",
        "MODEL_STREAM_CUT",
        "MODEL_ERROR",
    }
)
NOT_ENDED = AttemptEnded("", "", AttemptState.STARTING)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt, with everything that readers see. Times are of the engine's clock, None until they come.

    `end` holds what only the end tells; result and usage may come before, with a turn.
    `turns` counts what the agent itself calls turns; `ended_turns` are those that were waited for and checked.
    """

    id: str
    number: int
    host: str
    placement_reason: str
    start: StartSpec
    create_time: float
    state: AttemptState = AttemptState.STARTING
    start_time: float | None = None
    end_time: float | None = None
    end: AttemptEnded = NOT_ENDED
    input_tokens: int | None = None
    output_tokens: int | None = None
    turns: int | None = None
    result: str = ""
    confinement: Confinement | None = None
    refused: str = ""
    instance: str = ""  # of the host, where it has told one
    ended_turns: tuple[Turn, ...] = ()
    refused_input: int = 0  # the last input that its agent could not be given
    pool: str = ""  # of model slots: it holds one while it is live
    model: str = ""
    names_places: bool = False  # its agent is a tool, whose findings may name places without a quote

    @property
    def agent(self) -> str:
        """Names the agent that was asked."""
        return self.start.agent

    @property
    def last_turn(self) -> Turn | None:
        """Returns the turn that ended last; None for an attempt that answers once and ends."""
        return self.ended_turns[-1] if self.ended_turns else None

    @property
    def answer_range(self) -> tuple[int, int | None]:
        """Returns where its answer begins and ends, in bytes; None for the end of all that it answers."""
        turn = self.last_turn
        if turn is None:
            return self.end.answer_start, None
        return (turn.answer_end, None) if turn.state is TurnState.TO_REPAIR else (turn.answer_start, turn.answer_end)

    @property
    def ended_well(self) -> bool:
        """Returns whether it has ended, and what it answered decides what follows.

        After the last turn exit code, signal and cancel change nothing. But an attempt that was lost has not proved that it left
        the snapshot as it was.
        """
        turn = self.last_turn
        is_outweighed = self.end.failure is not None and self.end.failure.reason in OUTWEIGHING
        if self.is_live or self.state is AttemptState.LOST or is_outweighed:
            return False
        if turn is None or (turn.state is TurnState.TO_REPAIR and self.refused_input != turn.number):
            return self.state is AttemptState.SUCCEEDED
        return turn.state is not TurnState.FAILED

    @property
    def is_live(self) -> bool:
        """Returns whether its agent may still run."""
        return self.state not in SETTLED_ATTEMPT


def attempt_id(run: str, step: str, number: int) -> str:
    """Returns the id of an attempt, here and on its host."""
    return f"{run}-{step}-{number}"


def attempt_owner(attempt: str) -> tuple[str, str]:
    """Returns the run and the step in an attempt's id (neither holds a dash); empty texts for anything else."""
    run, _, rest = attempt.partition("-")
    step, _, number = rest.rpartition("-")
    return (run, step) if step and number.isdigit() else ("", "")


def create_attempt(event: AttemptCreated, time: float) -> Attempt:
    """Begins an attempt."""
    return Attempt(
        event.attempt,
        event.number,
        event.host,
        event.placement_reason,
        event.start,
        time,
        instance=event.instance,
        pool=event.pool,
        model=event.model,
        names_places=event.names_places,
    )


def apply_to_attempt(attempt: Attempt, event: AttemptEvent, time: float) -> Attempt:
    """Returns the attempt after an event."""
    match event:
        case AttemptStarted():
            state = move_attempt(attempt.state, AttemptState.RUNNING)
            return replace(attempt, state=state, start_time=time, confinement=event.confinement)
        case AttemptEnded():
            return _end(attempt, event, time)
        case TurnEnded() | TurnChecked() | RepairAsked() | InputRefused():
            return _apply_turn(attempt, event, time)
        case ReportRefused():
            if attempt.is_live:
                raise IllegalTransitionError(f"attempt {attempt.id} is live: its reports count")
            return replace(attempt, refused=event.what)


def _apply_turn(attempt: Attempt, event: TurnEvent, time: float) -> Attempt:
    attempt = replace(attempt, ended_turns=apply_to_turns(attempt.ended_turns, event, time))
    match event:
        case TurnEnded() if attempt.is_live:
            return replace(
                attempt,
                result=event.result,
                input_tokens=event.input_tokens,
                output_tokens=event.output_tokens,
                turns=event.turns,
            )
        case TurnEnded():
            raise IllegalTransitionError(f"attempt {attempt.id} has ended: no turn of it can end")
        case InputRefused():
            return replace(attempt, refused_input=event.turn)
        case _:
            return attempt


def _end(attempt: Attempt, event: AttemptEnded, time: float) -> Attempt:
    return replace(
        attempt,
        state=move_attempt(attempt.state, event.state),
        end_time=time,
        end=event,
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        turns=event.turns,
        result=attempt.result if attempt.ended_turns else event.result,
        confinement=event.confinement or attempt.confinement,
    )
