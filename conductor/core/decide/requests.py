"""Takes the requests of callers: to create, cancel, pause or resume a run, or to decide a gate. Every one gets one reply.

A request id that was used before never comes here: the engine answers it from the store.
"""

from collections.abc import Callable, Iterable, Sequence

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import look_at_all
from conductor.core.folded.run import apply, key_of
from conductor.core.gates.decisions import (
    expire_gate,
    find_gate,
    is_overdue,
    is_repeated,
    judge_decision,
    resolve_gate,
)
from conductor.core.gates.pauses import hold_run, release_run
from conductor.core.model.commands import Accepted, Record, Rejected
from conductor.core.model.conductor_state import Ongoing
from conductor.core.model.events.run_events import RunCancelRequested, RunCreated
from conductor.core.model.inputs import (
    Blob,
    RequestCancel,
    RequestPause,
    RequestResolve,
    RequestResume,
    RequestRun,
    RunRequest,
)
from conductor.core.model.plan import RunPlan, every_step
from conductor.core.model.states import IllegalTransitionError, RunState
from conductor.core.model.step_path import is_step_path
from conductor.core.model.truncation import cut_text

MOST_REASON = 2000
RUN_NOT_RUNNING = "RUN_NOT_RUNNING"


def take_request(decision: DecisionDraft, request: RunRequest) -> None:
    """Takes a request about a run. The store knows whether a run that is not unfinished has ended, or never was."""
    if isinstance(request, RequestRun):
        take_run_request(decision, request)
        return
    draft = decision.draft(request.run)
    if draft is None or draft.run.is_settled:
        message = f"there is no unfinished run {request.run}"
        decision.replies.append(Rejected(request.reply, RUN_NOT_RUNNING, message))
        return
    match request:
        case RequestCancel():
            decision.change(request.run, lambda draft: _cancel(draft, request))
        case RequestPause():
            decision.change(request.run, lambda draft: _change_pause(draft, request, lambda: hold_run(draft, request)))
        case RequestResume():
            decision.touched_hosts = True  # its steps, and those of its sub-runs, say again what they wait for
            decision.change(
                request.run, lambda draft: _change_pause(draft, request, lambda: release_run(draft, request))
            )
        case RequestResolve():
            decision.change(request.run, lambda draft: _decide(draft, request))


def take_run_request(decision: DecisionDraft, request: RequestRun) -> None:
    """Creates a run with all its steps, or replies why not."""
    limits = decision.limits
    if count_asked_for(one for _, one in decision.runs()) >= limits.unfinished_runs:
        message = too_many_runs(limits.unfinished_runs)
        decision.replies.append(Rejected(request.reply, "NO_CAPACITY", message))
        return
    event = RunCreated(request.plan, request.request_id, request.request_digest, request.kept, request.trace)
    reply = Accepted(request.reply, request.plan.run)
    if flaw := create_run(decision, event, request.blobs, reply):
        decision.replies.append(Rejected(request.reply, "INVALID_REQUEST", flaw))


def count_asked_for(runs: Iterable[Ongoing | RunDraft]) -> int:
    """Returns the number of runs that callers asked for: their sub-runs count with them."""
    return sum(one.run.plan.parent is None for one in runs)


def too_many_runs(most: int) -> str:
    """Says why there is no room for another run."""
    return f"{most} runs are unfinished, which is the limit; try again when one has ended"


def _find_flaw(plan: RunPlan, most_steps: int) -> str:
    """Returns why a plan cannot become a run; empty where it can. Flows are validated before: this keeps the core's assumptions."""
    if len(plan.steps) > most_steps:
        return f"a run has at most {most_steps} steps, this one has {len(plan.steps)}"
    if not plan.run or "-" in plan.run:
        return f"'{plan.run}' cannot be part of an attempt's id"
    for step in plan.steps:
        if not is_step_path(step.id):
            return f"'{step.id}' cannot be the id of a step"
    for step in every_step(plan.steps):
        if step.agent is not None and not step.agent.agents:
            return f"step {step.id} asks an agent and names none"
    return ""


def create_run(
    decision: DecisionDraft,
    event: RunCreated,
    blobs: Sequence[Blob] = (),
    reply: Accepted | None = None,
) -> str:
    """Creates a run with all its steps; returns why not, where it cannot be."""
    run = event.plan.run
    if flaw := _find_flaw(event.plan, decision.limits.steps_per_run):
        return flaw
    if decision.view(run) is not None:
        return f"there is a run {run} already"
    try:
        draft = RunDraft(Ongoing(apply(None, event, decision.now)), decision.now, decision.limits, origin=None)
    except IllegalTransitionError as error:
        return str(error)
    draft.stored.append(Record(run, event, key_of(event)))
    draft.events = 1
    draft.blobs.extend(blobs)
    draft.replies.extend([reply] if reply is not None else [])
    decision.add(draft)
    decision.change(run, look_at_all)
    return ""


def _cancel(draft: RunDraft, request: RequestCancel) -> None:
    repeated = draft.run.state is RunState.CANCELLING
    draft.replies.append(Accepted(request.reply, request.run, repeated=repeated))
    if not repeated:
        draft.emit(
            RunCancelRequested(
                cut_text(request.reason or "cancelled by request", MOST_REASON),
                request.request_id,
                request.request_digest,
                request.by,
            )
        )
        look_at_all(draft)


def _change_pause(draft: RunDraft, request: RequestPause | RequestResume, change: Callable[[], bool]) -> None:
    if draft.run.state is RunState.CANCELLING:
        draft.replies.append(Rejected(request.reply, RUN_NOT_RUNNING, f"run {request.run} is being cancelled"))
    else:
        draft.replies.append(Accepted(request.reply, request.run, repeated=change()))


def _decide(draft: RunDraft, request: RequestResolve) -> None:
    gate = find_gate(draft.run, request.step, request.number)
    if gate is not None and is_overdue(gate, draft.now):
        expire_gate(draft, draft.step(gate.step), gate)
    refusal = judge_decision(draft.run, request)
    if refusal is not None:
        draft.replies.append(Rejected(request.reply, refusal.reason, refusal.message))
        return
    repeated = gate is not None and is_repeated(gate, request)
    draft.replies.append(Accepted(request.reply, request.run, repeated=repeated))
    if not repeated:
        resolve_gate(draft, request)
