"""What must be true of every decision, judged from what is stored and not from what the core believes."""

from collections import Counter
from collections.abc import Iterator

from conductor.core.folded.attempt import Attempt, attempt_owner
from conductor.core.folded.run import Run, Stop
from conductor.core.folded.step import Step
from conductor.core.folded.turn import TurnState
from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    CloseExecution,
    Command,
    Decision,
    Evaluate,
    Record,
    ResumeExecution,
    SendInput,
    StartExecution,
)
from conductor.core.model.conductor_state import ConductorState, Limits, Ongoing, Pool
from conductor.core.model.events.attempt_events import AttemptCreated
from conductor.core.model.plan import ForeachPlan, LoopPlan
from conductor.core.model.states import AttemptState, GateDecision, PauseCause, StepState
from conductor.core.model.work import Work, WorkKind
from conductor.core.placing.demand import demand_of
from conductor.core.placing.placement import may_take, most_reach
from tests.simulation.judges.items import check_items
from tests.simulation.judges.journal import NOT_AT_WORK, JudgedDisk, could_begin, ends_run, is_held
from tests.simulation.judges.sub_runs import check_stopped
from tests.simulation.judges.violation import Violation

_MOST_EVENTS_OF_AN_INPUT = 6
_CHECKED = {TurnState.VALID, TurnState.INVALID}


def check_decision(decision: Decision, limits: Limits) -> None:
    """Judges a decision before it is stored."""
    acks = [command for command in decision.to_send if isinstance(command, AckExecution)]
    records = [item for item in decision.to_store if isinstance(item, Record)]
    if (acks or records) and not decision.durable:
        raise Violation("events or acknowledgements without a FULL commit")
    if len(records) > limits.events_per_decision + _MOST_EVENTS_OF_AN_INPUT:
        raise Violation(f"{len(records)} events in one decision")


def check_state(state: ConductorState, store: JudgedDisk, now: float) -> None:
    """Judges a state that has become true."""
    unfinished = {name for name, run in store.runs.items() if not run.is_settled}
    if set(state.ongoing) != unfinished:
        raise Violation("the runs that go on are not those that are stored as going on")
    check_stopped(state)
    used = Counter[str]()
    for one in state.ongoing.values():
        used.update(_check_ongoing(one, store))
    for host, count in used.items():
        if count > state.hosts[host].slots and state.hosts[host].connected:
            raise Violation(f"{count} attempts on {host}, which has {state.hosts[host].slots} slots")
    if not state.unscheduled and not state.backlog:
        _check_places(state, store, used, now)


def check_pool(store: JudgedDisk, slots: int) -> None:
    """Judges the pool by what is stored: never more live attempts in it than it has slots (C12)."""
    live = [attempt.id for attempt in _attempts(store) if attempt.is_live and attempt.pool and _is_thinking(attempt)]
    if len(live) > slots:
        raise Violation(f"{live} hold slots of a pool that has {slots}")


def check_launches(decision: Decision, store: JudgedDisk, now: float) -> None:
    """Judges that nothing is launched in a pool before the time that its endpoint named (C10)."""
    launched = [one for one in decision.to_store if isinstance(one, Record) and isinstance(one.event, AttemptCreated)]
    for record in launched:
        pool = record.event.pool  # type: ignore[union-attr]
        ended = (attempt for attempt in _attempts(store) if pool and attempt.pool == pool and not attempt.is_live)
        for attempt in ended:
            if attempt.end.failure is not None and attempt.end.failure.reason == "RATE_LIMITED":
                until = (attempt.end_time or 0.0) + attempt.end.retry_after_seconds
                if until > now:
                    raise Violation(f"{record.event} is launched, and {attempt.id} parked its pool until {until}")


def _attempts(store: JudgedDisk) -> Iterator[Attempt]:
    """Yields the attempts of the unfinished runs: a restart knows no others."""
    for run in store.runs.values():
        if not run.is_settled:
            yield from (attempt for step in run.steps.values() for attempt in step.attempts)


