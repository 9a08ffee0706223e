"""Plays runs of many steps over the core in virtual time, to see how the slots are shared."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from conductor.core.folded.attempt import attempt_owner
from conductor.core.model.commands import Decision, StartExecution
from conductor.core.model.conductor_state import Limits
from conductor.core.model.inputs import HostPool, Input
from conductor.core.model.work import WorkKind
from tests.conductor.core.bench import Bench, asks
from tests.kit.shares import Shares

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
class Played(Shares):
    """What came of it, and of each run how long its first step waited."""

    waits: dict[int, float] = field(default_factory=dict)


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
        self.loads = loads
        self.played = Played(len(loads), min(sum(hosts), self.bench.state.limits.attempts))
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
        return self.played

    def _arrive(self, run: int) -> None:
        load = self.loads[run]
        steps = [asks(f"s{number}", agents=(load.agent,)) for number in range(load.steps)]
        self._follow(self.bench.launch(*steps, run=name_of(run), priority=load.priority))
        self.played.note(self._now, run, queued=load.steps)
        for step in steps:
            self.bench.queue(step.id, run=name_of(run))
            self._follow(self.bench.last)

    def _end(self, run: int, step: str) -> None:
        self.played.note(self._now, run, begun=-1)
        self._follow(self.bench.finish(step, run=name_of(run)))
        self._follow(self.bench.answer(WorkKind.CHECK, step, run=name_of(run)))

    def _follow(self, decision: Decision) -> None:
        for command in decision.to_send:
            if isinstance(command, StartExecution):
                name, step = attempt_owner(command.start.execution)
                run = int(name[3:])
                load = self.loads[run]
                self.played.note(self._now, run, begun=1, queued=-1)
                self.played.waits.setdefault(run, self._now - load.arrival)
                self._plan(self._now + load.seconds * self._random.uniform(1 - JITTER, 1 + JITTER), run, step)

    @property
    def _now(self) -> float:
        return self.bench.now

    def _plan(self, time: float, run: int, step: str = "") -> None:
        self._due += 1
        heapq.heappush(self._agenda, (time, self._due, run, step))


def name_of(run: int) -> str:
    """Returns the id of a run by its number."""
    return f"01k{run:0>23}"


def play(loads: Sequence[Load], *hosts: int, seed: int = 0, until: float = 1e9) -> Played:
    """Plays loads on hosts of so many slots."""
    return Workload(loads, hosts, seed=seed).play(until)
