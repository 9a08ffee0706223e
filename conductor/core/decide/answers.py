"""What workers answered, turned into events.

An answer that nobody waits for any more has no effect: work is pure, so it was answered before, or is of no use now.
"""

from dataclasses import replace

from conductor.core.decide.progress import are_children_settled, begin_step, settle_run, settle_step, try_again_or_fail
from conductor.core.decide.retry import OUTPUT_INVALID
from conductor.core.decide.run_draft import RunDraft
from conductor.core.model.events import (
    Failure,
    FindingChecked,
    FindingCounts,
    RunReported,
    StepFailed,
    StepQueued,
    StepSkipped,
    StepSucceeded,
)
from conductor.core.model.inputs import WorkFinished
from conductor.core.model.states import StepState
from conductor.core.model.step import Step
from conductor.core.model.truncation import cut_text
from conductor.core.model.work import (
    Answer,
    Checked,
    Folded,
    GuardDecided,
    PromptRendered,
    Reported,
    Work,
    WorkFailed,
    WorkKind,
)


def take_answer(draft: RunDraft, finished: WorkFinished) -> None:
    """Goes on with what a worker answered."""
    work, answer = finished.result.work, finished.result.answer
    if not _is_awaited(draft, work):
        return
    draft.blobs.extend(finished.blobs)
    if work.kind is WorkKind.REPORT:
        _take_report(draft, answer)
    elif isinstance(answer, WorkFailed):
        _take_failure(draft, work, replace(answer.failure, message=cut_text(answer.failure.message)))
    else:
        _take_step_answer(draft, draft.step(work.step), work, answer)


def _is_awaited(draft: RunDraft, work: Work) -> bool:
    if work.kind is WorkKind.REPORT:
        return draft.run.unsettled == 0
    step = draft.run.steps.get(work.step)
    if step is None:
        return False
    match work.kind:
        case WorkKind.SKIP_GUARD:
            return step.state is StepState.READY and step.plan.has_skip_guard
        case WorkKind.PROMPT:
            return step.state is StepState.READY and step.plan.agent is not None
        case WorkKind.FOLD:
            is_at_work = step.state is StepState.RUNNING and step.plan.agent is None
            return is_at_work and are_children_settled(draft.run, step)
        case WorkKind.CHECK:
            last = step.last_attempt
            return step.state is StepState.VALIDATING and last is not None and last.id == work.attempt


def _take_failure(draft: RunDraft, work: Work, failure: Failure) -> None:
    if work.kind is WorkKind.CHECK and failure.reason == OUTPUT_INVALID:
        try_again_or_fail(draft, draft.step(work.step), failure)
    else:
        settle_step(draft, StepFailed(work.step, failure))


def _take_report(draft: RunDraft, answer: Answer) -> None:
    if isinstance(answer, WorkFailed):
        settle_run(draft, replace(answer.failure, message=cut_text(answer.failure.message)))
        return
    if not isinstance(answer, Reported):
        raise TypeError(f"a report was asked for, {type(answer).__name__} came")
    draft.emit(RunReported(answer.markdown, answer.json, answer.workspace_changes))
    settle_run(draft)


def _take_step_answer(draft: RunDraft, step: Step, work: Work, answer: Answer) -> None:
    name = step.plan.id
    match (work.kind, answer):
        case (WorkKind.SKIP_GUARD, GuardDecided(skip=True, reason=reason)):
            settle_step(draft, StepSkipped(name, cut_text(reason)))
        case (WorkKind.SKIP_GUARD, GuardDecided()):
            begin_step(draft, step)
        case (WorkKind.PROMPT, PromptRendered(prompt=prompt)):
            draft.withdraw(name)
            draft.emit(StepQueued(name, prompt))
            draft.enqueue(name, draft.now)
        case (WorkKind.FOLD, Folded(text=text, findings=findings, counts=counts)):
            _tell_findings(draft, name, findings, counts)
            settle_step(draft, StepSucceeded(name, text, findings, counts))
        case (WorkKind.CHECK, Checked(findings=findings, counts=counts)):
            _tell_findings(draft, name, findings, counts)
            settle_step(draft, StepSucceeded(name, findings=findings, counts=counts))
        case _:
            raise TypeError(f"{work.kind} was asked of step {name}, {type(answer).__name__} came")


def _tell_findings(draft: RunDraft, step: str, findings: str, counts: FindingCounts) -> None:
    for number in range(counts.verified + counts.moved + counts.missing):
        draft.emit(FindingChecked(step, findings, number))