def _is_thinking(attempt: Attempt) -> bool:
    return attempt.last_turn is None or attempt.last_turn.state in {TurnState.CHECKING, TurnState.TO_REPAIR}


def _check_ongoing(one: Ongoing, store: JudgedDisk) -> list[str]:
    """Judges one run; gives the hosts of its live attempts."""
    run = one.run
    if run != store.runs[run.id]:
        raise Violation(f"run {run.id} is not what its journal says")
    live = {step.live_attempt.id: step.live_attempt.host for step in run.steps.values() if step.live_attempt}
    if {attempt: track.host for attempt, track in one.tracks.items()} != live:
        raise Violation(f"run {run.id} does not track exactly its live attempts")
    for attempt, track in one.tracks.items():
        if track.cursor != store.cursors.get(attempt, 0):
            raise Violation(f"the cursor of {attempt} is not the stored one")
    if not one.dirty:
        _check_progress(run)
        check_items(run, is_over=False)
    return list(live.values())


def check_command(command: Command, store: JudgedDisk) -> None:
    """Judges a command at the moment it is sent."""
    match command:
        case StartExecution():
            _check_start(command, store)
        case ResumeExecution():
            if not store.is_live(command.attempt) or command.after_sequence != store.cursors.get(command.attempt, 0):
                raise Violation(f"{command.attempt} is resumed after {command.after_sequence}: not what is stored")
        case AckExecution() if command.host:
            _check_ack(command, store)
        case Evaluate():
            _check_work(command.work, store)
        case SendInput() | CloseExecution():
            _check_turn(command, store)
        case AckExecution() | CancelExecution():
            pass


def check_retry(run: Run, source: Run) -> int:
    """Judges a retry that has ended: what is kept is what it was and saw the same; what succeeded alone is kept."""
    reused = {name for name, step in run.steps.items() if step.reused is not None}
    for name in reused:
        step, before = run.steps[name], source.steps[name]
        if (
            step.attempts
            or step.ready_time is not None
            or (step.state, step.findings) != (before.state, before.findings)
        ):
            raise Violation(f"step {run.id}/{name} was kept, and is not what it was")
        if not all(need in reused or _is_same(run, need, reused) for need in step.plan.needs):
            raise Violation(f"step {run.id}/{name} was kept, and a step that it needs ran again")
    for name, before in source.steps.items() if run.plan.title == "failed" else ():
        is_alone = not before.plan.needs and not before.plan.parent and name not in source.children
        if is_alone and before.state is StepState.SUCCEEDED and name not in reused:
            raise Violation(f"step {run.id}/{name} had succeeded, and ran again")
    return len(reused)


def _is_same(run: Run, name: str, reused: set[str]) -> bool:
    """Returns whether a step of a retry that was not kept gives the same: it was left out, or went through kept items alone."""
    children = run.children.get(name, ())
    is_whole = all(child in reused or _is_same(run, child, reused) for child in children)
    step = run.steps[name]
    return step.state is StepState.EXCLUDED or (isinstance(step.plan.work, ForeachPlan | LoopPlan) and is_whole)


def check_run_end(run: Run) -> None:
    """Judges a run that has ended: nothing pending, nothing live, and an end that its steps explain."""
    for name, step in run.steps.items():
        if not step.is_settled or step.live_attempt is not None:
            raise Violation(f"run {run.id} ended, and its step {name} is {step.state}")
        asked = {step.prompt, step.repair.prompt if step.repair is not None else step.prompt}
        if any(attempt.start.prompt not in asked for attempt in step.attempts):
            raise Violation(f"an attempt of {run.id}/{name} was asked something else")
        if [attempt.number for attempt in step.attempts] != list(range(1, len(step.attempts) + 1)):
            raise Violation(f"the attempts of {run.id}/{name} are not numbered")
        _check_answers(run, step)
    if run.failure is not None and run.failure.reason == "INTERNAL":
        raise Violation(f"run {run.id} was quarantined: {run.failure.message}")
    check_items(run, is_over=True)
    fatal = [
        name
        for name, step in run.steps.items()
        if step.state is StepState.FAILED and ends_run(step) and not step.plan.parent
    ]
    if run.state == "succeeded" and (fatal or not run.markdown):
        raise Violation(f"run {run.id} succeeded in spite of {fatal or 'no report'}")
    if run.state == "cancelled" and run.cancel_time is None:
        raise Violation(f"run {run.id} was cancelled by nobody")
    if run.state == "failed" and run.failure is None:
        raise Violation(f"run {run.id} failed for no reason")
    ended = run.steps.get(run.failure.step) if run.failure is not None else None
    if run.stop is Stop.FAILURE and ended is not None and not ends_run(ended):
        raise Violation(f"run {run.id} failed for {ended.plan.id}, without which it goes on")


