"""Decides: from a state, inputs and the time to what is stored, what is sent, and the next state.

    decision, after = advance(state, inputs, now)
    store(decision)          # one transaction; when it fails, try the same decision again
    send(decision.to_send)   # only now, and only now `after` is the state

It is pure: the same arguments give the same result, and `state` stays unchanged. It works in this order:

1. It opens runs that asked to be called by now, and ends runs that could not be folded at the start.
2. It takes inputs, as far as the decision has room for their events. The others wait for the next call, which is due at once.
3. It ends attempts whose hosts were silent too long (`loss`).
4. It looks at every step that something happened to, run by run (`progress`).
5. It ends runs, queued steps and gates whose time is up (`clocks`): after taking what came in time, before anything else begins.
6. It parks pools and opens them, and places queued steps of all runs (`schedule`).
7. It acknowledges what is stored by now, and restarts streams that have a gap, where that is due.
8. It notes which runs wait at gates (`core.gates.pauses`), tells agents that wait after a turn what follows (`turns`), and asks
   workers the questions that became open (`questions`).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.endings.clocks import ring_clocks
from conductor.core.decide.endings.loss import lose_silent_hosts
from conductor.core.decide.progress import make_progress
from conductor.core.decide.questions import ask_workers, take_answer
from conductor.core.decide.registry import take_host_request
from conductor.core.decide.reports import refuse_unknown, take_loss, take_refusal, take_report
from conductor.core.decide.requests import take_request
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.schedule import place_queued_steps
from conductor.core.decide.turns import tell_agents
from conductor.core.folded.attempt import attempt_owner
from conductor.core.gates.pauses import settle_pauses
from conductor.core.kinds import flow
from conductor.core.model.commands import Decision, Record
from conductor.core.model.conductor_state import ConductorState, Host
from conductor.core.model.events.run_events import RunSettled
from conductor.core.model.inputs import (
    ExecutionLost,
    ExecutionRefused,
    ExecutionReported,
    HostAgent,
    HostPool,
    HostReported,
    Input,
    Reach,
    RunRequest,
    SubRunReported,
    WorkFinished,
)
from conductor.core.model.registry import HostRequest
from conductor.core.model.states import Failure, FailureClass, RunState
from conductor.core.model.truncation import MOST_REASON, MOST_WORD, cut_text
from conductor.core.placing.quiet import note_quiet
from conductor.core.sub_runs.creation import start_sub_runs

STORAGE_DAMAGED = "STORAGE_DAMAGED"

# Of a host: its configuration allows no more.
MOST_LABELS = 32


def advance(state: ConductorState, inputs: Sequence[Input], now: float) -> tuple[Decision, ConductorState]:
    """Decides what follows from inputs and from the time."""
    decision = DecisionDraft(state, now)
    decision.touched_hosts = state.unscheduled
    is_late = state.wake_at is not None and now - state.wake_at > state.limits.late_tick
    if is_late:
        decision.timeouts_suspended_until = max(decision.timeouts_suspended_until, now + state.limits.late_grace)
    _settle_damaged(decision)
    _open_due_runs(decision)
    waiting = (*state.backlog, *inputs)
    for place, one in enumerate(waiting):
        if decision.room <= 0:
            decision.backlog.extend(waiting[place:])
            break
        _take(decision, one)
    lose_silent_hosts(decision, is_late=is_late)
    _look_at_runs(decision)
    if now >= decision.timeouts_suspended_until:
        _ring_clocks(decision)
    decision.settle_parks()
    if _needs_places(decision):
        place_queued_steps(decision)
        _look_at_runs(decision)  # a step that began may have let its children begin
    for run in list(decision.drafts):
        decision.change(run, RunDraft.tell_hosts)
        decision.change(run, settle_pauses)
        decision.change(run, tell_agents)
        decision.change(run, ask_workers)
    return decision.finish()


def _look_at_runs(decision: DecisionDraft) -> None:
    for run in list(decision.drafts):
        decision.change(run, lambda draft: make_progress(draft, draft.events + decision.room))


def _ring_clocks(decision: DecisionDraft) -> None:
    rung = [
        run for run, draft in list(decision.drafts.items()) if decision.ask(run, partial(_is_due, draft, decision.now))
    ]
    for run in rung:
        decision.change(run, lambda draft: ring_clocks(draft, draft.events + decision.room))
    if rung:
        _look_at_runs(decision)


def _is_due(draft: RunDraft, now: float) -> bool:
    return any(when <= now for when in draft.deadlines())


def _take(decision: DecisionDraft, one: Input) -> None:
    match one:
        case _ if isinstance(one, HostRequest):
            take_host_request(decision, one)
        case _ if isinstance(one, RunRequest):
            take_request(decision, one)
        case HostReported():
            _take_host(decision, one)
        case WorkFinished():
            decision.change(one.result.work.run, partial(take_answer, finished=one))
            start_sub_runs(decision, one.result.work.run)
        case SubRunReported():
            decision.change(one.run, partial(flow.take_end, ended=one))
        case ExecutionReported():
            run, _ = attempt_owner(one.attempt)
            if not decision.change(run, partial(take_report, report=one, limits=decision.limits)):
                decision.commands.extend(refuse_unknown(one))
        case ExecutionRefused():
            run, _ = attempt_owner(one.attempt)
            decision.change(run, partial(take_refusal, refusal=one))
        case ExecutionLost():
            run, _ = attempt_owner(one.attempt)
            decision.change(run, partial(take_loss, loss=one))


def _take_host(decision: DecisionDraft, report: HostReported) -> None:
    before, entry = decision.hosts.get(report.host), decision.registry.get(report.host)
    if report.address and (entry is None or entry.address != report.address):
        return  # its link was closed meanwhile
    silent_since = None
    if not report.connected:
        silent_since = before.silent_since if before is not None and not before.connected else decision.now
    pools = _smallest(report.pools)
    after = Host(
        name=report.host,
        connected=report.connected,
        draining=report.draining,
        slots=report.slots,
        agents=frozenset(agent.name for agent in report.agents),
        turn_agents=frozenset(agent.name for agent in report.agents if agent.takes_turns),
        place_agents=frozenset(agent.name for agent in report.agents if agent.names_places),
        unusable={agent.name: cut_text(agent.reason, MOST_REASON) for agent in report.unusable},
        silent_since=silent_since,
        instance=cut_text(report.instance, MOST_WORD) or (before.instance if before is not None else ""),
        instance_since=before.instance_since if before is not None else decision.now,
        was_reached=report.connected or (before is not None and before.was_reached),
        features=report.features,
        pools=pools,
        labels=dict(report.labels[:MOST_LABELS]),
        reach=_reach(report) if report.connected or before is None else before.reach,
        models={agent.name: agent for agent in map(_bounded, report.agents) if agent.pool in pools},
        drained=entry is not None and entry.drain is not None,
    )
    if before is not None and after.instance != before.instance:
        after = replace(after, instance_since=decision.now)
    if after != before:
        decision.hosts[report.host] = after
        decision.touched_hosts = True
    note_quiet(decision, after, report.quiet, came=after.connected and (before is None or not before.connected))


def _reach(report: HostReported) -> dict[str, Reach]:
    of_usable = {agent.name: agent.reach for agent in report.agents}
    return of_usable | {agent.name: agent.reach for agent in report.unusable}


def _smallest(pools: Sequence[HostPool]) -> dict[str, HostPool]:
    """Returns pools by name. A host may have several models in one: the smallest number of slots holds; a pool has at least one."""
    ordered = sorted(pools, key=lambda pool: -pool.slots)
    named = (replace(pool, name=cut_text(pool.name, MOST_WORD)) for pool in ordered if pool.slots > 0)
    return {pool.name: pool for pool in named}


def _bounded(agent: HostAgent) -> HostAgent:
    """Returns an agent whose pool and model fit into an event."""
    return replace(agent, pool=cut_text(agent.pool, MOST_WORD), model=cut_text(agent.model, MOST_REASON))


def _settle_damaged(decision: DecisionDraft) -> None:
    for run, damage in decision.state.damaged.items():
        text = cut_text(f"Cannot read the stored events of this run: {damage}")
        failure = Failure(STORAGE_DAMAGED, text, FailureClass.FATAL)
        decision.stored.append(Record(run, RunSettled(RunState.FAILED, failure), "RunSettled"))


def _open_due_runs(decision: DecisionDraft) -> None:
    for run, ongoing in decision.state.ongoing.items():
        if ongoing.wake_at is not None and ongoing.wake_at <= decision.now:
            draft = decision.draft(run)
            if draft is not None:
                draft.wants_place = bool(draft.queue)


def _needs_places(decision: DecisionDraft) -> bool:
    if decision.touched_hosts or decision.unscheduled:
        return True
    return any(draft.wants_place or draft.freed_place for draft in decision.drafts.values())
