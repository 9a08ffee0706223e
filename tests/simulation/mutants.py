"""Cores with one mistake each. A simulation that does not notice them is worth nothing.

A mutant stands in for one of the core's functions while it is `planted`. So does a twin, for a part of the shells (see `twins`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

from conductor import ring
from conductor.clock import Past, Reading, continue_time
from conductor.core.decide import progress, recover, registry, requests, reuse, schedule, settling
from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import settle_step
from conductor.core.folded import step_folding as step_model
from conductor.core.folded.attempt import attempt_owner
from conductor.core.folded.gate import Gate
from conductor.core.folded.run import Run, Stop
from conductor.core.folded.step import Step
from conductor.core.gates import decisions
from conductor.core.gates.decisions import Refusal, find_gate
from conductor.core.kinds import agent, flow, foreach
from conductor.core.model.commands import AckExecution, CancelExecution, Command, Decision, StartExecution
from conductor.core.model.conductor_state import ConductorState, Host, Track
from conductor.core.model.events.event_parts import KeptResult
from conductor.core.model.events.run_events import StepCancelled, StepFailed, StepRequeued, SubRunStarted
from conductor.core.model.inputs import ExecutionReported, Input, RequestResolve
from conductor.core.model.output import Output
from conductor.core.model.plan import ForeachPlan, OnFailure, StepPlan
from conductor.core.model.registry import HostEntry, HostRequest, RequestRemoveHost, list_entries
from conductor.core.model.states import StepState
from conductor.core.model.work import OutputInvalid
from conductor.core.placing import placement, slots
from conductor.core.placing.placement import usable_hosts
from conductor.core.sub_runs import creation
from conductor.engine import recovery
from tests.simulation.ground.process import running

Inputs = Sequence[Input]
Outcome = tuple[Decision, ConductorState]

_advance, _recover = ring.advance, ring.recover


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake: what stands in for which attributes. `hint` is the seed that caught it last time."""

    name: str
    stand_ins: Mapping[tuple[object, str], object]
    hint: int = 1

    @contextmanager
    def planted(self) -> Iterator[None]:
        with ExitStack() as stack:
            for (place, name), stand_in in self.stand_ins.items():
                stack.enter_context(patch.object(place, name, stand_in))
            yield


def _forget_cursor(state: ConductorState, inputs: Inputs, now: float) -> Outcome:
    """Takes every report for new."""
    return _advance(state, [_as_new(state, one) for one in inputs], now)


def _as_new(state: ConductorState, one: Input) -> Input:
    track = _track(state, one.attempt) if isinstance(one, ExecutionReported) else None
    if not isinstance(one, ExecutionReported) or track is None:
        return one
    first = track.cursor + 1
    return replace(one, first_sequence=first, last_sequence=max(first, one.last_sequence))


def _acknowledge_what_came(state: ConductorState, inputs: Inputs, now: float) -> Outcome:
    """Acknowledges what was received, not what is stored."""
    decision, after = _advance(state, inputs, now)
    acks: list[Command] = []
    for one in inputs:
        track = _track(state, one.attempt) if isinstance(one, ExecutionReported) else None
        if isinstance(one, ExecutionReported) and track is not None:
            acks.append(AckExecution(track.host, one.attempt, one.last_sequence))
    return replace(decision, to_send=(*decision.to_send, *acks), durable=decision.durable or bool(acks)), after


def _start_again(state: ConductorState) -> tuple[Command, ...]:
    """After a restart, starts what runs once more, under a new id."""
    steps = [step for one in state.ongoing.values() for step in one.run.steps.values()]
    live = [step.live_attempt for step in steps if step.live_attempt is not None]
    again = (StartExecution(one.host, replace(one.start, execution=f"{one.id}0")) for one in live)
    return (*_recover(state), *again)


def _let_workers_go_on(state: ConductorState, inputs: Inputs, now: float) -> Outcome:
    """A failed run's other agents are not told to end."""
    decision, after = _advance(state, inputs, now)

    def is_dropped(command: Command) -> bool:
        if not isinstance(command, CancelExecution):
            return False
        one = after.ongoing.get(attempt_owner(command.attempt)[0])
        return one is not None and one.run.stop is Stop.FAILURE

    return replace(decision, to_send=tuple(one for one in decision.to_send if not is_dropped(one))), after


def _listen_after_the_end(state: ConductorState, inputs: Inputs, now: float) -> Outcome:
    """Stores what comes after an attempt's end."""
    decision, after = _advance(state, inputs, now)
    late = [
        part
        for one in inputs
        if isinstance(one, ExecutionReported) and _track(after, one.attempt) is None
        for part in one.reports
        if isinstance(part, Output)
    ]
    return replace(decision, to_store=(*decision.to_store, *late)), after


def _forget_cancels(state: ConductorState) -> tuple[Command, ...]:
    """After a restart, nobody is told to end."""
    return tuple(command for command in _recover(state) if not isinstance(command, CancelExecution))


def _trust_the_wall_clock(reading: Reading, past: Past) -> float:
    """Takes wall time at every start."""
    return continue_time(reading, replace(past, boot=""))


