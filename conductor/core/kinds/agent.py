"""A step that asks one agent: a prompt, a place, attempts, and a check of what the last of them found.

- The prompt is rendered once, for all attempts. With it the step waits for a place (see `schedule`).
- An attempt that ended badly is followed by another where the plan has one (see `retry`); one that ended well is checked.
- An agent that takes turns is checked while it waits. When its last turn is checked it is told that nothing more comes (`turns`),
  and then the step ends as its last turn did.
- An answer of the wrong form is asked for once more in the life of a step: of the agent that waits, or else of a new attempt,
  which is shown its former answer. That attempt counts neither against `retries.schema` nor against `max_attempts`.
- An answer of the right form whose evidence was not found is asked for once more, too. It counts where nothing better comes.
- A step whose run stops tells its attempt to end. An attempt that ends well all the same counts.
"""

from dataclasses import replace

from conductor.core.decide.endings.retry import decide_retry
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import are_children_settled, settle_step, succeed, why_stopped
from conductor.core.folded.attempt import Attempt
from conductor.core.folded.run import Run, Stop
from conductor.core.folded.step import REPAIR, Step
from conductor.core.folded.turn import Repair, Turn, TurnState
from conductor.core.kinds.kind import reject_answer
from conductor.core.model.commands import CancelExecution
from conductor.core.model.events.attempt_events import RepairAsked, TurnChecked
from conductor.core.model.events.event_parts import UsableAnswer
from conductor.core.model.events.run_events import StepCancelled, StepFailed, StepQueued, StepRequeued, StepValidating
from conductor.core.model.states import AttemptState, Cause, Failure, FailureClass, StepState
from conductor.core.model.truncation import cut_text
from conductor.core.model.work import Answer, Checked, OutputInvalid, PromptRendered, Work, WorkFailed, WorkKind
from conductor.core.placing.slots import held_pool

OUTPUT_INVALID = "OUTPUT_INVALID"
READ_ONLY_VIOLATION = "READ_ONLY_VIOLATION"
OUTPUT_INVALID_AFTER_REPAIR = "OUTPUT_INVALID_AFTER_REPAIR"


def begin(_draft: RunDraft, _step: Step) -> None:
    """Does nothing: a ready step's open question is its prompt."""


def go_on(draft: RunDraft, step: Step) -> None:
    """Stops an attempt that must not go on, or acts on the end of one."""
    attempt = step.last_attempt
    if attempt is None:
        raise ValueError(f"step {step.plan.id} is running without an attempt")
    if attempt.is_live:
        _stop_attempt(draft, step, attempt)
    elif are_children_settled(draft.run, step):
        if attempt.ended_well:
            _conclude(draft, step, attempt)
        else:
            _conclude_failure(draft, step, attempt)


def pending_work(run: Run, step: Step) -> Work | None:
    """Asks for the prompt of a ready step, or for the check of a turn or an attempt that ended well."""
    match step.state:
        case StepState.READY:
            return Work(run.id, WorkKind.PROMPT, step.plan.id)
        case StepState.VALIDATING:
            return _ask_for_check(run, step, step.attempts[-1])
        case StepState.RUNNING if step.live_attempt is not None and _is_unchecked(step.live_attempt):
            return _ask_for_check(run, step, step.live_attempt)
        case _:
            return None


def take_answer(draft: RunDraft, step: Step, answer: Answer) -> None:
    """Queues the step with its prompt, or takes what a check found."""
    name = step.plan.id
    match step.state, answer:
        case StepState.READY, PromptRendered():
            draft.emit(StepQueued(name, answer.prompt, answer.parameters))
            draft.enqueue(name, draft.now)
        case StepState.READY, WorkFailed():
            settle_step(draft, StepFailed(name, answer.failure))
        case StepState.RUNNING | StepState.VALIDATING, Checked() | OutputInvalid() | WorkFailed():
            _take_check(draft, step, answer)
        case _:
            raise reject_answer(step, answer)


def _is_unchecked(attempt: Attempt) -> bool:
    return attempt.last_turn is not None and attempt.last_turn.state is TurnState.CHECKING


def _ask_for_check(run: Run, step: Step, attempt: Attempt) -> Work:
    turn = attempt.last_turn.number if attempt.last_turn is not None else 0
    return Work(run.id, WorkKind.CHECK, step.plan.id, attempt.id, turn)


def _take_check(draft: RunDraft, step: Step, answer: Checked | OutputInvalid | WorkFailed) -> None:
    """Notes what was found of an answer. While its agent lives, the step goes on when that has ended (see `go_on`)."""
    attempt = step.attempts[-1]
    may_repair = isinstance(answer, OutputInvalid) and _may_repair(draft.run, step, answer)
    if isinstance(answer, OutputInvalid) and answer.usable is not None and not may_repair:
        answer = Checked(answer.usable.findings, answer.usable.counts, answer.usable.output)
    if attempt.last_turn is not None:
        _note_turn(draft, step, attempt.last_turn, answer)
    if isinstance(answer, OutputInvalid) and may_repair:
        turn = attempt.last_turn.number if attempt.last_turn is not None else 0
        asked = RepairAsked(step.plan.id, attempt.id, turn, answer.prompt, answer.input, answer.failure, answer.usable)
        draft.emit(asked)
    step = draft.step(step.plan.id)
    if step.live_attempt is not None:
        draft.hold_slot(attempt.id, held_pool(step.live_attempt))
        return
    if attempt.last_turn is not None:
        _conclude(draft, step, step.attempts[-1])
    elif isinstance(answer, Checked):
        succeed(draft, step, "", answer.findings, answer.counts, output=answer.output)
    elif step.repair is not None and step.repair.attempt == attempt.id:
        _queue_repair(draft, step, step.repair)
    else:
        _try_again_or_fail(draft, step, answer.failure)


