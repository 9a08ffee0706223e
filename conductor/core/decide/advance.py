"""The one function that decides. Inputs and time go in; what to store, what to send and the next state come out.

    decision, after = advance(state, inputs, now)
    store(decision)          # one transaction; when it fails, try the same decision again
    send(decision.to_send)   # only now; and only now `after` is the state

It is pure: the same arguments give the same result, and `state` stays as it was. In this order:

1. runs that wanted to be called by now, and runs that could not be folded at the start;
2. inputs, as far as the decision has room for their events; the rest waits for the next call, which `wake_at` asks for at once;
3. attempts whose hosts were silent too long are lost (`loss`);
4. every step that something happened to is looked at (`progress`), runs one by one;
5. runs and queued steps whose time is up are ended (`clocks`): after what came in time, and before anything more is begun;
6. queued steps get places, over all runs (`schedule`);
7. what is stored by now is acknowledged, and streams with a gap begin anew, where that is due;
8. workers are asked what is open now and was not before (`questions`).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from conductor.core.decide.clocks import ring_clocks
from conductor.core.decide.decision_draft import INTERNAL, DecisionDraft
from conductor.core.decide.loss import lose_silent_hosts
from conductor.core.decide.progress import make_progress
from conductor.core.decide.questions import ask_workers, take_answer
from conductor.core.decide.reports import refuse_unknown, take_loss, take_refusal, take_report
from conductor.core.decide.requests import take_cancel_request, take_run_request
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.schedule import place_queued_steps
from conductor.core.model.attempt import attempt_owner
from conductor.core.model.commands import Decision, Record
from conductor.core.model.conductor_state import ConductorState, Host
from conductor.core.model.events import Failure, RunSettled
from conductor.core.model.failure import FailureClass
from conductor.core.model.inputs import (
    ExecutionLost,
    ExecutionRefused,
    ExecutionReported,
    HostReported,
    Input,
    RequestCancel,
    RequestRun,
    WorkFinished,
)
from conductor.core.model.states import RunState
from conductor.core.model.truncation import MOST_REASON, cut_text


def advance(state: ConductorState, inputs: Sequence[Input], now: float) -> tuple[Decision, ConductorState]:
    """Decides what follows from inputs and from the time. `state` is not changed."""
    making = DecisionDraft(state, now)
    making.touched_hosts = state.unscheduled
    is_late = state.wake_at is not None and now - state.wake_at > state.limits.late_tick
    if is_late:
        making.spared_until = max(making.spared_until, now + state.limits.late_grace)
    _settle_damaged(making)
    _open_due_runs(making)
    waiting = (*state.backlog, *inputs)
    for place, one in enumerate(waiting):
        if making.room <= 0:
            making.backlog.extend(waiting[place:])
            break
        _take(making, one)
    lose_silent_hosts(making, is_late=is_late)
    _look_at_runs(making)
    if now >= making.spared_until:
        _ring_clocks(making)
    if _needs_places(making):
        place_queued_steps(making)
        _look_at_runs(making)  # a step that began may have let its children begin
    for run in list(making.drafts):
        making.change(run, RunDraft.tell_hosts)
        making.change(run, ask_workers)
    return making.decide()


def _look_at_runs(making: DecisionDraft) -> None:
    for run in list(making.drafts):
        making.change(run, lambda draft: make_progress(draft, draft.events + making.room))


def _ring_clocks(making: DecisionDraft) -> None:
    rung = [run for run, draft in list(making.drafts.items()) if making.ask(run, partial(_is_due, draft, making.now))]
    for run in rung:
        making.change(run, lambda draft: ring_clocks(draft, draft.events + making.room))
    if rung:
        _look_at_runs(making)


def _is_due(draft: RunDraft, now: float) -> bool:
    return any(when <= now for when in draft.deadlines())


def _take(making: DecisionDraft, one: Input) -> None:
    match one:
        case RequestRun():
            take_run_request(making, one)
        case RequestCancel():
            take_cancel_request(making, one)
        case HostReported():
            _take_host(making, one)
        case WorkFinished():
            making.change(one.result.work.run, partial(take_answer, finished=one))
        case ExecutionReported():
            run, _ = attempt_owner(one.attempt)
            if not making.change(run, partial(take_report, report=one, limits=making.limits)):
                making.commands.extend(refuse_unknown(one))
        case ExecutionRefused():
            run, _ = attempt_owner(one.attempt)
            making.change(run, partial(take_refusal, refusal=one))
        case ExecutionLost():
            run, _ = attempt_owner(one.attempt)
            making.change(run, partial(take_loss, loss=one))


def _take_host(making: DecisionDraft, report: HostReported) -> None:
    before = making.hosts.get(report.host)
    silent_since = None
    if not report.connected:
        silent_since = before.silent_since if before is not None and not before.connected else making.now
    after = Host(
        name=report.host,
        connected=report.connected,
        draining=report.draining,
        slots=report.slots,
        agents=frozenset(agent.name for agent in report.agents),
        unusable={agent.name: cut_text(agent.reason, MOST_REASON) for agent in report.unusable},
        silent_since=silent_since,
        instance=report.instance or (before.instance if before is not None else ""),
        instance_since=before.instance_since if before is not None else making.now,
        was_reached=report.connected or (before is not None and before.was_reached),
        features=report.features,
    )
    if before is not None and after.instance != before.instance:
        after = replace(after, instance_since=making.now)
    if after != before:
        making.hosts[report.host] = after
        making.touched_hosts = True


def _settle_damaged(making: DecisionDraft) -> None:
    for run, damage in making.state.damaged.items():
        failure = Failure(INTERNAL, cut_text(f"What is stored of it cannot be read: {damage}"), FailureClass.FATAL)
        making.stored.append(Record(run, RunSettled(RunState.FAILED, failure), "RunSettled"))


def _open_due_runs(making: DecisionDraft) -> None:
    for run, ongoing in making.state.ongoing.items():
        if ongoing.wake_at is not None and ongoing.wake_at <= making.now:
            draft = making.draft(run)
            if draft is not None:
                draft.wants_place = bool(draft.queue)


def _needs_places(making: DecisionDraft) -> bool:
    if making.touched_hosts or making.unscheduled:
        return True
    return any(draft.wants_place or draft.freed_place for draft in making.drafts.values())
