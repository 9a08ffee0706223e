"""Takes a run further by itself.

The rules, before the code (see also `settling`; what differs between kinds of steps is in `core.kinds`):

- A step is looked at when something happened to it, to a step that it needs, to its parent, or to a child. No other step is.
- PENDING becomes READY as soon as the step's own needs are met and its parent, if any, is running (C1: no waves).
- A need is met by a step that succeeded, was skipped or excluded, or that may fail and failed (or was cancelled with its parent).
- A step of a retry whose result is kept ends with it at once.
- A step that can never begin (a cycle, a cancelled need) is cancelled as soon as nothing else is running and nothing waits at a
  gate, so no run hangs (C3).
"""

from conductor.core.decide.questions import pending_work
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import reuse, settle_step, why_stopped
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.kinds.table import kind_of
from conductor.core.model.events.run_events import StepBecameReady, StepCancelled
from conductor.core.model.states import SATISFYING_STEP, SETTLED_STEP, StepState

_NOT_AT_WORK = frozenset({StepState.PENDING, StepState.READY, StepState.QUEUED, StepState.WAITING_GATE})


def make_progress(draft: RunDraft, most_events: int) -> None:
    """Looks at every step that is due, until none is left or the draft holds that many events."""
    while draft.events < most_events:
        if draft.dirty:
            name = next(iter(draft.dirty))
            del draft.dirty[name]
            _look_at(draft, draft.step(name))
        elif stuck := _find_stuck(draft):
            settle_step(draft, StepCancelled(stuck, "its needs cannot be met"))
        else:
            return
    if stuck := _find_stuck(draft):
        draft.mark(stuck)  # there was no room: the next decision goes on here


def is_ready(run: Run, step: Step) -> bool:
    """Returns whether a pending step has what it needs."""
    parent = run.steps.get(step.plan.parent)
    if parent is not None and parent.state is not StepState.RUNNING:
        return False
    return all(_is_met(run.steps.get(need)) for need in step.plan.needs)


def _is_met(need: Step | None) -> bool:
    if need is None:
        return False
    if need.state in SATISFYING_STEP:
        return True
    return need.is_dispensable and need.state in {StepState.FAILED, StepState.CANCELLED}


def _look_at(draft: RunDraft, step: Step) -> None:
    name = step.plan.id
    if step.state is StepState.PENDING and step.kept is not None:
        reuse(draft, step.kept)
    elif step.state in _NOT_AT_WORK and (why := why_stopped(draft.run, step)):
        settle_step(draft, StepCancelled(name, why))
    elif step.state is StepState.PENDING and is_ready(draft.run, step):
        draft.emit(StepBecameReady(name))
        if not step.plan.has_skip_guard:
            kind_of(step).begin(draft, draft.step(name))
    elif step.state is StepState.RUNNING:
        kind_of(step).go_on(draft, step)


def _find_stuck(draft: RunDraft) -> str:
    """Names a step that can never begin; empty where there is none, and while anything is running."""
    if draft.run.unsettled == 0 or draft.run.waiting or draft.tracks or draft.queue or draft.dirty:
        return ""
    first = ""
    for name, step in draft.run.steps.items():
        if step.state is StepState.PENDING:
            first = first or name
        elif step.live_sub_run or (step.state not in SETTLED_STEP and pending_work(draft.run, step) is not None):
            return ""
    return first