def _send_nothing_again(_: Run) -> tuple[Command, ...]:
    """After a restart, agents that wait are told nothing."""
    return ()


_real_requeue, _real_may_repair = step_model._requeue, agent._may_repair


def _repair_at_each_retry(step: Step, event: StepRequeued) -> Step:
    """The request to repair an answer is made again where its answer was bad, too."""
    return replace(_real_requeue(step, event), next_prompt=step.next_prompt)


def _forget_who_was_asked(run: Run, step: Step, answer: OutputInvalid) -> bool:
    """A repair that an earlier process asked for does not count."""
    asked: set[tuple[str, str]] = vars(running()).setdefault("asked", set())
    key = run.id, step.plan.id
    if step.repair is not None and key not in asked:
        step = replace(step, repair=None)
    is_asked = _real_may_repair(run, step, answer)
    asked.update({key} if is_asked else ())
    return is_asked


def _may_fail(step: Step) -> bool:
    """A step's word on an invalid output does not count."""
    return step.plan.on_failure is OnFailure.CONTINUE


_real_go_on = flow.go_on
_real_is_ready = progress.is_ready
_real_why_part_stopped = settling._why_part_stopped
_real_add_item = foreach.add_item
_real_count_free = schedule.count_free
_real_list_holders = slots.list_holders


def _wait_for_the_wave(run: Run, step: Step) -> bool:
    """A step begins when everything before it in the flow has ended."""
    before = list(run.steps)[: list(run.steps).index(step.plan.id)]
    return all(run.steps[name].is_settled for name in before) and _real_is_ready(run, step)


def _overbook(hosts: Mapping[str, Host], tracks: Iterable[Track]) -> dict[str, int]:
    """One slot more than there is."""
    free = _real_count_free(hosts, tracks)
    return {host.name: free.get(host.name, 0) + 1 for host in usable_hosts(hosts)}


def _forget_a_holder(tracks: Iterable[tuple[str, Track]]) -> dict[str, list[str]]:
    """One holder of each pool does not count."""
    return {pool: held[1:] for pool, held in _real_list_holders(tracks).items()}


def _let_items_go_on(step: Step, parent: Step) -> str:
    """The other steps of an item go on when one of them fails."""
    return _real_why_part_stopped(replace(step, plan=replace(step.plan, index=-1)), parent)


def _begin_all_items(step: Step, _: ForeachPlan) -> bool:
    """All items begin at once."""
    return step.items.begun < (step.items.count or 0)


def _forget_a_step(draft: RunDraft, step: Step, inner: tuple[StepPlan, ...], *, is_round: bool = False) -> None:
    """An item begins with all but its last step."""
    _real_add_item(draft, step, inner[:-1] or inner, is_round=is_round)


_real_judge, _real_look_at = requests.judge_decision, progress._look_at


def _take_any_text(run: Run, asked: RequestResolve) -> Refusal | None:
    """A decision about another text counts, too."""
    gate = find_gate(run, asked.step, asked.number)
    return _real_judge(run, replace(asked, shown=gate.shown) if gate is not None else asked)


def _take_for_the_same(gate: Gate, _: RequestResolve) -> bool:
    """Every decision about a gate that was decided is taken for the same again."""
    return not gate.is_pending


def _leave_gates_open(draft: RunDraft, step: Step) -> None:
    """A run that stops leaves its gates as they are."""
    if step.state is not StepState.WAITING_GATE:
        _real_look_at(draft, step)


def _count_the_time_at_gates(run: Run) -> float | None:
    """The run's clock goes on while all its work waits for people."""
    seconds = run.plan.timeout_seconds
    return run.create_time + seconds if seconds and run.stop is None and run.unsettled else None


def _track(state: ConductorState, attempt: str) -> Track | None:
    one = state.ongoing.get(attempt_owner(attempt)[0])
    return None if one is None else one.tracks.get(attempt)


def _keep_all_but_the_roots(_: Run, roots: Sequence[Step], named: str) -> tuple[set[str], set[str]]:
    """Keeps what saw a result that will be another one."""
    again = {step.plan.id for step in roots} | {named} - {""}
    return again, again


def _forget_what_is_kept(_: RunDraft, kept: KeptResult) -> None:
    """Lets a step begin whose result was brought along."""


def _tell_sub_runs_nothing(_: RunDraft, __: Step) -> None:
    """A run that stops does not stop its sub-runs."""


def _end_before_the_sub_run(draft: RunDraft, step: Step) -> None:
    """A step that must not go on ends at once, and its sub-run later."""
    _real_go_on(draft, step)
    if draft.told:
        settle_step(draft, StepCancelled(step.plan.id, "enough"))


def _forget_to_note(_: RunDraft, step: str, event: SubRunStarted | StepFailed) -> None:
    """A sub-run is created, and its step does not know it."""


def _send_templates(step: Step, *, asks_model: bool) -> tuple[tuple[str, str], ...]:
    return step.plan.agent.parameters if step.plan.agent is not None else ()


_real_find_flaw = registry._find_flaw


