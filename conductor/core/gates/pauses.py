"""Pauses runs and resumes them: an operator holds a run, or all its unfinished work waits at gates.

The rules, before the code:

- While an operator holds a run, no attempt of it begins (see `schedule`), and steps wait for their place without a clock. What
  runs goes on, and the run's own clock too.
- A run waits at gates when nothing else of it is at work or could be. Then its own clock stands still.
- Each cause begins and ends by itself; the run is paused while there is one. A run that stops is not paused.
"""

from conductor.core.decide.questions import pending_work
from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.events.gate_events import RunPaused, RunResumed
from conductor.core.model.inputs import RequestPause, RequestResume
from conductor.core.model.states import PauseCause, RunState, StepState
from conductor.core.model.truncation import cut_text

_IDLE = frozenset({StepState.PENDING, StepState.WAITING_GATE})


def hold_run(draft: RunDraft, asked: RequestPause) -> bool:
    """Lets no further attempt begin; returns whether none would begin anyway."""
    if PauseCause.OPERATOR in draft.run.pauses or draft.run.stop is not None:
        return True
    draft.emit(RunPaused(PauseCause.OPERATOR, cut_text(asked.reason), asked.request_id, asked.request_digest, asked.by))
    return False


def release_run(draft: RunDraft, asked: RequestResume) -> bool:
    """Lets attempts begin again; returns whether no operator held the run."""
    if PauseCause.OPERATOR not in draft.run.pauses:
        return True
    _resume(draft, PauseCause.OPERATOR, asked)
    return False


def settle_pauses(draft: RunDraft) -> None:
    """Notes that the run waits at gates from now on, or no longer, or that it stops."""
    run = draft.run
    if run.stop is not None:
        for cause in run.pauses if run.state is RunState.PAUSED else ():
            _resume(draft, cause)
    elif draft.dirty:
        return  # the next decision looks at these steps, and is due at once
    elif (waits := _waits_at_gates(draft)) is not (PauseCause.GATE in run.pauses):
        if waits:
            draft.emit(RunPaused(PauseCause.GATE))
        else:
            _resume(draft, PauseCause.GATE)


def _resume(draft: RunDraft, cause: PauseCause, asked: RequestResume | None = None) -> None:
    run = draft.run
    state = RunState.QUEUED if run.start_time is None else RunState.RUNNING
    if any(other is not cause for other in run.pauses):
        state = RunState.PAUSED
    told = (asked.request_id, asked.request_digest, asked.by) if asked is not None else ()
    draft.emit(RunResumed(cause, state, *told))


def _waits_at_gates(draft: RunDraft) -> bool:
    run = draft.run
    if not run.waiting or draft.tracks or draft.queue:
        return False
    return all(step.is_settled or _is_idle(run, step) for step in run.steps.values())


def _is_idle(run: Run, step: Step) -> bool:
    """Returns whether a step waits for others or for a person, and for nothing else."""
    if step.state in _IDLE:
        return True
    has_children = any(not run.steps[child].is_settled for child in run.children.get(step.plan.id, ()))
    return step.state is StepState.RUNNING and has_children and pending_work(run, step) is None
