"""Ends steps of every kind, and runs.

The rules, before the code:

- A run stops when a step of its flow fails that may not fail, or when a caller cancels it. Then steps that have not begun are
  cancelled, running attempts are told to end, and their output is kept.
- A step ends after its children. A child that fails stops the other steps of its item or round, never the run. When too few items
  can succeed, the others are stopped, too.
- A step that fails and asks a person then waits at a gate, unless it must not go on anyway. The decision ends it.
- When every step has ended, the report is asked for (see `questions`), and then the run ends. Its state follows from its steps.
"""

from dataclasses import replace

from conductor.core.decide.run_draft import RunDraft
from conductor.core.folded.attempt import Attempt
from conductor.core.folded.run import Run, Stop
from conductor.core.folded.step import Step
from conductor.core.gates.opening import open_failure_gate
from conductor.core.model.events.event_parts import FindingCounts, KeptResult
from conductor.core.model.events.run_events import (
    FindingChecked,
    RunSettled,
    StepCancelled,
    StepFailed,
    StepReused,
    StepSkipped,
    StepSucceeded,
)
from conductor.core.model.plan import AgentPlan, ForeachPlan, OnFailure, OnInvalid, SubFlowPlan
from conductor.core.model.states import Cause, Failure, FailureClass, GateDecision, RunState, StepState
from conductor.core.model.truncation import cut_text

STEPS_STUCK = "STEPS_STUCK"
_ASKING = (AgentPlan, SubFlowPlan)
_ASKED = frozenset({StepState.SUCCEEDED, StepState.FAILED})


def reuse(draft: RunDraft, kept: KeptResult) -> None:
    """Ends a step as it ended in the run that this one retries, with one event for each finding."""
    _emit_findings(draft, kept.step, kept.findings, kept.counts)
    settle_step(draft, StepReused(kept.step, kept.state, kept.findings, kept.counts))


def succeed(draft: RunDraft, step: Step, text: str, findings: str, counts: FindingCounts, *, output: str = "") -> None:
    """Ends a step well, with one event for each finding."""
    name = step.plan.id
    _emit_findings(draft, name, findings, counts)
    settle_step(draft, StepSucceeded(name, text, findings, counts, output))


def _emit_findings(draft: RunDraft, step: str, findings: str, counts: FindingCounts) -> None:
    for number in range(counts.total):
        draft.emit(FindingChecked(step, findings, number))


def settle_step(draft: RunDraft, event: StepSkipped | StepSucceeded | StepFailed | StepCancelled | StepReused) -> None:
    """Ends a step, and marks every step that waited for it. One that fails may ask a person first."""
    if isinstance(event, StepFailed) and _asks_person(draft.run, draft.step(event.step), event.failure):
        open_failure_gate(draft, draft.step(event.step), event.failure)
        return
    stopped = draft.run.stop
    draft.queue.pop(event.step, None)
    draft.emit(event)
    draft.mark(*draft.run.dependants.get(event.step, ()), *draft.run.children.get(event.step, ()))
    if parent := draft.step(event.step).plan.parent:
        _look_around(draft, draft.step(parent), draft.step(event.step))
    if draft.run.stop is not stopped:
        look_at_all(draft)


def _look_around(draft: RunDraft, parent: Step, child: Step) -> None:
    """Marks a step whose child ended, and the children that must stop for it: those of one item, or all."""
    draft.mark(parent.plan.id)
    children = draft.run.children.get(parent.plan.id, ())
    if is_out_of_reach(parent):
        draft.mark(*(name for name in children if not draft.step(name).is_settled))
    elif child.plan.index in parent.items.failed and child.state in {StepState.FAILED, StepState.CANCELLED}:
        draft.mark(*(name for name in children if draft.step(name).plan.index == child.plan.index))


def _asks_person(run: Run, step: Step, failure: Failure) -> bool:
    """Returns whether a person decides about the failure of a step, and has not yet."""
    asks = step.plan.on_failure is OnFailure.GATE
    if failure.cause is Cause.SCHEMA and step.plan.on_invalid is not OnInvalid.FAIL:
        asks = step.plan.on_invalid is OnInvalid.GATE
    return asks and step.state is not StepState.WAITING_GATE and not why_stopped(run, step)


def look_at_all(draft: RunDraft) -> None:
    """Marks every step that has not ended: the run begins, or stops."""
    draft.mark(*(name for name, step in draft.run.steps.items() if not step.is_settled))