def _check_answers(run: Run, step: Step) -> None:
    """One answer counts, one is repaired, and no other but for `retries.schema`; what repairs is not repaired again."""
    answered = [attempt for attempt in step.attempts if attempt.ended_well]
    most = 1 + (step.repair is not None) + (step.plan.agent.retries.schema if step.plan.agent is not None else 0)
    most *= 1 + sum(gate.decision is GateDecision.RETRY for gate in step.gates)
    if len(answered) > most:
        raise Violation(f"{run.id}/{step.plan.id} had {len(answered)} answers, and {most} may be needed")
    repairs = sum(turn.number > 1 and turn.state in _CHECKED for one in answered for turn in one.ended_turns)
    repairs += sum(step.repair is not None and one.start.prompt == step.repair.prompt for one in answered)
    if repairs > 1:
        raise Violation(f"{run.id}/{step.plan.id} repaired {repairs} times")
    if step.state is StepState.FAILED and step.repair is not None and step.repair.usable is not None and not step.gates:
        judged = next(attempt for attempt in step.attempts if attempt.id == step.repair.attempt)
        if judged.state is AttemptState.SUCCEEDED:
            raise Violation(f"{run.id}/{step.plan.id} had an answer that counts before its repair, and failed")


def _check_turn(command: SendInput | CloseExecution, store: JudgedDisk) -> None:
    """An agent is told what follows after it has ended a turn, and as the check of that turn says, which is stored."""
    run, step = attempt_owner(command.attempt)
    attempt = store.runs[run].steps[step].live_attempt if store.is_live(command.attempt) else None
    turn = attempt.last_turn if attempt is not None else None
    if attempt is None or turn is None or turn.state is TurnState.CHECKING:
        raise Violation(f"{command} is sent, and no checked turn of it is stored")
    is_input = turn.state is TurnState.TO_REPAIR and not attempt.refused_input
    if isinstance(command, SendInput) != is_input:
        raise Violation(f"{command} is sent after a turn that is {turn.state}")


def _check_ack(command: AckExecution, store: JudgedDisk) -> None:
    live = store.is_live(command.attempt)
    is_early = command.sequence > store.durable_cursors.get(command.attempt, 0)
    if is_early and (live or not _was_refused(command.attempt, store)):
        raise Violation(f"{command.attempt} is acknowledged to {command.sequence} before that is durable")
    if command.finished and live:
        raise Violation(f"{command.attempt} is let go while it lives")


def _check_start(command: StartExecution, store: JudgedDisk) -> None:
    attempt = command.start.execution
    run = store.runs.get(attempt.partition("-")[0])
    if run is None or not store.is_live(attempt):
        raise Violation(f"{attempt} is started, and is not stored as starting")
    if run.stop is not None:
        raise Violation(f"{attempt} is started though its run stops")
    stored = next(one for step in run.steps.values() for one in step.attempts if one.id == attempt)
    if stored.start != command.start or stored.host != command.host:
        raise Violation(f"{attempt} is started otherwise than it was stored")


