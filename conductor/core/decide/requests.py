"""What callers ask: a run, or the end of one. Every request gets exactly one reply.

A request id that was used before never comes here: the engine answers it from the store.
"""

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import look_at_all
from conductor.core.model.commands import Accepted, Record, Rejected
from conductor.core.model.conductor_state import Ongoing
from conductor.core.model.events import RunCancelRequested, RunCreated
from conductor.core.model.inputs import RequestCancel, RequestRun
from conductor.core.model.plan import RunPlan
from conductor.core.model.run import apply, key_of
from conductor.core.model.states import IllegalTransitionError, RunState
from conductor.core.model.step_path import is_step_path
from conductor.core.model.truncation import cut_text

MOST_REASON = 2000


def take_run_request(making: DecisionDraft, request: RequestRun) -> None:
    """Creates a run with its whole roster, or says why not."""
    limits = making.limits
    if sum(1 for _ in making.runs()) >= limits.unfinished_runs:
        message = f"{limits.unfinished_runs} runs are at work already; try again when one has ended"
        making.replies.append(Rejected(request.reply, "NO_CAPACITY", message))
    elif flaw := _find_flaw(request.plan, limits.steps_per_run):
        making.replies.append(Rejected(request.reply, "INVALID_REQUEST", flaw))
    else:
        _create_run(making, request)


def take_cancel_request(making: DecisionDraft, request: RequestCancel) -> None:
    """Has a run stop, or says why it cannot."""
    draft = making.draft(request.run)
    if draft is None and request.run not in making.state.settled:
        # One that ended before this process began is not known here; the store knows it.
        message = f"no run {request.run} goes on here"
        making.replies.append(Rejected(request.reply, "RUN_NOT_FOUND", message))
    elif draft is None or draft.run.is_settled:
        making.replies.append(Rejected(request.reply, "RUN_NOT_RUNNING", f"run {request.run} has ended"))
    else:
        making.change(request.run, lambda draft: _cancel(draft, request))


def _find_flaw(plan: RunPlan, most_steps: int) -> str:
    """Says what no run can be made of. Flows are validated long before: this only keeps the core's own assumptions."""
    if len(plan.steps) > most_steps:
        return f"a run has at most {most_steps} steps, this one has {len(plan.steps)}"
    if not plan.run or "-" in plan.run:
        return f"'{plan.run}' cannot be part of an attempt's id"
    for step in plan.steps:
        if not is_step_path(step.id):
            return f"'{step.id}' cannot be the id of a step"
    for step in plan.steps:
        if step.agent is not None and not step.agent.agents:
            return f"step {step.id} asks an agent and names none"
    return ""


def _create_run(making: DecisionDraft, request: RequestRun) -> None:
    run = request.plan.run
    event = RunCreated(request.plan, request.request_id, request.request_digest)
    if making.view(run) is not None or run in making.state.settled:
        making.replies.append(Rejected(request.reply, "INVALID_REQUEST", f"there is a run {run} already"))
        return
    try:
        draft = RunDraft(Ongoing(apply(None, event, making.now)), making.now, origin=None)
    except IllegalTransitionError as error:
        making.replies.append(Rejected(request.reply, "INVALID_REQUEST", str(error)))
        return
    draft.stored.append(Record(run, event, key_of(event)))
    draft.events = 1
    draft.blobs.extend(request.blobs)
    draft.replies.append(Accepted(request.reply, run))
    making.drafts[run] = draft
    making.change(run, look_at_all)


def _cancel(draft: RunDraft, request: RequestCancel) -> None:
    repeated = draft.run.state is RunState.CANCELLING
    draft.replies.append(Accepted(request.reply, request.run, repeated=repeated))
    if not repeated:
        draft.emit(
            RunCancelRequested(cut_text(request.reason, MOST_REASON), request.request_id, request.request_digest)
        )
        look_at_all(draft)
