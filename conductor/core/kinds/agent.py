"""A step that asks one agent: a prompt, a place, attempts, and a check of what the last of them found.

- The prompt is rendered once, for all attempts. With it the step waits for a place (see `schedule`).
- An attempt that ended badly is followed by another where the plan has one (see `retry`); one that ended well is checked.
- A step whose run stops tells its attempt to end. An attempt that ends well all the same counts.
"""

from conductor.core.decide.retry import decide_retry
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import are_children_settled, settle_step, succeed, why_stopped
from conductor.core.kinds.kind import reject_answer
from conductor.core.model.attempt import Attempt
from conductor.core.model.commands import CancelExecution
from conductor.core.model.events import Failure, StepCancelled, StepFailed, StepQueued, StepRequeued, StepValidating
from conductor.core.model.failure import FailureClass
from conductor.core.model.run import Run
from conductor.core.model.states import AttemptState, StepState
from conductor.core.model.step import Step
from conductor.core.model.work import Answer, Checked, PromptRendered, Work, WorkFailed, WorkKind


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
        if attempt.state is AttemptState.SUCCEEDED:
            draft.emit(StepValidating(step.plan.id))
        else:
            _conclude_failure(draft, step, attempt)


def pending_work(run: Run, step: Step) -> Work | None:
    """Asks for the prompt of a ready step, or for the check of a step whose attempt ended well."""
    match step.state:
        case StepState.READY:
            return Work(run.id, WorkKind.PROMPT, step.plan.id)
        case StepState.VALIDATING:
            return Work(run.id, WorkKind.CHECK, step.plan.id, step.attempts[-1].id)
        case _:
            return None


def take_answer(draft: RunDraft, step: Step, answer: Answer) -> None:
    """Queues the step with its prompt, or ends it with its checked findings."""
    name = step.plan.id
    match step.state, answer:
        case StepState.READY, PromptRendered():
            draft.emit(StepQueued(name, answer.prompt))
            draft.enqueue(name, draft.now)
        case StepState.VALIDATING, Checked():
            succeed(draft, step, "", answer.findings, answer.counts)
        case _, WorkFailed():
            _try_again_or_fail(draft, step, answer.failure)
        case _:
            raise reject_answer(step, answer)


def _stop_attempt(draft: RunDraft, step: Step, attempt: Attempt) -> None:
    why = why_stopped(draft.run, step)
    if why and not draft.tracks[attempt.id].cancelled:
        draft.send(CancelExecution(attempt.host, attempt.id, why))
        draft.note_cancelled(attempt.id)


def _conclude_failure(draft: RunDraft, step: Step, attempt: Attempt) -> None:
    failure = attempt.failure
    if failure is None:
        raise ValueError(f"attempt {attempt.id} ended badly without a failure")
    why = why_stopped(draft.run, step)
    if why and failure.kind is FailureClass.RECOVERABLE:
        settle_step(draft, StepCancelled(step.plan.id, why))
    else:
        _try_again_or_fail(draft, step, failure)


def _try_again_or_fail(draft: RunDraft, step: Step, failure: Failure) -> None:
    name = step.plan.id
    retry = decide_retry(step.plan.agent, step.attempts, failure) if step.plan.agent and step.attempts else None
    if retry is None or why_stopped(draft.run, step):
        settle_step(draft, StepFailed(name, failure))
        return
    not_before = draft.now + retry.pause
    draft.emit(StepRequeued(name, failure, not_before, retry.cause, retry.number, retry.most))
    draft.enqueue(name, not_before)
