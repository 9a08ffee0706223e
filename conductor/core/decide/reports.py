"""Turns hosts' reports on attempts into events.

The rules, before the code:

- Frames are taken in order, once: exactly those after the last stored one. Older frames are acknowledged again. Where some are
  missing, or a slot mixes old and new, none is taken and the stream begins again after the last stored frame.
- Output counts while its attempt is live, and so does the end of a turn, whose answer is all that came since the turn before it.
- The end of an attempt is acknowledged at once, output at most once a second.
- A report on an attempt that has ended is recorded once and has no effect. If its agent still runs, it is cancelled.
- The kind of the step decides whether it is tried again, not this module.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from conductor.core.decide.endings.guessing import guess_class
from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.attempt import Attempt, attempt_owner
from conductor.core.folded.turn import TurnState
from conductor.core.model.activity import Activity, write_line
from conductor.core.model.commands import AckExecution, CancelExecution, Command
from conductor.core.model.conductor_state import Limits
from conductor.core.model.events.attempt_events import AttemptEnded, AttemptStarted, InputRefused, TurnEnded
from conductor.core.model.events.run_events import ReportRefused
from conductor.core.model.inputs import (
    AgentFinished,
    AgentRefusedInput,
    AgentStarted,
    AgentTurnEnded,
    ExecutionLost,
    ExecutionRefused,
    ExecutionReported,
    Report,
)
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState, Cause, Failure, FailureClass
from conductor.core.model.truncation import MOST_REASON, MOST_WORD, cut_confinement, cut_model_use, cut_text
from conductor.core.placing.memory import park_end
from conductor.core.placing.slots import held_pool

HOST_LOST = "HOST_LOST"
NO_CAPACITY = "NO_CAPACITY"


def take_report(draft: RunDraft, report: ExecutionReported, limits: Limits) -> None:
    """Takes the reports of an attempt."""
    track = draft.tracks.get(report.attempt)
    if track is None:
        _refuse_late(draft, report)
    elif report.last_sequence <= track.cursor:
        draft.acknowledge_again(report.attempt, limits.ack_interval)
    elif report.first_sequence != track.cursor + 1:
        _begin_again(draft, report.attempt, limits.resume_interval)
    else:
        draft.move_cursor(report.attempt, report.last_sequence, limits.ack_interval)
        for is_activity, parts in groupby(report.reports, key=lambda part: isinstance(part, Activity)):
            if is_activity:
                _store_activities(draft, report.attempt, parts)
            else:
                _take_parts(draft, report, parts)


def take_refusal(draft: RunDraft, refusal: ExecutionRefused) -> None:
    """Ends an attempt that its host refused."""
    kind = FailureClass.RECOVERABLE if refusal.retryable else FailureClass.FATAL
    cause = Cause.INFRASTRUCTURE if refusal.retryable else Cause.AGENT
    if refusal.reason == NO_CAPACITY:
        cause = Cause.CAPACITY
    failure = Failure(cut_text(refusal.reason, MOST_WORD), cut_text(refusal.message), kind, cause=cause)
    end_attempt(draft, refusal.attempt, AttemptState.REFUSED, failure, refusal.retry_after_seconds)


def give_up_attempt(draft: RunDraft, attempt: str, message: str) -> None:
    """Ends an attempt whose host was silent too long, and cancels it, so that a Start that still waits is never sent."""
    draft.send(CancelExecution(draft.tracks[attempt].host, attempt, message))
    end_attempt(draft, attempt, AttemptState.LOST, _host_lost(message))


def take_loss(draft: RunDraft, loss: ExecutionLost) -> None:
    """Ends an attempt that its host does not know, so that nothing of it runs."""
    end_attempt(draft, loss.attempt, AttemptState.LOST, _host_lost(cut_text(loss.message)))


def end_attempt(
    draft: RunDraft, attempt: str, state: AttemptState, failure: Failure, retry_after_seconds: float = 0.0
) -> None:
    """Ends an attempt that its agent did not end. One that has ended stays as it is."""
    track = draft.tracks.pop(attempt, None)
    if track is None:
        return
    _, step = attempt_owner(attempt)
    draft.emit(
        AttemptEnded(step, attempt, state, failure, last_sequence=track.cursor, retry_after_seconds=retry_after_seconds)
    )
    _look_after_end(draft, step)


def refuse_unknown(report: ExecutionReported) -> tuple[Command, ...]:
    """Returns the commands that end an attempt of no unfinished run, and let its host release it."""
    return (_dismiss(report),)


def _take_parts(draft: RunDraft, report: ExecutionReported, parts: Iterable[Report]) -> None:
    attempt = report.attempt
    _, step = attempt_owner(attempt)
    for part in parts:
        if attempt not in draft.tracks:
            return
        match part:
            case Output():
                draft.stored.append(part)
            case AgentStarted():
                if draft.step(step).attempts[-1].state is AttemptState.STARTING:
                    draft.emit(AttemptStarted(step, attempt, cut_confinement(part.confinement)))
            case AgentTurnEnded():
                _end_turn(draft, attempt, part)
            case AgentRefusedInput():
                _refuse_input(draft, attempt, part)
            case AgentFinished():
                _finish(draft, report, part)


def _store_activities(draft: RunDraft, attempt: str, parts: Iterable[Report]) -> None:
    """Stores neighbouring activities as one text: a row for each would cost more than its text."""
    if attempt in draft.tracks:
        lines = (write_line(part) for part in parts if isinstance(part, Activity))
        draft.stored.append(Output(attempt, Channel.ACTIVITY, "".join(lines)))


def _end_turn(draft: RunDraft, attempt: str, part: AgentTurnEnded) -> None:
    """Stores the end of a turn. A turn that was not asked for is passed over: its host numbers otherwise than this conductor."""
    _, name = attempt_owner(attempt)
    last = draft.step(name).attempts[-1].last_turn
    if part.number != (last.number + 1 if last else 1) or (last and last.state is not TurnState.TO_REPAIR):
        return
    start = max(part.answer_start, last.answer_end if last else 0)
    if part.result is not None:
        draft.blobs.append(part.result)
    usage, digest = part.usage, part.result.digest if part.result is not None else ""
    tokens = (usage.input_tokens, usage.output_tokens, usage.turns)
    reason = cut_text(part.reason, MOST_WORD)
    draft.emit(
        TurnEnded(name, attempt, part.number, start, max(start, part.answer_end), digest, *tokens, reason=reason)
    )
    draft.hold_slot(attempt, held_pool(draft.step(name).attempts[-1]))


def _refuse_input(draft: RunDraft, attempt: str, part: AgentRefusedInput) -> None:
    _, name = attempt_owner(attempt)
    asked = draft.step(name).attempts[-1]
    turn = asked.last_turn
    if turn and turn.number == part.number and turn.state is TurnState.TO_REPAIR and not asked.refused_input:
        draft.emit(InputRefused(name, attempt, part.number, cut_text(part.reason, MOST_REASON)))


def _finish(draft: RunDraft, report: ExecutionReported, part: AgentFinished) -> None:
    _, step = attempt_owner(report.attempt)
    ended = AttemptEnded(
        step=step,
        attempt=report.attempt,
        state=part.outcome,
        failure=None if part.outcome is AttemptState.SUCCEEDED else _explain(part),
        exit_code=part.exit_code,
        signal=part.signal,
        input_tokens=part.usage.input_tokens,
        output_tokens=part.usage.output_tokens,
        turns=part.usage.turns,
        denial_count=part.denial_count,
        answer_truncated=part.answer_truncated,
        answer_note=cut_text(part.answer_note, MOST_REASON),
        answer_start=part.answer_start,
        result="" if part.result is None else part.result.digest,
        confinement=None if part.confinement is None else cut_confinement(part.confinement),
        last_sequence=report.last_sequence,
        retry_after_seconds=part.retry_after_seconds,
        model_use=None if part.model_use is None else cut_model_use(part.model_use),
        model_requests="" if part.model_requests is None else part.model_requests.digest,
    )
    draft.blobs.extend(blob for blob in (part.result, part.model_requests) if blob is not None)
    track = draft.tracks.pop(report.attempt)
    draft.emit(ended)
    draft.send(AckExecution(track.host, report.attempt, report.last_sequence, finished=True))
    _park_pool(draft, draft.step(step).attempts[-1])
    _look_after_end(draft, step)


def _explain(part: AgentFinished) -> Failure:
    is_cancelled = part.outcome is AttemptState.CANCELLED
    reason = cut_text(part.reason, MOST_WORD) or ("CANCELLED" if is_cancelled else "AGENT_FAILED")
    message = part.message or f"The agent's end was: {part.outcome}."
    return Failure(reason, cut_text(message), part.kind or guess_class(reason), cause=part.cause)


def _host_lost(message: str) -> Failure:
    return Failure(HOST_LOST, message, FailureClass.RECOVERABLE, cause=Cause.INFRASTRUCTURE)


def _look_after_end(draft: RunDraft, step: str) -> None:
    draft.freed_place = True
    draft.mark(step, *draft.run.children.get(step, ()))


def _park_pool(draft: RunDraft, attempt: Attempt) -> None:
    """Parks the pool of an attempt that its model's endpoint refused because requests came too fast."""
    if until := park_end(attempt):
        draft.parks[attempt.pool] = max(until, draft.parks.get(attempt.pool, 0.0))