def _check_work(work: Work, store: JudgedDisk) -> None:
    run = store.runs.get(work.run)
    if run is None or run.is_settled:
        raise Violation(f"{work} is asked of a run that does not go on")
    if work.kind is WorkKind.REPORT:
        if run.unsettled:
            raise Violation(f"the report of {work.run} is asked for before its steps ended")
        return
    step = run.steps[work.step]
    turn = step.live_attempt.last_turn if step.live_attempt is not None else None
    expected = {
        WorkKind.SKIP_GUARD: StepState.READY,
        WorkKind.ITEMS: StepState.READY,
        WorkKind.UNTIL: StepState.RUNNING,
        WorkKind.GATHER: StepState.RUNNING,
        WorkKind.PROMPT: StepState.READY,
        WorkKind.FOLD: StepState.RUNNING,
        WorkKind.CALL: StepState.READY,
        WorkKind.COLLECT: StepState.VALIDATING,
        WorkKind.SHOW: StepState.READY,
        WorkKind.CHECK: StepState.RUNNING if turn is not None else StepState.VALIDATING,
    }
    if step.state is not expected[work.kind]:
        raise Violation(f"{work} is asked while the step is {step.state}")
    if turn is not None and (turn.number, turn.state) != (work.turn, TurnState.CHECKING):
        raise Violation(f"{work} is asked while turn {turn.number} is {turn.state}")


def _was_refused(attempt: str, store: JudgedDisk) -> bool:
    run = store.runs.get(attempt.partition("-")[0])
    return run is None or any(one.id == attempt and one.refused for step in run.steps.values() for one in step.attempts)


def _check_progress(run: Run) -> None:
    """Nothing that could begin is left lying (C1), and nothing that must end (B8). A run that waits for people says so (H2)."""
    going = {step.state for step in run.steps.values() if not step.is_settled}
    is_waiting = StepState.WAITING_GATE in going and going <= {StepState.WAITING_GATE, StepState.PENDING}
    if is_waiting and not run.stop and PauseCause.GATE not in run.pauses:
        raise Violation(f"run {run.id} waits at gates, and is {run.state}")
    if PauseCause.GATE in run.pauses and going & {StepState.READY, StepState.QUEUED, StepState.VALIDATING}:
        raise Violation(f"run {run.id} is paused at gates, and goes on: {going}")
    for name, step in run.steps.items():
        if run.stop is not None and step.state in NOT_AT_WORK:
            raise Violation(f"run {run.id} stops, and its step {name} is {step.state}")
        if step.state is StepState.PENDING and could_begin(run, step):
            raise Violation(f"step {run.id}/{name} has what it needs, and is pending")
        parent = run.steps.get(step.plan.parent)
        if parent is not None and parent.state is StepState.SUCCEEDED and not step.is_settled:
            raise Violation(f"step {run.id}/{name} goes on after its parent")


def _check_places(state: ConductorState, store: JudgedDisk, used: Counter[str], now: float) -> None:
    """No step waits while there is a place for it, and each says what it waits for."""
    held = Counter(one.pool for one in _attempts(store) if one.is_live and one.pool and _is_thinking(one))
    full = {
        name
        for host in state.hosts.values()
        for name, pool in host.pools.items()
        if held[name] >= pool.slots or state.pools.get(name, Pool()).parked_until > now
    }
    open_agents = [
        (host, agent)
        for host in state.hosts.values()
        if host.connected and not host.draining and not host.drained and used[host.name] < host.slots
        for agent in host.agents
        if agent not in host.models or host.models[agent].pool not in full
    ]
    for name, one in state.ongoing.items():
        for step in one.run.steps.values() if not is_held(store.runs, name) else ():
            if step.state is StepState.QUEUED and (step.wait is None or not step.wait.text):
                raise Violation(f"step {name}/{step.plan.id} waits for nothing that it names")
            if step.state is StepState.QUEUED and step.plan.agent is not None and step.not_before <= now:
                demand = demand_of(step)
                reach = most_reach(state.hosts, demand)
                free = {agent for host, agent in open_agents if may_take(host, agent, demand, reach)}
                if not free.isdisjoint(demand.agents):
                    raise Violation(f"step {name}/{step.plan.id} waits though there is a place for {free}")
