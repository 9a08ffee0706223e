"""Starts runs, and steps that need no place."""

from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.step import Step
from conductor.core.model.events.run_events import RunStarted, StepStarted
from conductor.core.model.states import RunState


def start_run(draft: RunDraft) -> None:
    """Starts the run, if this is its first step that begins. One that is cancelled meanwhile goes on as cancelled."""
    if draft.run.start_time is None and draft.run.state is not RunState.CANCELLING:
        draft.emit(RunStarted())


def start_step(draft: RunDraft, step: Step) -> None:
    """Starts a step that needs no place; its children may begin then."""
    name = step.plan.id
    start_run(draft)
    draft.emit(StepStarted(name))
    draft.mark(*draft.run.children.get(name, ()))