def _begin_again(draft: RunDraft, attempt: str, interval: float) -> None:
    """Has the stream begin again, at most once an interval: frames in between were mostly on their way before."""
    track = draft.tracks[attempt]
    draft.tracks[attempt] = replace(track, resume_at=max(draft.now, track.resumed_at + interval))


def _refuse_late(draft: RunDraft, report: ExecutionReported) -> None:
    _, name = attempt_owner(report.attempt)
    step = draft.run.steps.get(name)
    attempt = next((one for one in step.attempts if one.id == report.attempt), None) if step is not None else None
    if attempt is None:
        draft.send(_dismiss(report))
        return
    if report.last_sequence <= attempt.end.last_sequence and attempt.state is not AttemptState.LOST:
        draft.send(AckExecution(attempt.host, attempt.id, attempt.end.last_sequence, finished=True))
        return
    if not attempt.refused:
        what = f"frames up to {report.last_sequence}, after its end"
        draft.emit(ReportRefused(name, attempt.id, what))
    draft.send(_dismiss(report))


def _dismiss(report: ExecutionReported) -> Command:
    # No host: the command is only for the stream that brought this report, if it still exists.
    if any(isinstance(part, AgentFinished) for part in report.reports):
        return AckExecution("", report.attempt, report.last_sequence, finished=True)
    return CancelExecution("", report.attempt, "its attempt has ended")
