"""What a run does next by itself.

The rules, before the code:

- A step is looked at when something happened to it, to what it needs, to its parent or to its children; to no other.
- PENDING becomes READY as soon as its own needs are met and its parent, if it has one, is at work (C1: no waves).
- A need is met by a step that succeeded, was skipped or excluded, or may fail and failed (or was cancelled with its parent).
- A run stops when a step fails that may not, or when somebody asks. Then what has not begun is cancelled, what runs is told to
  end, what was said is kept; an attempt that ends well all the same counts.
- A step ends after its children. When its attempt ended badly, its children are stopped first.
- When every step has ended, the report is rendered; only then does the run end. How it ends is read from its steps.
- What can never begin (a cycle, a need that was cancelled) is cancelled as soon as nothing else is at work, so no run hangs (C3).
"""

from typing import assert_never

from conductor.core.decide.retry import FATAL, HUMAN_REQUIRED, RECOVERABLE, decide_retry
from conductor.core.decide.run_draft import RunDraft
from conductor.core.model.attempt import Attempt
from conductor.core.model.commands import CancelExecution
from conductor.core.model.events import (
    Failure,
    RunSettled,
    RunStarted,
    StepBecameReady,
    StepCancelled,
    StepFailed,
    StepRequeued,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    StepValidating,
)
from conductor.core.model.plan import AgentPlan, FoldPlan, OnFailure
from conductor.core.model.run import Run, Stop
from conductor.core.model.states import SATISFYING_STEP, AttemptState, RunState, StepState
from conductor.core.model.step import Step
from conductor.core.model.work import WorkKind

STEPS_STUCK = "STEPS_STUCK"
_NOT_BEGUN = frozenset({StepState.PENDING, StepState.READY, StepState.QUEUED})
_BUSY = frozenset({StepState.READY, StepState.QUEUED, StepState.VALIDATING})


def make_progress(draft: RunDraft, most_events: int) -> None:
    """Looks at every step that is due, until nothing is or the draft holds that many events."""
    while draft.events < most_events:
        if draft.dirty:
            name = next(iter(draft.dirty))
            del draft.dirty[name]
            _look_at(draft, draft.step(name))
        elif stuck := _find_stuck(draft):
            settle_step(draft, StepCancelled(stuck, "nothing can meet what it needs"))
        else:
            return
    if stuck := _find_stuck(draft):
        draft.mark(stuck)  # there was no room: the next decision goes on here


def settle_step(draft: RunDraft, event: StepSkipped | StepSucceeded | StepFailed | StepCancelled) -> None:
    """Ends a step, and has everything looked at that waited for that."""
    stopped = draft.run.stop
    draft.queue.pop(event.step, None)
    draft.withdraw(event.step)
    draft.emit(event)
    draft.mark(*draft.run.dependants.get(event.step, ()), *draft.run.children.get(event.step, ()))
    if parent := draft.step(event.step).plan.parent:
        draft.mark(parent)
    if draft.run.stop is not stopped:
        look_at_all(draft)
    ask_report_when_done(draft)


def look_at_all(draft: RunDraft) -> None:
    """Has every step looked at that has not ended: the run begins, or stops."""
    draft.mark(*(name for name, step in draft.run.steps.items() if not step.is_settled))


def ask_report_when_done(draft: RunDraft) -> None:
    """Asks for the report once every step has ended."""
    if draft.run.unsettled == 0:
        draft.ask(WorkKind.REPORT)


def start_run(draft: RunDraft) -> None:
    """Notes that the first step began, where none had."""
    if draft.run.state is RunState.QUEUED:
        draft.emit(RunStarted())


def begin_step(draft: RunDraft, step: Step) -> None:
    """Begins a ready step whose guard, if it has one, let it pass."""
    name = step.plan.id
    match step.plan.work:
        case AgentPlan():
            draft.ask(WorkKind.PROMPT, name)
        case FoldPlan():
            start_run(draft)
            draft.emit(StepStarted(name))
            draft.mark(name, *draft.run.children.get(name, ()))
        case other:
            assert_never(other)


def settle_run(draft: RunDraft, report_failure: Failure | None = None) -> None:
    """Ends the run. One that would have succeeded fails when it has no report: that is what it was for."""
    state, failure = judge(draft.run)
    if report_failure is not None and state is RunState.SUCCEEDED:
        state, failure = RunState.FAILED, report_failure
    draft.emit(RunSettled(state, failure))


def judge(run: Run) -> tuple[RunState, Failure | None]:
    """Tells how a run ends whose steps have ended: by what stopped it, or well where nothing was stopped."""
    if run.stop is Stop.FAILURE:
        return RunState.FAILED, run.failure
    cancelled = [step for step in run.steps.values() if step.state is StepState.CANCELLED]
    if run.stop is Stop.CANCEL and cancelled:
        return RunState.CANCELLED, Failure("CANCELLED", run.cancel_reason or "It was cancelled.", HUMAN_REQUIRED)
    failed = [step for step in run.steps.values() if step.state is StepState.FAILED]
    for step in failed:
        if step.plan.on_failure is OnFailure.FAIL:
            return RunState.FAILED, step.failure
    stuck = [step for step in cancelled if _is_stuck(run, step)]
    if stuck:
        message = f"Nothing could meet what step {stuck[0].plan.id} needs."
        return RunState.FAILED, Failure(STEPS_STUCK, message, FATAL, stuck[0].plan.id)
    return RunState.SUCCEEDED, None