def are_children_settled(run: Run, step: Step) -> bool:
    """Returns whether every child of a step has ended."""
    return all(run.steps[child].is_settled for child in run.children.get(step.plan.id, ()))


def why_stopped(run: Run, step: Step) -> str:
    """Returns why a step must not go on; empty where it may."""
    if run.stop is Stop.CANCEL:
        return run.cancel_reason or "the run was cancelled"
    if run.stop is Stop.FAILURE:
        return f"step {run.failure.step} failed" if run.failure and run.failure.step else "the run's time was up"
    parent = run.steps.get(step.plan.parent)
    return _why_part_stopped(step, parent) or why_stopped(run, parent) if parent is not None else ""


def _why_part_stopped(step: Step, parent: Step) -> str:
    if parent.is_settled or _ended_badly(parent.last_attempt):
        return f"step {parent.plan.id}, which it is part of, ended"
    failed = parent.items.failed.get(step.plan.index)
    if failed:
        return f"step {failed} failed"
    if is_out_of_reach(parent):
        return f"too few items of step {parent.plan.id} can succeed"
    return "" if failed is None else "another step beside it was cancelled"


def is_out_of_reach(step: Step) -> bool:
    """Returns whether fewer items of a step can succeed than must."""
    count = step.items.count
    return count is not None and count - len(step.items.failed) < min_success(step)


def min_success(step: Step) -> int:
    """Returns how many items of a step must succeed."""
    count, plan = step.items.count or 0, step.plan.work
    asked = plan.min_success if isinstance(plan, ForeachPlan) else None
    return count if asked is None else min(asked, count)


def settle_run(draft: RunDraft, report_failure: Failure | None = None) -> None:
    """Ends the run. A run without its report has failed, even if its steps succeeded."""
    state, failure = judge(draft.run)
    if report_failure is not None and state is RunState.SUCCEEDED:
        state, failure = RunState.FAILED, report_failure
    draft.emit(RunSettled(state, failure))


def judge(run: Run) -> tuple[RunState, Failure | None]:
    """Returns how a run ends whose steps have ended."""
    if run.stop is Stop.FAILURE:
        return RunState.FAILED, run.failure
    own = [step for step in run.steps.values() if not step.plan.parent]
    cancelled = [step for step in own if step.state is StepState.CANCELLED]
    if run.stop is Stop.CANCEL and cancelled:
        return RunState.CANCELLED, Failure(
            "CANCELLED", run.cancel_reason or "It was cancelled.", FailureClass.HUMAN_REQUIRED
        )
    for step in own:
        if step.state is StepState.FAILED and not step.is_dispensable:
            return RunState.FAILED, step.failure
    if cancelled:
        message = f"The needs of step {cancelled[0].plan.id} could not be met."
        return RunState.FAILED, Failure(STEPS_STUCK, message, FailureClass.FATAL, cancelled[0].plan.id)
    if (failure := _none_could_work(run)) is not None:
        return RunState.FAILED, failure
    return RunState.SUCCEEDED, None


def _none_could_work(run: Run) -> Failure | None:
    """Returns the first failure of a run in which every step failed that asked an agent.

    `continue` lets a run go on without an agent that fails. A run without any answer is another matter: a report without findings
    would read as praise. A person who leaves out a step with items, or gives its text, has answered for its agents.
    """
    asking = (step for step in run.steps.values() if isinstance(step.plan.work, _ASKING) and step.state in _ASKED)
    asked = [step for step in asking if not _is_left_out(run, step)]
    failures = [step.failure for step in asked if step.state is StepState.FAILED and step.failure is not None]
    if not failures or len(failures) < len(asked) or any(map(_has_text_of_a_person, run.steps.values())):
        return None
    first = failures[0]
    message = cut_text(f"No agent of this run gave an answer. The first failure: {first.message}")
    return replace(first, message=message, step=asked[0].plan.id)


def _has_text_of_a_person(step: Step) -> bool:
    """Returns whether a person gave the text of a step that had failed."""
    return step.gate is not None and step.gate.decision is GateDecision.EDIT and step.gate.failure is not None


def _is_left_out(run: Run, step: Step) -> bool:
    """Returns whether a person left out a step that this one is inside of."""
    parent = run.steps.get(step.plan.parent)
    return parent is not None and (parent.state is StepState.SKIPPED or _is_left_out(run, parent))


def _ended_badly(attempt: Attempt | None) -> bool:
    return attempt is not None and not attempt.is_live and not attempt.ended_well
