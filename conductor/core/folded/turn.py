"""One turn of an attempt that may take several: its answer, and what was found of it."""

from dataclasses import dataclass, replace
from enum import StrEnum

from conductor.core.model.events.attempt_events import InputRefused, RepairAsked, TurnChecked, TurnEnded
from conductor.core.model.events.event_parts import FindingCounts, UsableAnswer
from conductor.core.model.states import Cause, Failure, IllegalTransitionError

TurnEvent = TurnEnded | TurnChecked | RepairAsked | InputRefused


class TurnState(StrEnum):
    """The states of a turn that has ended."""

    FAILED = "failed"  # its agent says so
    CHECKING = "checking"
    VALID = "valid"
    INVALID = "invalid"
    TO_REPAIR = "to_repair"  # it is invalid, and its agent is asked for another answer


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that has ended. `answer_start` and `answer_end` are bytes of the attempt's answer; `findings`, `output`: digests."""

    number: int
    answer_start: int
    answer_end: int
    end_time: float
    state: TurnState = TurnState.CHECKING
    findings: str = ""
    counts: FindingCounts = FindingCounts()
    failure: Failure | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class Repair:
    """The request to repair an answer, of which a step has one at most. See `RepairAsked`.

    `instead_of` names the attempt that another one follows for it, since its agent could not be asked.
    """

    attempt: str
    turn: int
    prompt: str
    input: str
    failure: Failure
    time: float
    instead_of: str = ""
    usable: UsableAnswer | None = None


def apply_to_turns(turns: tuple[Turn, ...], event: TurnEvent, time: float) -> tuple[Turn, ...]:
    """Returns the turns of an attempt after an event. Only the last one changes."""
    match event:
        case TurnEnded():
            if event.turn != len(turns) + 1 or (turns and turns[-1].state is not TurnState.TO_REPAIR):
                raise IllegalTransitionError(f"turn {event.turn} of attempt {event.attempt} was not asked for")
            turn = Turn(event.turn, event.answer_start, event.answer_end, time)
            return (*turns, replace(turn, state=TurnState.FAILED, failure=_explain(event)) if event.reason else turn)
        case TurnChecked():
            last = _find_last(turns, event.turn, TurnState.CHECKING)
            state = TurnState.VALID if event.failure is None else TurnState.INVALID
            checked = replace(last, state=state, findings=event.findings, counts=event.counts, output=event.output)
            return (*turns[:-1], replace(checked, failure=event.failure))
        case RepairAsked(turn=0):
            return turns
        case RepairAsked():
            return (*turns[:-1], replace(_find_last(turns, event.turn, TurnState.INVALID), state=TurnState.TO_REPAIR))
        case InputRefused():
            _find_last(turns, event.turn, TurnState.TO_REPAIR)
            return turns


def _explain(event: TurnEnded) -> Failure:
    return Failure(event.reason, f"Turn {event.turn} of the agent failed.", cause=Cause.AGENT)


def _find_last(turns: tuple[Turn, ...], number: int, state: TurnState) -> Turn:
    last = turns[-1] if turns else None
    if last is None or (last.number, last.state) != (number, state):
        raise IllegalTransitionError(f"turn {number} is not the last one, or is not {state}")
    return last