def why_stopped(run: Run, step: Step) -> str:
    """Tells why a step must not go on; empty where it may."""
    if run.stop is Stop.CANCEL:
        return run.cancel_reason or "the run was cancelled"
    if run.stop is Stop.FAILURE:
        return f"step {run.failure.step} failed" if run.failure and run.failure.step else "the run's time was up"
    parent = run.steps.get(step.plan.parent)
    if parent is None:
        return ""
    if parent.is_settled or _ended_badly(parent.last_attempt):
        return f"step {parent.plan.id}, which it is part of, ended"
    return why_stopped(run, parent)


def is_ready(run: Run, step: Step) -> bool:
    """Tells whether a pending step has what it needs."""
    parent = run.steps.get(step.plan.parent)
    if parent is not None and parent.state is not StepState.RUNNING:
        return False
    return all(_is_met(run.steps.get(need)) for need in step.plan.needs)


def are_children_settled(run: Run, step: Step) -> bool:
    """Tells whether every child of a step has ended."""
    return all(run.steps[child].is_settled for child in run.children.get(step.plan.id, ()))


def _is_met(need: Step | None) -> bool:
    if need is None:
        return False
    if need.state in SATISFYING_STEP:
        return True
    return need.plan.on_failure is OnFailure.CONTINUE and need.state in {StepState.FAILED, StepState.CANCELLED}


def _look_at(draft: RunDraft, step: Step) -> None:
    name = step.plan.id
    if step.state in _NOT_BEGUN and (why := why_stopped(draft.run, step)):
        settle_step(draft, StepCancelled(name, why))
    elif step.state is StepState.PENDING and is_ready(draft.run, step):
        draft.emit(StepBecameReady(name))
        if step.plan.has_skip_guard:
            draft.ask(WorkKind.SKIP_GUARD, name)
        else:
            begin_step(draft, draft.step(name))
    elif step.state is StepState.RUNNING:
        _look_at_running(draft, step)


def _look_at_running(draft: RunDraft, step: Step) -> None:
    name = step.plan.id
    attempt = step.last_attempt
    if attempt is not None and attempt.is_live:
        _stop_attempt(draft, step, attempt)
    elif not are_children_settled(draft.run, step):
        return
    elif attempt is not None and attempt.state is AttemptState.SUCCEEDED:
        draft.emit(StepValidating(name))
        draft.ask(WorkKind.CHECK, name, attempt.id)
    elif attempt is not None:
        _conclude_failure(draft, step, attempt)
    elif why := why_stopped(draft.run, step):
        settle_step(draft, StepCancelled(name, why))
    else:
        _ask_for_result(draft, step)


def _ask_for_result(draft: RunDraft, step: Step) -> None:
    match step.plan.work:
        case FoldPlan():
            draft.ask(WorkKind.FOLD, step.plan.id)
        case AgentPlan():
            raise ValueError(f"step {step.plan.id} runs, and no attempt was ever made of it")
        case other:
            assert_never(other)


def _stop_attempt(draft: RunDraft, step: Step, attempt: Attempt) -> None:
    track = draft.tracks[attempt.id]
    why = why_stopped(draft.run, step)
    if why and not track.cancelled:
        draft.send(CancelExecution(attempt.host, attempt.id, why))
        draft.note_cancelled(attempt.id)


def _conclude_failure(draft: RunDraft, step: Step, attempt: Attempt) -> None:
    failure = attempt.failure
    if failure is None or step.plan.agent is None:
        raise ValueError(f"attempt {attempt.id} ended badly and does not say why")
    why = why_stopped(draft.run, step)
    if why and failure.kind == RECOVERABLE:
        settle_step(draft, StepCancelled(step.plan.id, why))
        return
    try_again_or_fail(draft, step, failure)


def try_again_or_fail(draft: RunDraft, step: Step, failure: Failure) -> None:
    """Ends a step badly, unless its plan has another attempt for this failure."""
    name = step.plan.id
    retry = decide_retry(step.plan.agent, step.attempts, failure) if step.plan.agent and step.attempts else None
    if retry is None or why_stopped(draft.run, step):
        settle_step(draft, StepFailed(name, failure))
        return
    not_before = draft.now + retry.pause
    draft.emit(StepRequeued(name, failure, not_before, retry.cause, retry.number, retry.most))
    draft.enqueue(name, not_before)


def _find_stuck(draft: RunDraft) -> str:
    """Names a step that can never begin; empty where there is none. While anything is at work, that is not known."""
    if draft.run.unsettled == 0 or draft.tracks or draft.queue:
        return ""
    first = ""
    for name, step in draft.run.steps.items():
        if _is_busy(draft.run, step):
            return ""
        if not first and step.state is StepState.PENDING:
            first = name
    return first


def _is_busy(run: Run, step: Step) -> bool:
    return step.state in _BUSY or (step.state is StepState.RUNNING and are_children_settled(run, step))


def _ended_badly(attempt: Attempt | None) -> bool:
    return attempt is not None and not attempt.is_live and attempt.state is not AttemptState.SUCCEEDED


def _is_stuck(run: Run, step: Step) -> bool:
    """Tells whether a cancelled step, in a run that nobody stopped, is not explained by the end of its parent."""
    parent = run.steps.get(step.plan.parent)
    return parent is None or parent.state is StepState.SUCCEEDED
