"""Gives queued steps their places, over all runs.

The rules, before the code:

- Slots are counted from live attempts each time; nothing keeps a counter.
- Runs of a higher priority go first. Within a priority the run with the fewest live attempts goes next, then the oldest:
  a run with many steps cannot starve one with few. Within a run, the step that queued first.
- A step that cannot be placed holds up nobody behind it.
- A step that finds no place says what it waits for, once, and again only when that changes.
- A host that failed a step before is taken for it last.
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
from conductor.core.model.conductor_state import Limits, Ongoing, Track
from conductor.core.model.events import AttemptCreated, StartSpec, StepWaits
from conductor.core.model.plan import AgentPlan
from conductor.core.model.step import Step, Wait
from conductor.core.model.step_path import PATH_IDS, is_child_path

_FOR_CHILDREN = frozenset({PATH_IDS})


def place_queued_steps(making: DecisionDraft) -> None:
    """Places what can be placed, as far as the decision has room; the rest says what it waits for."""
    Scheduling(making).run()


class Scheduling:
    """One pass over the queue."""

    def __init__(self, making: DecisionDraft) -> None:
        self.making = making
        self.free = _count_free(making)
        # Slots only get fewer during a pass: a demand that had no place has none later in it.
        self.unplaceable: set[Demand] = set()
        self.waits: dict[Demand, Wait] = {}

    def run(self) -> None:
        """Places, then explains."""
        line = [_turn(one) for _, one in self.making.runs() if one.queue]
        heapify(line)
        while line and self.free and self.making.room > 0:
            *_, run = heappop(line)
            draft = self._place_next(run)
            if draft is not None:
                heappush(line, _turn(draft))
        self._explain()
        self.making.unscheduled = self.making.room <= 0

    def _place_next(self, run: str) -> RunDraft | None:
        """Places one step of a run; None where none can be placed."""
        found = self.making.ask(run, lambda: self._find_next(run))
        return None if found is None else self._create(run, *found)

    def _find_next(self, run: str) -> tuple[str, Placement] | None:
        one = self.making.view(run)
        for name, not_before in one.queue.items() if one is not None else ():
            placement = self._choose(one.run.steps[name]) if one and not_before <= self.making.now else None
            if placement is not None:
                return name, placement
        return None

    def _choose(self, step: Step) -> Placement | None:
        demand = _demand(step)
        if demand in self.unplaceable:
            return None
        avoid = {attempt.host for attempt in step.attempts}
        placement = choose_host(self.making.hosts, self.free, demand, avoid)
        if placement is None:
            self.unplaceable.add(demand)
        return placement

    def _create(self, run: str, name: str, placement: Placement) -> RunDraft | None:
        self.free[placement.host] -= 1
        if not self.free[placement.host]:
            del self.free[placement.host]
        self.making.change(run, partial(create_attempt, name=name, placement=placement, limits=self.making.limits))
        draft = self.making.draft(run)
        return draft if draft is not None and not draft.run.is_settled else None

    def _explain(self) -> None:
        for run, one in list(self.making.runs()):
            if one.queue and (self.making.touched_hosts or run in self.making.drafts):
                self.making.change(run, self._explain_run)

    def _explain_run(self, draft: RunDraft) -> None:
        for name, not_before in draft.queue.items():
            step = draft.step(name)
            if not_before > draft.now or self.making.room <= 0:
                continue
            if step.wait is not None and step.wait.kind != "retry" and not self.making.touched_hosts:
                continue  # it waits for the same as before: that changes with hosts only
            demand = _demand(step)
            if demand not in self.waits:
                self.waits[demand] = explain_wait(self.making.hosts, demand)
            wait = self.waits[demand]
            if step.wait is None or (step.wait.kind, step.wait.text) != (wait.kind, wait.text):
                draft.emit(StepWaits(name, wait.kind, wait.text))


def create_attempt(draft: RunDraft, name: str, placement: Placement, limits: Limits) -> None:
    """Decides an attempt, and has its host asked."""
    step = draft.step(name)
    plan = _plan(step)
    number = len(step.attempts) + 1
    start = StartSpec(
        execution=attempt_id(draft.run.id, name, number),
        agent=placement.agent,
        prompt=step.prompt,
        snapshot=draft.run.plan.snapshot.commit,
        parameters=plan.parameters,
        timeout_seconds=plan.timeout_seconds,
        idle_timeout_seconds=plan.idle_timeout_seconds,
        first_output_timeout_seconds=plan.first_output_timeout_seconds,
        orphan_timeout_seconds=plan.orphan_timeout_seconds,
    )
    start_run(draft)
    # What the plan says is not stored again with each attempt: folding puts it back (see `step`).
    stored = replace(start, parameters=())
    draft.emit(
        AttemptCreated(name, start.execution, number, placement.host, placement.reason, stored, placement.instance)
    )
    del draft.queue[name]
    draft.tracks[start.execution] = Track(
        placement.host, plan.lost_after_seconds or limits.lost_after, placement.instance
    )
    draft.send(StartExecution(placement.host, start, placement.instance))
    draft.mark(*draft.run.children.get(name, ()))


def _turn(one: Ongoing | RunDraft) -> tuple[int, int, float, str]:
    return (-one.run.plan.priority, len(one.tracks), one.run.create_time, one.run.id)


def _count_free(making: DecisionDraft) -> dict[str, int]:
    free = {name: host.slots for name, host in making.hosts.items() if host.connected and not host.draining}
    for _, one in making.runs():
        for track in one.tracks.values():
            if track.host in free:
                free[track.host] -= 1
    return {name: slots for name, slots in free.items() if slots > 0}


def _demand(step: Step) -> Demand:
    return Demand(_plan(step).agents, _FOR_CHILDREN if is_child_path(step.plan.id) else frozenset())


def _plan(step: Step) -> AgentPlan:
    if step.plan.agent is None:
        raise ValueError(f"step {step.plan.id} is queued, and asks no agent")
    return step.plan.agent
