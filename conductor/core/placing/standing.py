"""Tells how things stand now: what each queued step waits for, and how each pool is used. Derived, and stored nowhere.

An event says what a step waited for when it began to wait. Who holds the slots changes with every attempt, so that is derived.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from conductor.core.decide.endings.loss import Absence, list_absences
from conductor.core.folded.room import count_known_steps
from conductor.core.folded.step import Step, Wait
from conductor.core.model.conductor_state import ConductorState, Ongoing, Pool, Queued
from conductor.core.model.states import StepState, WaitKind
from conductor.core.placing.demand import Demand
from conductor.core.placing.limits import AttemptLimits
from conductor.core.placing.placement import has_labels, list_seats, may_take, most_reach
from conductor.core.placing.slots import PoolSlots
from conductor.core.placing.waits import explain_wait
from conductor.core.sub_runs.telling import list_open

_CHANGING = frozenset({WaitKind.LIMIT, WaitKind.SLOT, WaitKind.POOL, WaitKind.PARKED})


@dataclass(frozen=True, slots=True)
class Part:
    """The progress of a step's sub-run, with its own sub-runs."""

    step: str
    run: str
    settled: int
    running: int
    total: int


@dataclass(frozen=True, slots=True)
class Present:
    """The present of a run, beside its history: hosts that are away, waits of its queued steps, and progress of its sub-runs."""

    absences: tuple[Absence, ...] = ()
    waits: Mapping[str, Wait] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolUse:
    """A pool with its use by this conductor: live attempts, and queued steps that could run there. 0 where it is not parked."""

    name: str
    slots: int
    holders: tuple[str, ...]
    waiting: int
    parked_until: float = 0.0
    loaded: str = ""


def present_of(state: ConductorState, run: str, now: float) -> Present:
    """Returns what is known of a run beside its history."""
    waits = {**list_waits(state, run, now), **list_inner_waits(state, run)}
    return Present(list_absences(state, run), waits, list_parts(state, run))


def list_parts(state: ConductorState, run: str) -> tuple[Part, ...]:
    """Returns how far the sub-runs of a run are."""
    one = state.ongoing.get(run)
    names = [(name, one.run.steps[name].live_sub_run) for name in list_open(one.run)] if one is not None else []
    return tuple(Part(name, sub_run, *_count(state, sub_run)) for name, sub_run in names)


def _count(state: ConductorState, run: str) -> tuple[int, int, int]:
    """Returns how many steps of a run and its sub-runs have ended, how many agents are at work, and how many steps there are."""
    one = state.ongoing.get(run)
    if one is None:
        return 0, 0, 0
    ended = count_known_steps(one.run) - len(one.run.steps)  # of sub-runs that have ended
    below = [_count(state, one.run.steps[name].live_sub_run) for name in list_open(one.run)]
    own = (len(one.run.steps) - one.run.unsettled + ended, len(one.tracks), len(one.run.steps) + ended)
    settled, running, total = (sum(column) for column in zip(own, *below, strict=True))
    return settled, running, total


def list_waits(state: ConductorState, run: str, now: float) -> dict[str, Wait]:
    """Returns what queued steps of a run wait for, by name, where that is something else than was stored."""
    one = state.ongoing.get(run)
    queued = list(_list_waiting(one)) if one is not None else []
    if not queued or one is None:
        return {}
    limit = AttemptLimits(state.ongoing.values(), state.ongoing.get, state.limits).explain(one.run)
    pools, told, waits = pool_slots(state, now), dict[int, Wait](), dict[str, Wait]()
    for name, (_, demand), step in queued:
        wait = limit or told.get(id(demand)) or explain_wait(state.hosts, demand, pools, run)
        told[id(demand)] = wait
        if step.wait is not None and wait.text != step.wait.text:
            waits[name] = Wait(wait.kind, wait.text, step.queue_deadline, wait.pool)
    return waits


def _list_waiting(one: Ongoing) -> Iterator[tuple[str, Queued, Step]]:
    """Yields the queued steps whose wait changes with every attempt that begins or ends."""
    for name, queued in one.queue.items():
        step = one.run.steps[name]
        if step.wait is not None and step.wait.kind in _CHANGING:
            yield name, queued, step


def list_uses(state: ConductorState, now: float) -> tuple[PoolUse, ...]:
    """Returns every pool that a connected host knows, by name."""
    pools = pool_slots(state, now)
    waiting = _count_waiting(state) if pools.known else Counter[str]()
    uses = []
    for name, known in sorted(pools.known.items()):
        pool = pools.pools.get(name, Pool())
        holders = tuple(pools.holders.get(name, ()))
        parked = max(pool.parked_until, pool.quiet_until) if pools.is_parked(name) or pools.is_quiet(name) else 0.0
        uses.append(PoolUse(name, known.slots, holders, waiting[name], parked, pool.loaded))
    return tuple(uses)


def list_inner_waits(state: ConductorState, run: str) -> dict[str, Wait]:
    """Returns what holds up the sub-runs of a run in which no agent is at work, by step.

    As it was stored: a watcher is told each, and who holds the slots of a pool changes with every attempt.
    """
    one = state.ongoing.get(run)
    steps = [one.run.steps[name] for name in list_open(one.run)] if one is not None else []
    found = {step.plan.id: _first_wait(state, step.live_sub_run) for step in steps}
    return {name: wait for name, wait in found.items() if wait is not None}


def _first_wait(state: ConductorState, run: str) -> Wait | None:
    """Returns the first wait in a run and its sub-runs, after the path of its step; None where an agent is at work."""
    one = state.ongoing.get(run)
    if one is None or _count(state, run)[1]:
        return None
    gates = ((name, _gate_wait(run, step)) for name, step in one.run.steps.items())
    queued = ((name, one.run.steps[name].wait) for name in one.queue)
    inner = ((name, _first_wait(state, one.run.steps[name].live_sub_run)) for name in list_open(one.run))
    waits = (
        replace(wait, text=f"{name}{'.' if is_inner else ': '}{wait.text}")
        for is_inner, found in ((False, gates), (False, queued), (True, inner))
        for name, wait in found
        if wait is not None
    )
    return next(waits, None)


def _gate_wait(run: str, step: Step) -> Wait | None:
    if step.state is not StepState.WAITING_GATE or step.gate is None:
        return None
    text = f"needs a decision: {step.gate.title}; let it go on: conductor approve {run}/{step.gate.id}"
    return Wait(WaitKind.GATE, text, step.gate.expire_time)


def pool_slots(state: ConductorState, now: float) -> PoolSlots:
    """Returns the pools as the live attempts use them."""
    tracks = (pair for one in state.ongoing.values() for pair in one.tracks.items())
    return PoolSlots(state.hosts, tracks, state.pools, now)


def count_queued(state: ConductorState) -> Counter[str]:
    """Counts, by host, the queued steps that could run there."""
    counts = Counter[str]()
    for demand, steps in _count_demands(state).items():
        most = most_reach(state.hosts, demand)
        for host in state.hosts.values():
            if host.connected and demand.features <= host.features and has_labels(host, demand):
                counts[host.name] += steps * any(may_take(host, agent, demand, most) for agent in demand.agents)
    return counts


def _count_demands(state: ConductorState) -> Counter[Demand]:
    return Counter(queued.demand for one in state.ongoing.values() for queued in one.queue.values())


def _count_waiting(state: ConductorState) -> Counter[str]:
    """Counts the queued steps that could run in each pool."""
    counts = Counter[str]()
    for demand, steps in _count_demands(state).items():
        for pool in {seat.pool for seat in list_seats(state.hosts, demand)} - {""}:
            counts[pool] += steps
    return counts
