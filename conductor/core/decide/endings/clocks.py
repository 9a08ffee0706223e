"""The three clocks of the conductor: how long a step waits for a place, how long a gate waits, and how long a run takes.

The other clocks of C6 (first output, silence, wall time) belong to a process. The host's shim keeps them, also while no
conductor is connected. Before `timeouts_suspended_until` these end nothing: after a sleep or a start, the conductor first
hears what happened meanwhile (see `advance`).
"""

from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import look_at_all, settle_step
from conductor.core.folded.step import Step
from conductor.core.gates.decisions import expire_gate, is_overdue
from conductor.core.model.events.run_events import RunTimedOut, StepFailed
from conductor.core.model.states import Failure, FailureClass

RUN_TIMEOUT = "RUN_TIMEOUT"
QUEUE_TIMEOUT = "QUEUE_TIMEOUT"


def ring_clocks(draft: RunDraft, most_events: int) -> None:
    """Ends the run, or its queued steps and gates, where their time is up, until the draft holds that many events."""
    deadline = draft.run.deadline
    if deadline is not None and deadline <= draft.now:
        draft.emit(RunTimedOut(_explain_run(draft)))
        look_at_all(draft)
        return
    for step in list(draft.run.steps.values()) if draft.run.waiting else ():
        gate = step.pending_gate
        if gate is not None and is_overdue(gate, draft.now) and draft.events < most_events:
            expire_gate(draft, step, gate)
    for name in list(draft.queue) if not draft.run.is_held else ():
        step = draft.step(name)
        if step.queue_deadline is not None and step.queue_deadline <= draft.now and draft.events < most_events:
            settle_step(draft, StepFailed(name, _explain_wait(step)))


def _explain_run(draft: RunDraft) -> Failure:
    text = f"The run took longer than its timeout of {draft.run.plan.timeout_seconds:g} s, and was stopped."
    return Failure(RUN_TIMEOUT, f"{text} Give the flow a longer timeout or fewer steps.", FailureClass.FATAL)


def _explain_wait(step: Step) -> Failure:
    seconds = step.plan.agent.queue_timeout_seconds if step.plan.agent is not None else 0.0
    waited_for = f": {step.wait.text}" if step.wait is not None else "."
    text = (
        f"It waited {seconds:g} s for a place{waited_for} Add a host or slots, or give the step a longer queue_timeout."
    )
    return Failure(QUEUE_TIMEOUT, text, FailureClass.HUMAN_REQUIRED, step.plan.id)
