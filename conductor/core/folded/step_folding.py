"""The step after an event. States change by the tables of `states` only."""

from conductor.core.folded.attempt import AttemptEvent, apply_to_attempt, create_attempt
from conductor.core.folded.gate import open_gate, resolve_gate, supersede_gate
from conductor.core.folded.replacement import replace
from conductor.core.folded.step import REPAIR, Step, Wait
from conductor.core.folded.sub_run import apply_to_sub_run
from conductor.core.folded.turn import Repair
from conductor.core.model.events.attempt_events import (
    AttemptCreated,
    AttemptEnded,
    AttemptStarted,
    InputRefused,
    RepairAsked,
    TurnChecked,
    TurnEnded,
)
from conductor.core.model.events.gate_events import GateOpened, GateResolved, StepWaitsAtGate
from conductor.core.model.events.run_events import (
    FindingChecked,
    ItemsListed,
    ReportRefused,
    RoundJudged,
    StepBecameReady,
    StepCancelled,
    StepFailed,
    StepGuardPassed,
    StepQueued,
    StepRequeued,
    StepReused,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    StepValidating,
    StepWaits,
    SubRunEnded,
    SubRunStarted,
)
from conductor.core.model.states import (
    Cause,
    IllegalTransitionError,
    StepState,
    WaitKind,
    move_step,
)

StepEvent = (
    StepBecameReady
    | StepGuardPassed
    | ItemsListed
    | RoundJudged
    | StepSkipped
    | StepReused
    | StepQueued
    | StepWaits
    | StepStarted
    | SubRunStarted
    | SubRunEnded
    | AttemptCreated
    | AttemptStarted
    | AttemptEnded
    | TurnEnded
    | TurnChecked
    | RepairAsked
    | InputRefused
    | StepRequeued
    | StepValidating
    | StepSucceeded
    | StepFailed
    | StepCancelled
    | ReportRefused
    | FindingChecked
    | GateOpened
    | StepWaitsAtGate
    | GateResolved
)


def apply_to_step(step: Step, event: StepEvent, time: float) -> Step:
    """Returns the step after an event."""
    match event:
        case AttemptCreated():
            return _add_attempt(step, event, time)
        case (
            AttemptStarted()
            | AttemptEnded()
            | ReportRefused()
            | TurnEnded()
            | TurnChecked()
            | InputRefused()
            | RepairAsked()
        ):
            return _change_attempt(step, event, time)
        case StepSkipped() | StepSucceeded() | StepFailed() | StepCancelled() | StepReused():
            return _settle(step, event, time)
        case StepQueued() | StepRequeued() | StepWaits():
            return _queue(step, event, time)
        case (
            ItemsListed()
            | RoundJudged()
            | GateOpened()
            | StepWaitsAtGate()
            | GateResolved()
            | SubRunStarted()
            | SubRunEnded()
        ):
            return _change_part(step, event, time)
        case StepBecameReady() | StepGuardPassed() | StepStarted() | StepValidating() | FindingChecked():
            return _advance(step, event, time)


Part = ItemsListed | RoundJudged | GateOpened | StepWaitsAtGate | GateResolved | SubRunStarted | SubRunEnded


def _change_part(step: Step, event: Part, time: float) -> Step:
    if isinstance(event, GateOpened | StepWaitsAtGate | GateResolved):
        return _change_gate(step, event, time)
    if isinstance(event, SubRunStarted):
        state = move_step(step.state, StepState.RUNNING)
        return replace(step, state=state, sub_run=apply_to_sub_run(step.sub_run, event), start_time=time)
    if step.state is not StepState.RUNNING:
        raise IllegalTransitionError(f"step {step.plan.id} is {step.state}, and has no items and no sub-run at work")
    if isinstance(event, SubRunEnded):
        return replace(step, sub_run=apply_to_sub_run(step.sub_run, event))
    items = step.items.with_list(event) if isinstance(event, ItemsListed) else step.items.with_judged(event)
    return replace(step, items=items)


Progress = StepBecameReady | StepGuardPassed | StepStarted | StepValidating | FindingChecked


def _advance(step: Step, event: Progress, time: float) -> Step:
    if isinstance(event, StepBecameReady):
        return replace(step, state=move_step(step.state, StepState.READY), ready_time=time)
    if isinstance(event, StepGuardPassed):
        if step.state is not StepState.READY or not step.plan.has_skip_guard:
            raise IllegalTransitionError(f"step {step.plan.id} is {step.state}, and has no open guard")
        return replace(step, guard_passed=True)
    if isinstance(event, FindingChecked):
        if step.is_settled:
            raise IllegalTransitionError(f"step {step.plan.id} has ended, and cannot find anything more")
        return step
    if isinstance(event, StepStarted):
        return replace(step, state=move_step(step.state, StepState.RUNNING), start_time=time)
    return replace(step, state=move_step(step.state, StepState.VALIDATING))


def _change_gate(step: Step, event: GateOpened | StepWaitsAtGate | GateResolved, time: float) -> Step:
    gate = step.gate
    match event:
        case GateOpened():
            if step.is_settled or step.live_attempt is not None or (gate is not None and gate.number >= event.number):
                raise IllegalTransitionError(
                    f"step {step.plan.id} is {step.state}, and cannot open gate {event.number}"
                )
            return replace(step, gates=(*step.gates, open_gate(event, time)))
        case StepWaitsAtGate():
            start = time if step.start_time is None else step.start_time
            return replace(step, state=move_step(step.state, StepState.WAITING_GATE), wait=None, start_time=start)
        case GateResolved():
            if gate is None or step.state is not StepState.WAITING_GATE:
                raise IllegalTransitionError(f"step {step.plan.id} waits at no gate {event.number}")
            return replace(step, gates=(*step.gates[:-1], resolve_gate(gate, event, time)))


