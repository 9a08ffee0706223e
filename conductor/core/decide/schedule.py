"""Places the queued steps of all runs.

The rules, before the code:

- Slots are counted from live attempts each time. There is no stored counter.
- Runs of a higher priority go first. Within a priority the run with the fewest live attempts goes next, then the oldest:
  a run with many steps cannot starve a run with few. Within a run the step that queued first goes next.
- A step that cannot be placed does not hold up the steps behind it.
- A step without a place says what it waits for once, and again only when that changes.
- A host on which the step failed before is taken last.
- An agent that takes turns is given one for its answer and one for its repair, until the step has asked for its repair.
"""

from dataclasses import replace
from functools import partial
from heapq import heapify, heappop, heappush

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.placement import Demand, Placement, choose_host, explain_wait
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.settling import start_run
from conductor.core.model.attempt import attempt_id
from conductor.core.model.commands import StartExecution
from conductor.core.model.conductor_state import Ongoing, Track
from conductor.core.model.events import AttemptCreated, StartSpec, StepWaits
from conductor.core.model.plan import AgentPlan
from conductor.core.model.states import WaitKind
from conductor.core.model.step import Step, Wait
from conductor.core.model.step_path import PATH_IDS, is_child_path

_FOR_CHILDREN = frozenset({PATH_IDS})
TURNS_WITH_REPAIR = 2


def place_queued_steps(decision: DecisionDraft) -> None:
    """Places steps, as far as the decision has room. The others say what they wait for."""
    Scheduling(decision).run()


class Scheduling:
    """One pass over the queue."""

    def __init__(self, decision: DecisionDraft) -> None:
        self.decision = decision
        self.free = _count_free(decision)
        # Slots only get fewer during a pass: a demand without a place has none later either.
        self.unplaceable: set[Demand] = set()
        self.waits: dict[Demand, Wait] = {}

    def run(self) -> None:
        """Places steps, then explains the waits of the others."""
        line = [_turn(one) for _, one in self.decision.runs() if one.queue]
        heapify(line)
        while line and self.free and self.decision.room > 0:
            *_, run = heappop(line)
            draft = self._place_next(run)
            if draft is not None:
                heappush(line, _turn(draft))
        self._explain()
        self.decision.unscheduled = self.decision.room <= 0

    def _place_next(self, run: str) -> RunDraft | None:
        """Places one step of a run; None where none can be placed."""
        found = self.decision.ask(run, lambda: self._find_next(run))
        return None if found is None else self._create(run, *found)

    def _find_next(self, run: str) -> tuple[str, Placement] | None:
        one = self.decision.view(run)
        for name, not_before in one.queue.items() if one is not None else ():
            placement = self._choose(one.run.steps[name]) if one and not_before <= self.decision.now else None
            if placement is not None:
                return name, placement
        return None

    def _choose(self, step: Step) -> Placement | None:
        demand = _demand(step)
        if demand in self.unplaceable:
            return None
        avoid = {attempt.host for attempt in step.attempts}
        placement = choose_host(self.decision.hosts, self.free, demand, avoid)
        if placement is None:
            self.unplaceable.add(demand)
        return placement

    def _create(self, run: str, name: str, placement: Placement) -> RunDraft | None:
        self.free[placement.host] -= 1
        if not self.free[placement.host]:
            del self.free[placement.host]
        self.decision.change(run, partial(create_attempt, name=name, placement=placement))
        draft = self.decision.draft(run)
        return draft if draft is not None and not draft.run.is_settled else None

    def _explain(self) -> None:
        for run, one in list(self.decision.runs()):
            if one.queue and (self.decision.touched_hosts or run in self.decision.drafts):
                self.decision.change(run, self._explain_run)

    def _explain_run(self, draft: RunDraft) -> None:
        for name, not_before in draft.queue.items():
            step = draft.step(name)
            if not_before > draft.now or self.decision.room <= 0:
                continue
            if step.wait is not None and step.wait.kind is not WaitKind.RETRY and not self.decision.touched_hosts:
                continue  # its wait changes with hosts only
            demand = _demand(step)
            if demand not in self.waits:
                self.waits[demand] = explain_wait(self.decision.hosts, demand)
            wait = self.waits[demand]
            if step.wait is None or (step.wait.kind, step.wait.text) != (wait.kind, wait.text):
                draft.emit(StepWaits(name, wait.kind, wait.text))


def create_attempt(draft: RunDraft, name: str, placement: Placement) -> None:
    """Creates an attempt, and asks its host to start it."""
    step = draft.step(name)
    plan = _plan(step)
    number = len(step.attempts) + 1
    start = StartSpec(
        execution=attempt_id(draft.run.id, name, number),
        agent=placement.agent,
        prompt=step.next_prompt,
        snapshot=draft.run.plan.snapshot.commit,
        parameters=plan.parameters,
        timeout_seconds=plan.timeout_seconds,
        idle_timeout_seconds=plan.idle_timeout_seconds,
        first_output_timeout_seconds=plan.first_output_timeout_seconds,
        orphan_timeout_seconds=plan.orphan_timeout_seconds,
        turns=TURNS_WITH_REPAIR if placement.takes_turns and plan.repairs and step.repair is None else 0,
    )
    start_run(draft)
    # The plan's parameters are not stored again with each attempt: folding adds them (see `step`).
    stored = replace(start, parameters=())
    draft.emit(
        AttemptCreated(name, start.execution, number, placement.host, placement.reason, stored, placement.instance)
    )
    del draft.queue[name]
    draft.tracks[start.execution] = Track(
        placement.host, plan.lost_after_seconds or draft.limits.lost_after, placement.instance
    )
    draft.send(StartExecution(placement.host, start, placement.instance))
    draft.mark(*draft.run.children.get(name, ()))


def _turn(one: Ongoing | RunDraft) -> tuple[int, int, float, str]:
    return (-one.run.plan.priority, len(one.tracks), one.run.create_time, one.run.id)


def _count_free(decision: DecisionDraft) -> dict[str, int]:
    free = {name: host.slots for name, host in decision.hosts.items() if host.connected and not host.draining}
    for _, one in decision.runs():
        for track in one.tracks.values():
            if track.host in free:
                free[track.host] -= 1
    return {name: slots for name, slots in free.items() if slots > 0}


def _demand(step: Step) -> Demand:
    return Demand(_plan(step).agents, _FOR_CHILDREN if is_child_path(step.plan.id) else frozenset())


def _plan(step: Step) -> AgentPlan:
    if step.plan.agent is None:
        raise ValueError(f"step {step.plan.id} is queued and asks no agent")
    return step.plan.agent
