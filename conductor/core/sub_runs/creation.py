"""Creates sub-runs. Only here does a decision change two runs at once.

A sub-run is created in the decision that stores `SubRunStarted` of its step: both are stored, or neither. A run and its sub-runs
have as many steps together as one run may have.
"""

from dataclasses import replace
from functools import partial

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.requests import create_run
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import settle_step
from conductor.core.kinds.children import TOO_MANY_STEPS
from conductor.core.model.events.run_events import RunCreated, StepFailed, SubRunStarted
from conductor.core.model.plan import RunPlan
from conductor.core.model.states import Failure, FailureClass
from conductor.core.model.trace import Trace, span_of_step
from conductor.core.placing.unknown_agents import list_usable_agents, seat_panels

CALL_FAILED = "CALL_FAILED"


def start_sub_runs(decision: DecisionDraft, run: str) -> None:
    """Creates the sub-runs that were planned for steps of a run."""
    draft = decision.drafts.get(run)
    if draft is None:
        return
    for step, plan in dict(draft.sub_runs).items():
        trace = replace(draft.run.trace, parent=span_of_step(run, step)) if draft.run.trace is not None else None
        failure = _create(decision, step, plan, trace)
        event = StepFailed(step, failure) if failure else SubRunStarted(step, plan.run)
        decision.change(run, partial(_note, step=step, event=event))


def _create(decision: DecisionDraft, step: str, plan: RunPlan, trace: Trace | None) -> Failure | None:
    """Creates a sub-run; returns why not, where it cannot be."""
    most = decision.limits.steps_per_run
    if decision.count_steps(plan.root) + len(plan.steps) > most:
        text = f"The run and its sub-runs would have more than {most} steps. Let the step {step} run a smaller flow."
        return Failure(TOO_MANY_STEPS, text, FailureClass.HUMAN_REQUIRED, step)
    # Panels that need no agent go without those that no host has: see `placing.unknown_agents`.
    usable = list_usable_agents(decision.hosts, decision.hosts)
    seated = replace(plan, steps=seat_panels(plan.steps, usable, is_complete=False)) if usable else plan
    if flaw := create_run(decision, RunCreated(seated, trace=trace)):
        return Failure(CALL_FAILED, f"Cannot start the sub-run: {flaw}.", FailureClass.FATAL, step)
    return None


def _note(draft: RunDraft, step: str, event: SubRunStarted | StepFailed) -> None:
    del draft.sub_runs[step]
    if isinstance(event, SubRunStarted):
        draft.emit(event)
    else:
        settle_step(draft, event)
