"""Plays runs of many steps over the core in virtual time, and measures how the slots were shared.

The share of a run is what it would get, were slots divided evenly among the runs that want some, moment by moment: none gets more
than it wants, and what it leaves is divided among the others.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from conductor.core.folded.attempt import attempt_owner
from conductor.core.model.commands import Decision, StartExecution
from conductor.core.model.conductor_state import Limits
from conductor.core.model.inputs import HostPool, Input
from conductor.core.model.work import WorkKind
from tests.conductor.core.bench import Bench, asks

JITTER = 0.2
AGENT = "survey"


@dataclass(frozen=True, slots=True)
class Load:
    """A run of equal steps: when it is asked for, and how long its steps take. Their lengths differ by a fifth."""

    steps: int
    arrival: float = 0.0
    seconds: float = 1.0
    priority: int = 0
    agent: str = AGENT


@dataclass(slots=True)
class Played:
    """What came of it: at which time of which run how many more attempts were live, and how many more steps waited."""

    loads: Sequence[Load]
    slots: int
    changes: list[tuple[float, int, int, int]] = field(default_factory=list)
    waits: dict[int, float] = field(default_factory=dict)
    most_live: int = 0

    @property
    def end(self) -> float:
        """Returns when the last step ended."""
        return self.changes[-1][0]

    def worst_ratio(self, window: float, begin: float = 0.0, grain: float = 0.0) -> float:
        """Returns the least that a run got of its share over any window. `grain` seconds of a slot are forgiven."""
        pieces, worst = list(self._pieces()), 1.0
        start = begin
        while start == begin or start + window <= self.end:
            got, due = [0.0] * len(self.loads), [0.0] * len(self.loads)
            for first, last, live, share in pieces:
                seconds = min(last, start + window) - max(first, start)
                for run in range(len(self.loads)) if seconds > 0 else ():
                    got[run] += live[run] * seconds
                    due[run] += share[run] * seconds
            wanting = [(one + grain) / all_ for one, all_ in zip(got, due, strict=True) if all_ > grain + 0.01]
            worst = min([worst, *wanting])
            start += window / 10
        return worst

    def _pieces(self) -> Iterator[tuple[float, float, list[int], list[float]]]:
        live, waiting, since = [0] * len(self.loads), [0] * len(self.loads), 0.0
        for now, run, begun, queued in self.changes:
            if now > since:
                wanted = [one + other for one, other in zip(live, waiting, strict=True)]
                yield since, now, list(live), share_evenly(wanted, self.slots)
                since = now
            live[run] += begun
            waiting[run] += queued


def share_evenly(wanted: Sequence[int], slots: int) -> list[float]:
    """Divides slots evenly, giving no run more than it wants."""
    shares, left = [0.0] * len(wanted), float(slots)
    line = sorted(range(len(wanted)), key=lambda run: wanted[run])
    for place, run in enumerate(line):
        shares[run] = min(float(wanted[run]), left / (len(line) - place))
        left -= shares[run]
    return shares


class _Bench(Bench):
    """A bench on which no time passes by itself."""

    def take(self, *inputs: Input, later: float = 0.0) -> Decision:
        return super().take(*inputs, later=later)


class Workload:
    """Plays loads on a bench."""

    def __init__(
        self,
        loads: Sequence[Load],
        hosts: Sequence[int],
        models: Mapping[str, tuple[HostPool, str]] | None = None,
        seed: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self.bench, self._random = _Bench(limits), Random(seed)
        self.bench.now = 0.0
        self.played = Played(loads, min(sum(hosts), self.bench.state.limits.attempts))
        self._agenda: list[tuple[float, int, int, str]] = []
        self._due = 0
        agents = sorted({load.agent for load in loads})
        for number, slots in enumerate(hosts):
            self.bench.host(f"h{number}", slots, *agents, models=models or {})
        for run, load in enumerate(loads):
            self._plan(load.arrival, run)

    def play(self, until: float = 1e9) -> Played:
        """Plays until the last step has ended, or until a time."""
        while self._agenda and self._agenda[0][0] <= until:
            self.bench.now, _, run, step = heapq.heappop(self._agenda)
            self._arrive(run) if not step else self._end(run, step)
            live = sum(len(one.tracks) for one in self.bench.state.ongoing.values())
            self.played.most_live = max(self.played.most_live, live)
        return self.played

    def _arrive(self, run: int) -> None:
        load = self.played.loads[run]
        steps = [asks(f"s{number}", agents=(load.agent,)) for number in range(load.steps)]
        self._follow(self.bench.launch(*steps, run=name_of(run), priority=load.priority))
        self._note(run, 0, load.steps)
        for step in steps:
            self.bench.queue(step.id, run=name_of(run))
            self._follow(self.bench.last)

    def _end(self, run: int, step: str) -> None:
        self._note(run, -1, 0)
        self._follow(self.bench.finish(step, run=name_of(run)))
        self._follow(self.bench.answer(WorkKind.CHECK, step, run=name_of(run)))

    def _follow(self, decision: Decision) -> None:
        for command in decision.to_send:
            if isinstance(command, StartExecution):
                name, step = attempt_owner(command.start.execution)
                run = int(name[3:])
                load = self.played.loads[run]
                self._note(run, 1, -1)
                self.played.waits.setdefault(run, self._now - load.arrival)
                self._plan(self._now + load.seconds * self._random.uniform(1 - JITTER, 1 + JITTER), run, step)

    @property
    def _now(self) -> float:
        return self.bench.now

    def _note(self, run: int, begun: int, queued: int) -> None:
        self.played.changes.append((self._now, run, begun, queued))

    def _plan(self, time: float, run: int, step: str = "") -> None:
        self._due += 1
        heapq.heappush(self._agenda, (time, self._due, run, step))


def name_of(run: int) -> str:
    """Returns the id of a run by its number."""
    return f"01k{run:0>23}"


def play(loads: Sequence[Load], *hosts: int, seed: int = 0, until: float = 1e9) -> Played:
    """Plays loads on hosts of so many slots."""
    return Workload(loads, hosts, seed=seed).play(until)
