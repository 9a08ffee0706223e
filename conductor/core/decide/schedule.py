"""Places the queued steps of all runs.

The rules, before the code:

- Slots of hosts and of pools (`core.placing`) are counted from live attempts each time. There is no stored counter.
- Runs of a higher priority go first; the others wait as long as these want every slot. Within a priority the run with the fewest
  live attempts goes next; of several, the one of which no attempt began or ended for the longest time. Its sub-runs count to a
  run. So slots are shared evenly, and where there are fewer slots than runs, they go round. Within a run the step of the highest
  priority goes next, then the one that queued first.
- A run has no more agents at work than its limit allows, its sub-runs' included, and the conductor no more than its own.
- A step that cannot be placed does not hold up the steps behind it.
- A run that an operator holds is passed over, with its sub-runs.
- A step without a place says what it waits for once, and again only when that changes.
- A host on which the step failed before is taken last, unless it gave the answer that is to be repaired. A host on which another
  attempt over the same snapshot began is preferred, since it has the snapshot.
- An agent that takes turns is given one for its answer and one for its repair, until the step has asked for its repair.
- The slots of a pool that are fewer than the runs go round as well: the run that holds the fewest of them goes next, then the one
  that had its last one longest ago. What a run has elsewhere does not count.
- Steps whose model is loaded are placed first, then the others, which take what is left (see `core.placing.memory`).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property, partial
from heapq import heapify, heappop, heappush

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.run_draft import RunDraft
from conductor.core.decide.starting import start_run
from conductor.core.folded.attempt import attempt_id, attempt_owner
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step, Wait
from conductor.core.model.commands import StartExecution
from conductor.core.model.conductor_state import Ongoing, Track
from conductor.core.model.events.attempt_events import AttemptCreated
from conductor.core.model.events.event_parts import StartSpec
from conductor.core.model.events.run_events import StepWaits
from conductor.core.model.states import WaitKind
from conductor.core.model.trace import span_of_attempt, write_traceparent
from conductor.core.placing.demand import Demand, agent_of
from conductor.core.placing.limits import AttemptLimits
from conductor.core.placing.memory import forget_ended
from conductor.core.placing.placement import Placement, choose_host, count_free, list_seats
from conductor.core.placing.slots import PoolSlots, Seat
from conductor.core.placing.waits import explain_wait

TURNS_WITH_REPAIR = 2
# When a run has its turn: its priority, what it holds, when it had its last, and its own time.
Turn = tuple[int, int, float, float, str]
TurnOf = Callable[[Ongoing | RunDraft], Turn]
_ALTERNATING = ({WaitKind.LIMIT, WaitKind.SLOT}, {WaitKind.LIMIT, WaitKind.POOL}, {WaitKind.LIMIT})
# How much longer a first output may take where a model must be loaded: a large one, from a slow disk.
LOADING_SECONDS = 300.0


def place_queued_steps(decision: DecisionDraft) -> None:
    """Places steps, as far as the decision has room. The others say what they wait for."""
    Scheduling(decision).run()


class Scheduling:
    """One pass over the queue."""

    def __init__(self, decision: DecisionDraft) -> None:
        self.decision = decision
        tracks = [pair for _, one in decision.runs() for pair in one.tracks.items()]
        self.free = count_free(decision.hosts, (track for _, track in tracks))
        self.pools = PoolSlots(decision.hosts, tracks, decision.pools, decision.now, lambda: self.waiting_models)
        # Slots only get fewer during a pass: a demand without a place has none later either.
        self.unplaceable: set[int] = set()  # by identity, see `core.placing.demand`
        view = decision.view
        self.limits = AttemptLimits((one for _, one in decision.runs()), view, decision.limits)
        self.served = dict[str, float]()
        self.held = Counter[str]()  # slots by run, of the pool that goes round now
        for _, one in decision.runs():
            self._note_served(one.run)
        self.waits: dict[tuple[str, int], Wait] = {}

    def run(self) -> None:
        """Places steps, then explains the waits of the others."""
        if self.pools.known:
            for pool in self.pools.list_scarce(sum(bool(one.queue) for _, one in self.decision.runs())):
                self.held = Counter(map(self._root_of, self.pools.holders.get(pool, ())))
                self._place(partial(self._is_first_in, pool), partial(self._turn_in, pool))
            self._place(self._is_first)
        self._place(self.pools.is_open)
        self._explain()
        self.decision.pools = {name: forget_ended(pool, self.served) for name, pool in self.pools.pools.items()}
        self.decision.unscheduled = self.decision.room <= 0

    def _note_served(self, run: Run) -> None:
        root = run.plan.root
        served = run.create_time if run.served_time is None and run.id == root else run.served_time or 0.0
        self.served[root] = max(self.served.get(root, 0.0), served)

    def _place(self, admits: Callable[[Seat], bool], turn_of: TurnOf | None = None) -> None:
        """Places the steps that need a slot which is admitted, run by run in their turns."""
        turn_of = turn_of or self._turn
        self.unplaceable.clear()
        line = [turn_of(one) for _, one in self.decision.runs() if one.queue and self._may_begin(one)]
        heapify(line)
        while line and self.free and self.decision.room > 0:
            turn = heappop(line)
            one = self.decision.view(turn[-1])
            if one is not None and (now := turn_of(one)) != turn:
                heappush(line, now)  # another run of its tree had a turn meanwhile
                continue
            draft = self._place_next(turn[-1], admits)
            if draft is not None:
                heappush(line, turn_of(draft))

    def _is_first(self, seat: Seat) -> bool:
        return self.pools.is_open(seat) and self.pools.goes_first(seat)

    @cached_property
    def waiting_models(self) -> Mapping[str, frozenset[str]]:
        """The models that queued steps could ask, by pool."""
        found: dict[str, set[str]] = {}
        for run, one in self.decision.runs():
            if self._is_held(one):
                continue
            for demand in self.decision.ask(run, partial(_list_demands, one, self.decision.now)) or ():
                for seat in list_seats(self.decision.hosts, demand):
                    found.setdefault(seat.pool, set()).add(seat.model)
        return {pool: frozenset(models) for pool, models in found.items()}

    def _may_begin(self, one: Ongoing | RunDraft) -> bool:
        return not self._is_held(one) and self.limits.admits(one.run)

    @cached_property
    def present(self) -> Mapping[str, set[str]]:
        """The hosts that have a snapshot, by its commit, as far as attempts of unfinished runs show."""
        found: dict[str, set[str]] = {}
        for _, one in self.decision.runs():
            if one.run.hosts:
                found.setdefault(one.run.plan.snapshot.commit, set()).update(one.run.hosts)
        return found

    def _is_held(self, one: Ongoing | RunDraft) -> bool:
        """Returns whether an operator holds a run, or one that it is a part of."""
        above: Ongoing | RunDraft | None = one
        while above is not None and not above.run.is_held:
            parent = above.run.plan.parent
            above = self.decision.view(parent.run) if parent is not None else None
        return above is not None

    def _place_next(self, run: str, admits: Callable[[Seat], bool]) -> RunDraft | None:
        """Places one step of a run; None where none can be placed."""
        one = self.decision.view(run)
        if one is None or not self.limits.admits(one.run):
            return None
        found = self.decision.ask(run, lambda: self._find_next(run, admits))
        return None if found is None else self._create(run, *found)

    def _find_next(self, run: str, admits: Callable[[Seat], bool]) -> tuple[str, Placement] | None:
        one = self.decision.view(run)
        for name, queued in one.queue.items() if one is not None else ():
            if id(queued.demand) in self.unplaceable or queued.not_before > self.decision.now or one is None:
                continue
            if (
                placement := self._choose(one.run.steps[name], queued.demand, admits, one.run.plan.snapshot.commit)
            ) is not None:
                return name, placement
        return None

    def _choose(self, step: Step, demand: Demand, admits: Callable[[Seat], bool], snapshot: str) -> Placement | None:
        last = step.last_attempt
        is_repair = step.repair is not None and last is not None and step.repair.instead_of == last.id
        placement = choose_host(
            self.decision.hosts,
            self.free,
            demand,
            {attempt.host for attempt in step.attempts},
            admits,
            present=self.present.get(snapshot, ()),
            again=last.host if is_repair and last is not None else "",
        )
        if placement is None:
            self.unplaceable.add(id(demand))
        return placement

    def _create(self, run: str, name: str, placement: Placement) -> RunDraft | None:
        self.free[placement.host] -= 1
        if not self.free[placement.host]:
            del self.free[placement.host]
        must_load = self.pools.must_load(placement.seat)
        placement = replace(placement, reason=placement.reason + self.pools.give_reason(placement.seat))
        self.decision.change(run, partial(create_attempt, name=name, placement=placement, must_load=must_load))
        draft = self.decision.draft(run)
        if draft is None or draft.run.is_settled:
            return None
        self.pools.take(placement.seat, draft.run.steps[name].attempts[-1].id, draft.run.plan.root)
        self.limits.take(draft.run)
        self.held[draft.run.plan.root] += 1
        self.served[draft.run.plan.root] = self.decision.now
        return draft

    def _turn(self, one: Ongoing | RunDraft) -> Turn:
        """Returns when a run has its turn. Sub-runs take turns with their run: a tree of runs starves no other."""
        run, root = one.run, one.run.plan.root
        return (-run.plan.priority, self.limits.live(root), self.served[root], run.create_time, run.id)

    def _is_first_in(self, pool: str, seat: Seat) -> bool:
        return seat.pool == pool and self._is_first(seat)

    def _turn_in(self, pool: str, one: Ongoing | RunDraft) -> Turn:
        """Returns when a run has its turn in a pool."""
        run, root = one.run, one.run.plan.root
        served = self.pools.pools[pool].served.get(root, 0.0) if pool in self.pools.pools else 0.0
        return (-run.plan.priority, self.held[root], served, run.create_time, run.id)

    def _root_of(self, attempt: str) -> str:
        run = attempt_owner(attempt)[0]
        one = self.decision.view(run)
        return one.run.plan.root if one is not None else run

    def _explain(self) -> None:
        for run, one in list(self.decision.runs()):
            if one.queue and not self._is_held(one) and (self.decision.touched_hosts or run in self.decision.drafts):
                self.decision.change(run, self._explain_run)

    def _explain_run(self, draft: RunDraft) -> None:
        most, limit = draft.events + self.decision.room, self.limits.explain(draft.run)
        for name, (not_before, demand) in draft.queue.items():
            if not_before > draft.now or draft.events >= most:
                continue
            wait_before = draft.step(name).wait
            is_told = wait_before is not None and wait_before.kind is not WaitKind.RETRY
            if is_told and not self.decision.touched_hosts and not self.pools.known:
                continue  # its wait changes with hosts and limits only
            wait = limit or self._explain_demand(draft.run.id, demand)
            if wait_before is None or _is_news(wait_before, wait):
                draft.emit(StepWaits(name, wait.kind, wait.text, wait.pool))

    def _explain_demand(self, run: str, demand: Demand) -> Wait:
        about = (run, id(demand))
        if about not in self.waits:
            self.waits[about] = explain_wait(self.decision.hosts, demand, self.pools, run)
        return self.waits[about]


def create_attempt(draft: RunDraft, name: str, placement: Placement, *, must_load: bool = False) -> None:
    """Creates an attempt, and asks its host to start it."""
    step = draft.step(name)
    plan = agent_of(step)
    number = len(step.attempts) + 1
    attempt = attempt_id(draft.run.id, name, number)
    start = StartSpec(
        execution=attempt,
        agent=placement.agent,
        prompt=step.next_prompt,
        snapshot=draft.run.plan.snapshot.commit,
        parameters=step.list_parameters(asks_model=bool(placement.seat.pool)),
        timeout_seconds=plan.timeout_seconds,
        idle_timeout_seconds=plan.idle_timeout_seconds,
        first_output_timeout_seconds=plan.first_output_timeout_seconds,
        orphan_timeout_seconds=plan.orphan_timeout_seconds,
        turns=TURNS_WITH_REPAIR if placement.takes_turns and plan.repairs and step.repair is None else 0,
        loading_timeout_seconds=LOADING_SECONDS if must_load else 0.0,
        traceparent=write_traceparent(draft.run.trace, span_of_attempt(attempt)),
    )
    start_run(draft)
    # The step's parameters are not stored again with each attempt: folding adds them (see `step`).
    stored = replace(start, parameters=())
    seat = placement.seat
    draft.emit(
        AttemptCreated(
            name,
            start.execution,
            number,
            placement.host,
            placement.reason,
            stored,
            placement.instance,
            seat.pool,
            seat.model,
            placement.names_places,
        )
    )
    del draft.queue[name]
    draft.tracks[start.execution] = Track(
        placement.host, plan.lost_after_seconds or draft.limits.lost_after, placement.instance, pool=seat.pool
    )
    draft.send(StartExecution(placement.host, start, placement.instance))
    draft.mark(*draft.run.children.get(name, ()))


def _list_demands(one: Ongoing | RunDraft, now: float) -> Collection[Demand]:
    return {id(queued.demand): queued.demand for queued in one.queue.values() if queued.not_before <= now}.values()


def _is_news(before: Wait, wait: Wait) -> bool:
    """Returns whether a wait is told again: not for who holds the slots, which changes with every attempt.

    A run that is at its limit waits for a slot in the next moment, and the other way round. Readers are told which it is now (see
    `core.placing.standing`); an event for each step each time would be too much.
    """
    if {before.kind, wait.kind} in _ALTERNATING:
        return False
    return before.kind is not wait.kind or (wait.pool if wait.kind is WaitKind.POOL else wait.text) != (
        before.pool if wait.kind is WaitKind.POOL else before.text
    )