def _note_turn(draft: RunDraft, step: Step, turn: Turn, answer: Checked | OutputInvalid | WorkFailed) -> None:
    checked = TurnChecked(step.plan.id, step.attempts[-1].id, turn.number)
    if isinstance(answer, Checked):
        draft.emit(replace(checked, findings=answer.findings, counts=answer.counts, output=answer.output))
    else:
        draft.emit(replace(checked, failure=answer.failure))


def _may_repair(run: Run, step: Step, answer: OutputInvalid) -> bool:
    """Returns whether the agent may be asked for another answer: once in the life of a step whose run goes on."""
    is_planned = step.plan.agent is not None and step.plan.agent.repairs
    return is_planned and bool(answer.prompt) and step.repair is None and not why_stopped(run, step)


def _conclude(draft: RunDraft, step: Step, attempt: Attempt) -> None:
    """Goes on after an attempt that ended well: as its last turn did, or with a check."""
    turn = attempt.last_turn
    if turn is None or turn.state is TurnState.CHECKING:
        draft.emit(StepValidating(step.plan.id))
    elif turn.state is TurnState.VALID:
        succeed(draft, step, "", turn.findings, turn.counts, output=turn.output)
    elif turn.state is TurnState.TO_REPAIR and step.repair is not None:
        _queue_repair(draft, step, step.repair)
    elif turn.failure is not None:
        _try_again_or_fail(draft, step, turn.failure)


def _queue_repair(draft: RunDraft, step: Step, repair: Repair) -> None:
    """Makes another attempt for the repair, since the agent of the last one could not be asked."""
    name = step.plan.id
    if why := why_stopped(draft.run, step):
        settle_step(draft, StepCancelled(name, why))
        return
    draft.emit(StepRequeued(name, repair.failure, draft.now, REPAIR))
    draft.enqueue(name, draft.now)


def _stop_attempt(draft: RunDraft, step: Step, attempt: Attempt) -> None:
    why = why_stopped(draft.run, step)
    if why and not draft.tracks[attempt.id].cancelled:
        draft.send(CancelExecution(attempt.host, attempt.id, why))
        draft.note_cancelled(attempt.id)


def _conclude_failure(draft: RunDraft, step: Step, attempt: Attempt) -> None:
    failure = attempt.end.failure or (attempt.last_turn.failure if attempt.last_turn is not None else None)
    if failure is None:
        raise ValueError(f"attempt {attempt.id} ended badly without a failure")
    why = why_stopped(draft.run, step)
    if why and (failure.kind is FailureClass.RECOVERABLE or draft.run.stop is Stop.CANCEL):
        settle_step(draft, StepCancelled(step.plan.id, why))
    else:
        _try_again_or_fail(draft, step, failure)


def _try_again_or_fail(draft: RunDraft, step: Step, failure: Failure) -> None:
    name = step.plan.id
    usable = _find_usable(step)
    if usable is not None and failure.cause is Cause.SCHEMA:
        succeed(draft, step, "", usable.findings, usable.counts, output=usable.output)
        return
    # The attempt that another one repaired counts as one with it.
    attempts = [one for one in step.attempts if step.repair is None or one.id != step.repair.instead_of]
    retry = decide_retry(step.plan.agent, attempts, failure) if step.plan.agent else None
    if retry is None or why_stopped(draft.run, step):
        if usable is not None:
            succeed(draft, step, "", usable.findings, usable.counts, output=usable.output)
        else:
            settle_step(draft, StepFailed(name, _after_repair(step, failure)))
        return
    not_before = draft.now + retry.pause
    draft.emit(StepRequeued(name, failure, not_before, retry.cause, retry.number, retry.most))
    draft.enqueue(name, not_before)


def _find_usable(step: Step) -> UsableAnswer | None:
    """Returns the answer before the repair, where it counts: it has its form, and its attempt left the snapshot as it was."""
    repair = step.repair
    if repair is None or repair.usable is None:
        return None
    attempt = next(one for one in step.attempts if one.id == repair.attempt)
    is_void = attempt.state is AttemptState.LOST or (
        attempt.end.failure is not None and attempt.end.failure.reason == READ_ONLY_VIOLATION
    )
    return None if is_void else repair.usable


def _after_repair(step: Step, failure: Failure) -> Failure:
    """Says that a repair was asked for, where the answer is of the wrong form all the same."""
    if failure.reason != OUTPUT_INVALID or failure.cause is not Cause.SCHEMA or step.repair is None:
        return failure
    message = cut_text(
        f"Asked once to repair its answer, the agent gave another one that cannot be used: {failure.message}"
    )
    return replace(failure, reason=OUTPUT_INVALID_AFTER_REPAIR, message=message)