def _remove_busy_hosts(decision: DecisionDraft, request: HostRequest) -> tuple[str, str] | None:
    """Removes a host although attempts run there."""
    forced = replace(request, is_forced=True) if isinstance(request, RequestRemoveHost) else request
    return _real_find_flaw(decision, forced)


def _know_configured_hosts(configured: Mapping[str, str], _: Iterable[HostEntry]) -> dict[str, HostEntry]:
    """After a restart, only the hosts of the configuration are driven, and none is drained."""
    return list_entries(configured, ())


def _forget_drains(hosts: Mapping[str, Host]) -> list[Host]:
    """Takes a drained host for any other."""
    return [host for host in hosts.values() if host.connected and not host.draining and host.slots > 0]


MUTANTS = (
    Mutant("forgets the cursor", {(ring, "advance"): _forget_cursor}, hint=3),
    Mutant("acknowledges before the commit", {(ring, "advance"): _acknowledge_what_came}, hint=6),
    Mutant("starts twice after a restart", {(ring, "recover"): _start_again}, hint=2),
    Mutant("lets a failed run's workers go on", {(ring, "advance"): _let_workers_go_on}, hint=4),
    Mutant("stores output after the terminal event", {(ring, "advance"): _listen_after_the_end}, hint=10),
    Mutant("forgets cancels in a restart", {(ring, "recover"): _forget_cancels}, hint=19),
    Mutant("forgets inputs and closes in a restart", {(recover, "pending_frames"): _send_nothing_again}, hint=143),
    Mutant("asks for a repair at each retry", {(step_model, "_requeue"): _repair_at_each_retry}, hint=24),
    Mutant("grants a repair again after a restart", {(agent, "_may_repair"): _forget_who_was_asked}, hint=6),
    Mutant("loses an answer that its repair did not better", {(agent, "_find_usable"): lambda _: None}),
    Mutant("ends a run for an output that it can go without", {(Step, "is_dispensable"): property(_may_fail)}, hint=9),
    Mutant("trusts the wall clock over a restart", {(recovery, "continue_time"): _trust_the_wall_clock}, hint=83),
    Mutant("keeps what depends on what runs again", {(reuse, "_list_running"): _keep_all_but_the_roots}, hint=4),
    Mutant("runs again what is kept", {(progress, "reuse"): _forget_what_is_kept}, hint=7),
    Mutant("forgets the ends of sub-runs in a restart", {(recover, "repeat_told"): lambda *_: ()}, hint=99),
    Mutant("lets the sub-runs of a stopped run go on", {(flow, "go_on"): _tell_sub_runs_nothing}, hint=5),
    Mutant("ends a step before its sub-run", {(flow, "go_on"): _end_before_the_sub_run}, hint=5),
    Mutant("creates a sub-run and forgets to note it", {(creation, "_note"): _forget_to_note}),
    Mutant("takes a decision about any text", {(requests, "judge_decision"): _take_any_text}, hint=35),
    Mutant(
        "takes another decision for the same",
        {(requests, "is_repeated"): _take_for_the_same, (decisions, "is_repeated"): _take_for_the_same},
        hint=11,
    ),
    Mutant("takes a decision after its time", {(requests, "is_overdue"): lambda gate, now: False}, hint=83),
    Mutant("leaves gates open in a run that stops", {(progress, "_look_at"): _leave_gates_open}, hint=8),
    Mutant("counts the time at gates", {(Run, "deadline"): property(_count_the_time_at_gates)}, hint=129),
    Mutant("begins attempts of a held run", {(Run, "is_held"): property(lambda run: False)}, hint=29),
    Mutant("waits for the wave", {(progress, "is_ready"): _wait_for_the_wave}),
    Mutant("gives a slot of a pool twice", {(slots, "list_holders"): _forget_a_holder}, hint=42),
    Mutant("forgets who holds slots in a restart", {(recover, "held_pool"): lambda _: ""}, hint=91),
    Mutant("forgets a park in a restart", {(recover, "remember"): lambda runs, now: {}}, hint=6),
    Mutant("lets the steps of a failed item go on", {(settling, "_why_part_stopped"): _let_items_go_on}, hint=27),
    Mutant("begins all items at once", {(foreach, "_may_begin"): _begin_all_items}, hint=7),
    Mutant("asks for no item to succeed", {(settling, "min_success"): lambda _: 0}, hint=60),
    Mutant("forgets a step of an item", {(foreach, "add_item"): _forget_a_step}, hint=15),
    Mutant("sends templates in place of what was rendered", {(Step, "list_parameters"): _send_templates}),
    Mutant("places attempts on drained hosts", {(placement, "usable_hosts"): _forget_drains}, hint=27),
    Mutant("removes hosts at which attempts run", {(registry, "_find_flaw"): _remove_busy_hosts}, hint=39),
    Mutant("tells a host that has moved nothing", {(ring, "recover_host"): lambda state, host: ()}, hint=5),
    Mutant(
        "forgets the hosts that were added in a restart", {(recovery, "list_entries"): _know_configured_hosts}, hint=5
    ),
    Mutant("overbooks hosts", {(schedule, "count_free"): _overbook}, hint=4),
)
