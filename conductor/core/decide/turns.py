"""Tells agents that wait after a turn what follows: an input, which asks for a repair, or that nothing more comes.

Which frame is open follows from stored events alone, as with questions to workers (`questions`): a decision sends those that its
events opened, recovery sends every open one again. Hosts know inputs by number, and a second close closes nothing more.
"""

from collections.abc import Iterator

from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.folded.turn import TurnState
from conductor.core.model.commands import CloseExecution, Record, SendInput, TurnCommand


def pending_frame(step: Step) -> TurnCommand | None:
    """Returns the frame that is open for a step's live attempt; None while its turn goes on, or is being checked."""
    attempt, repair = step.live_attempt, step.repair
    turn = attempt.last_turn if attempt is not None else None
    if attempt is None or turn is None or turn.state is TurnState.CHECKING:
        return None
    if turn.state is TurnState.TO_REPAIR and repair is not None and attempt.refused_input != turn.number:
        return SendInput(attempt.host, attempt.id, turn.number, repair.input)
    return CloseExecution(attempt.host, attempt.id)


def pending_frames(run: Run) -> Iterator[TurnCommand]:
    """Returns every frame that is open for the agents of a run."""
    for step in run.steps.values():
        if (frame := pending_frame(step)) is not None:
            yield frame


def tell_agents(draft: RunDraft) -> None:
    """Sends the frames that are open now and were not before this decision."""
    before = {} if draft.origin is None else draft.origin.run.steps
    touched = [record.event for record in draft.stored if isinstance(record, Record)]
    for name in dict.fromkeys(getattr(event, "step", "") for event in touched):
        frame = pending_frame(draft.step(name)) if name else None
        if frame is not None and not (name in before and pending_frame(before[name]) == frame):
            draft.send(frame)
