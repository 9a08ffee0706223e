"""Questions to workers: finds the open ones, asks them, and takes the answers.

Which questions are open follows from stored events alone. So a decision asks those that its events opened, recovery asks every
open one again, and an answer counts only while its question is open. (Work is pure: a late answer is a repetition, or useless.)
"""

from collections.abc import Iterator
from dataclasses import replace

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import settle_run, settle_step
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.kinds.kind import reject_answer
from conductor.core.kinds.table import kind_of
from conductor.core.model.commands import Evaluate, Record
from conductor.core.model.events.run_events import RunReported, StepFailed, StepGuardPassed, StepSkipped
from conductor.core.model.inputs import WorkFinished
from conductor.core.model.states import StepState
from conductor.core.model.truncation import cut_text
from conductor.core.model.work import Answer, GuardDecided, OutputInvalid, Reported, Work, WorkFailed, WorkKind


def pending_work(run: Run, step: Step) -> Work | None:
    """Returns the question that is open about a step; None where there is none."""
    if step.is_settled:
        return None
    if step.state is StepState.READY and step.plan.has_skip_guard and not step.guard_passed:
        return Work(run.id, WorkKind.SKIP_GUARD, step.plan.id)
    return kind_of(step).pending_work(run, step)


def pending_report(run: Run) -> Work | None:
    """Returns the question for the report, which is open once every step has ended."""
    return Work(run.id, WorkKind.REPORT) if run.unsettled == 0 and not run.is_settled else None


def list_pending(run: Run) -> Iterator[Work]:
    """Returns every question that is open about a run."""
    for step in run.steps.values():
        if (work := pending_work(run, step)) is not None:
            yield work
    if (report := pending_report(run)) is not None:
        yield report


def ask_workers(draft: RunDraft) -> None:
    """Asks the questions that are open now and were not before this decision."""
    before = None if draft.origin is None else draft.origin.run
    for name in _touched_steps(draft):
        work = pending_work(draft.run, draft.step(name))
        if work is not None and not (before and _is_pending(before, work)):
            draft.send(Evaluate(work))
    report = pending_report(draft.run)
    if report is not None and not (before and _is_pending(before, report)):
        draft.send(Evaluate(report))


def take_answer(draft: RunDraft, finished: WorkFinished) -> None:
    """Takes a worker's answer, if its question is open."""
    work, answer = finished.result.work, finished.result.answer
    if not _is_pending(draft.run, work):
        return
    draft.blobs.extend(finished.blobs)
    if isinstance(answer, WorkFailed | OutputInvalid):
        answer = replace(answer, failure=replace(answer.failure, message=cut_text(answer.failure.message)))
    match work.kind:
        case WorkKind.REPORT:
            _take_report(draft, answer)
        case WorkKind.SKIP_GUARD:
            _take_guard(draft, draft.step(work.step), answer)
        case _:
            step = draft.step(work.step)
            kind_of(step).take_answer(draft, step, answer)


def _touched_steps(draft: RunDraft) -> dict[str, None]:
    """Returns the steps that this decision may have opened a question about: those of its events, and their parents."""
    touched: dict[str, None] = {}
    for record in draft.stored:
        name = getattr(record.event, "step", "") if isinstance(record, Record) else ""
        while name:
            touched[name] = None
            name = draft.step(name).plan.parent
    return touched


def _is_pending(run: Run, work: Work) -> bool:
    if work.kind is WorkKind.REPORT:
        return work == pending_report(run)
    step = run.steps.get(work.step)
    return step is not None and work == pending_work(run, step)


def _take_report(draft: RunDraft, answer: Answer) -> None:
    match answer:
        case Reported():
            draft.emit(RunReported(answer.markdown, answer.json, answer.workspace_changes, answer.outputs))
            settle_run(draft)
        case WorkFailed():
            settle_run(draft, answer.failure)
        case _:
            raise TypeError(f"the answer to REPORT is {type(answer).__name__}")


def _take_guard(draft: RunDraft, step: Step, answer: Answer) -> None:
    name = step.plan.id
    match answer:
        case GuardDecided(skip=True):
            settle_step(draft, StepSkipped(name, cut_text(answer.reason)))
        case GuardDecided():
            draft.emit(StepGuardPassed(name))
            kind_of(step).begin(draft, draft.step(name))
        case WorkFailed():
            settle_step(draft, StepFailed(name, answer.failure))
        case _:
            raise reject_answer(step, answer)