def _add_attempt(step: Step, event: AttemptCreated, time: float) -> Step:
    if event.number != len(step.attempts) + 1 or step.state is not StepState.QUEUED:
        raise IllegalTransitionError(f"attempt {event.attempt} cannot follow {len(step.attempts)}, while {step.state}")
    if not event.start.parameters:
        parameters = step.list_parameters(asks_model=bool(event.pool))
        event = replace(event, start=replace(event.start, parameters=parameters))
    return replace(
        step,
        state=move_step(step.state, StepState.RUNNING),
        wait=None,
        attempts=(*step.attempts, create_attempt(event, time)),
        start_time=time if step.start_time is None else step.start_time,
    )


def _change_attempt(step: Step, event: AttemptEvent, time: float) -> Step:
    for place, attempt in enumerate(step.attempts):
        if attempt.id == event.attempt:
            after = apply_to_attempt(attempt, event, time)
            changed = replace(step, attempts=(*step.attempts[:place], after, *step.attempts[place + 1 :]))
            return _ask_repair(changed, event, time) if isinstance(event, RepairAsked) else changed
    raise IllegalTransitionError(f"step {step.plan.id} has no attempt {event.attempt}")


def _ask_repair(step: Step, event: RepairAsked, time: float) -> Step:
    if step.repair is not None:
        raise IllegalTransitionError(f"step {step.plan.id} was asked for a repair before")
    repair = Repair(event.attempt, event.turn, event.prompt, event.input, event.failure, time, usable=event.usable)
    return replace(step, repair=repair, next_prompt=event.prompt)


def _queue(step: Step, event: StepQueued | StepRequeued | StepWaits, time: float) -> Step:
    if step.live_attempt is not None:
        raise IllegalTransitionError(f"step {step.plan.id} has a live attempt, and cannot queue for another")
    match event:
        case StepQueued():
            state, prompt = move_step(step.state, StepState.QUEUED), event.prompt
            return replace(
                step, state=state, prompt=prompt, next_prompt=prompt, parameters=event.parameters, queue_time=time
            )
        case StepRequeued():
            return _requeue(step, event)
        case StepWaits():
            if step.state is not StepState.QUEUED:
                raise IllegalTransitionError(f"step {step.plan.id} is {step.state}, and only a queued step waits")
            return replace(step, wait=Wait(event.kind, event.text, step.queue_deadline, event.pool))


def _requeue(step: Step, event: StepRequeued) -> Step:
    repair, next_prompt = step.repair, step.next_prompt
    if event.cause == REPAIR and repair is not None and step.last_attempt is not None:
        repair = replace(repair, instead_of=step.last_attempt.id)
    elif event.cause == Cause.SCHEMA:  # the repair was answered, and badly: the next attempt begins as the first did
        next_prompt = step.prompt
    return replace(
        step,
        state=move_step(step.state, StepState.QUEUED),
        wait=Wait(WaitKind.RETRY, _explain_retry(event), event.not_before),
        not_before=event.not_before,
        queue_time=event.not_before,
        repair=repair,
        next_prompt=next_prompt,
    )


def _explain_retry(event: StepRequeued) -> str:
    failure = event.failure
    if event.cause == REPAIR:
        return f"The agent is asked once to repair its answer: {failure.message}"
    if not event.retries:
        return f"A pause before the next attempt: {failure.message}"
    which = f"Retry {event.retry} of {event.retries} ({event.cause})"
    return f"{which} follows after a pause: {failure.reason}: {failure.message}"


def _reuse(step: Step, time: float) -> Step:
    kept = step.kept
    if kept is None:
        raise IllegalTransitionError(f"no result is kept for step {step.plan.id}")
    return replace(
        step,
        state=move_step(step.state, kept.state),
        is_reused=True,
        text=kept.text,
        findings=kept.findings,
        output=kept.output,
        counts=kept.counts,
        reason=kept.reason,
        failure=kept.failure,
        start_time=time if kept.began else None,
        end_time=time,
    )


def _settle(
    step: Step, event: StepSkipped | StepSucceeded | StepFailed | StepCancelled | StepReused, time: float
) -> Step:
    if step.live_attempt is not None:
        raise IllegalTransitionError(f"step {step.plan.id} has a live attempt, and cannot end before it")
    if (gate := step.pending_gate) is not None:
        if not isinstance(event, StepCancelled):
            raise IllegalTransitionError(f"step {step.plan.id} waits at a gate, and cannot end before its decision")
        step = replace(step, gates=(*step.gates[:-1], supersede_gate(gate, time)))
    match event:
        case StepReused():
            return _reuse(step, time)
        case StepSkipped():
            state = move_step(step.state, StepState.SKIPPED)
            return replace(step, state=state, reason=event.reason, wait=None, end_time=time)
        case StepSucceeded():
            return replace(
                step,
                state=move_step(step.state, StepState.SUCCEEDED),
                text=event.text,
                findings=event.findings,
                counts=event.counts,
                output=event.output,
                end_time=time,
            )
        case StepFailed():
            state = move_step(step.state, StepState.FAILED)
            return replace(step, state=state, failure=event.failure, wait=None, end_time=time)
        case StepCancelled():
            state = move_step(step.state, StepState.CANCELLED)
            return replace(step, state=state, reason=event.reason, wait=None, end_time=time)
