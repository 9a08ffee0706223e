"""A world in one thread: hosts, links, workers, callers and a store around the real core, and every fault that a seed picks.

Nothing here waits or sleeps: time is a number, and one turn of one part follows another in an order that the seed gives.
After a while the faults end, and everything must come to its end.
"""

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from conductor.core.commands import (
    AckExecution,
    CancelExecution,
    Command,
    Evaluate,
    ResumeExecution,
    StartExecution,
)
from conductor.core.conductor_state import ConductorState, Limits
from conductor.core.inputs import HostAgent, HostReported, Input
from tests.simulation.callers import Callers
from tests.simulation.hosts import ORPHAN_SECONDS, SimulatedHost
from tests.simulation.invariants import check_command, check_decision, check_run_end, check_state
from tests.simulation.links import Link
from tests.simulation.memory_store import MemoryStore
from tests.simulation.plans import AGENTS
from tests.simulation.subject import Subject, Violation
from tests.simulation.workers import answer

LIMITS = Limits(lost_after=30.0, remembered_requests=8, remembered_runs=2)
EVENTS_PER_DECISION = (500, 500, 500, 20, 5)
MOST_TURNS = 4000
IDLE_TURNS = 50


if TYPE_CHECKING:
    from conductor.core.work import Work


class Crash(Exception):  # noqa: N818 — the conductor's process ends here; the world goes on
    """The conductor dies."""


class World:
    def __init__(self, seed: int, subject: Subject) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.subject = subject
        self.now = 1000.0
        self.store = MemoryStore()
        self.limits = replace(LIMITS, events_per_decision=self.rng.choice(EVENTS_PER_DECISION))
        self.inputs_taken = 0
        self.restarts = 0
        self.troubled = True
        self.hosts = self._make_hosts()
        self.callers = Callers(self.rng, seed)
        self.late: list[Input] = []
        self.idle = 0
        self._boot()

    # The life of the world.

    def live(self) -> None:
        """Lives until every run has ended and every host is quiet."""
        trouble_ends = self.rng.randint(60, 500)
        for turn in range(MOST_TURNS):
            if turn == trouble_ends:
                self._end_trouble()
            if not self.troubled and self._is_done():
                break
            self.now += self.rng.random() * 0.1
            self._act()
        else:
            raise Violation(f"the world does not come to an end: {self._describe()}")
        self._check_end()

    def _act(self) -> None:
        chance = self.rng.random()
        if self.troubled and chance < 0.1:
            self._make_trouble()
        elif chance < 0.30:
            self._let_agents_speak()
        elif chance < 0.55:
            self._let_links_read()
        elif chance < 0.70:
            self._let_workers_answer()
        elif chance < 0.76:
            self.inbox += self.callers.ask(troubled=self.troubled)
        else:
            self._turn()

    def _is_done(self) -> bool:
        if self.inbox or self.late or self.callers.are_waiting:
            return False
        if any(not run.is_settled for run in self.store.runs.values()):
            return False
        for host in self.hosts.values():
            self._reconcile(host)
        return not any(link.unread for link in self.links.values())

    def _describe(self) -> str:
        runs = {
            name: {step: str(one.state) for step, one in run.steps.items()}
            for name, run in self.store.runs.items()
            if not run.is_settled
        }
        return f"{runs}, wake at {self.state.wake_at}, now {self.now}, works {self.works}, inbox {self.inbox}"

    # The conductor's process.

    def _boot(self) -> None:
        self.inbox: list[Input] = []
        self.works: list[Work] = []
        self.links: dict[str, Link] = {}
        self.told: set[str] = set()
        for host in self.hosts.values():
            host.connected = False
            host.silent_since = self.now
        self.state: ConductorState = self.subject.restore(
            self.store.unfinished(), self.store.cursors, self.now, self.limits
        )
        try:
            for command in self.subject.recover(self.state):
                self._send(command)
            self._check_told()
            self._decide([])
        except Crash:
            self._restart()

    def _restart(self) -> None:
        self.restarts += 1
        if self.rng.random() < 0.4:
            self.store.lose_power()
        self.now += self.rng.random() * 3
        self._boot()

    def _turn(self) -> None:
        count = self.rng.randint(1, 5)
        batch, self.inbox = self.inbox[:count], self.inbox[count:]
        due = self.state.wake_at is not None and self.state.wake_at <= self.now
        if not batch and not due:
            if self.inbox or self._is_busy():
                return
            if self.state.wake_at is None:
                return
            self.now = max(self.now, self.state.wake_at)
        try:
            self._decide(batch)
        except Crash:
            self._restart()

    def _decide(self, inputs: list[Input]) -> None:
        inputs = self.callers.ask_store(inputs, self.store)
        self.inputs_taken += len(inputs)
        decision, after = self.subject.advance(self.state, inputs, self.now)
        if self.rng.random() < 0.02 and self.subject.advance(self.state, inputs, self.now) != (decision, after):
            raise Violation("the same inputs in the same state gave two decisions")
        check_decision(decision, self.limits)
        self._perhaps_crash()
        self.store.append(decision, self.now)
        self.state = after
        check_state(after, self.store, self.now)
        self.idle = 0 if inputs or decision.to_store or decision.to_send else self.idle + 1
        if self.idle > IDLE_TURNS:
            raise Violation(f"called again and again for nothing: {self._describe()}")
        self._perhaps_crash()
        for reply in decision.replies:
            self.callers.hear(reply)
        for command in decision.to_send:
            self._perhaps_crash(0.002)
            self._send(command)
        self._check_told()

    def _check_told(self) -> None:
        """Every agent of a run that stops was told to end, by this process (B7, B8)."""
        for name, one in self.state.ongoing.items():
            if one.run.stop is not None and not one.dirty:
                for attempt in one.tracks:
                    if attempt not in self.told:
                        raise Violation(f"run {name} stops, and {attempt} was not told to end")

    def _perhaps_crash(self, chance: float = 0.006) -> None:
        if self.troubled and self.rng.random() < chance:
            raise Crash

    def _send(self, command: Command) -> None:
        check_command(command, self.store)
        if isinstance(command, Evaluate):
            self.works.append(command.work)
            return
        attempt = command.start.execution if isinstance(command, StartExecution) else command.attempt
        link = self.links.get(attempt)
        if link is None:
            if not command.host:
                return
            link = self.links[attempt] = Link(attempt, self.hosts[command.host])
        match command:
            case StartExecution():
                link.start = command.start
            case ResumeExecution():
                link.start, link.known, link.received = None, True, command.after_sequence
                link.attached = False
            case CancelExecution():
                link.cancelled = True
                self.told.add(attempt)
            case AckExecution():
                link.received = max(link.received, command.sequence)
                link.acknowledgement = max(link.acknowledgement, (command.sequence, command.finished))
        if link.attached:
            link.tell(self.rng)
        else:
            self.inbox.extend(link.attach(self.rng))
        self._drop_if_over(link)

    def _drop_if_over(self, link: Link) -> None:
        if link.is_over:
            self.links.pop(link.attempt, None)

    # Workers, hosts and links.

    def _is_busy(self) -> bool:
        return bool(
            self.works
            or any(link.unread for link in self.links.values())
            or any(not one.is_over for host in self.hosts.values() for one in host.executions.values())
            or self.callers.are_waiting
        )

    def _let_workers_answer(self) -> None:
        if self.works:
            work = self.works.pop(self.rng.randrange(len(self.works)))
            self.inbox.append(answer(self.seed, work))
            if self.troubled and self.rng.random() < 0.1:
                self.works.append(work)  # asked, or answered, twice

    def _let_agents_speak(self) -> None:
        speaking = [one for host in self.hosts.values() for one in host.executions.values() if not one.is_over]
        if speaking:
            execution = self.rng.choice(speaking)
            execution.made = min(execution.made + self.rng.randint(1, 2), len(execution.script))
        for host in self.hosts.values():
            if not host.connected and self.now - host.silent_since > ORPHAN_SECONDS:
                host.orphan()
            if not host.connected and self.rng.random() < 0.3:
                self._connect(host)

    def _let_links_read(self) -> None:
        if self.late and self.rng.random() < 0.2:
            self.inbox.append(self.late.pop(self.rng.randrange(len(self.late))))
        waiting = [link for link in self.links.values() if link.unread > 0]
        if not waiting:
            return
        link = self.rng.choice(waiting)
        skip = 1 if self.troubled and link.unread > 1 and self.rng.random() < 0.08 else 0
        report = link.read(self.rng.randint(1, 2), skip)
        self.inbox.append(report)
        if self.troubled and self.rng.random() < 0.06:
            self.late.append(report)

    def _connect(self, host: SimulatedHost) -> None:
        host.connected = True
        self._report(host)
        self._reconcile(host)
        for link in [link for link in self.links.values() if link.host is host]:
            self.inbox.extend(link.attach(self.rng))
            self._drop_if_over(link)

    def _report(self, host: SimulatedHost) -> None:
        agents = tuple(HostAgent(agent) for agent in host.agents)
        self.inbox.append(HostReported(host.name, host.connected, host.draining, host.slots, agents))

    def _reconcile(self, host: SimulatedHost) -> None:
        """What runs there and is of no live attempt is ended and let go (rule 9)."""
        for attempt, execution in host.executions.items():
            if attempt not in self.links and not self.store.is_live(attempt):
                host.cancel(attempt, self.rng)
                execution.cut(execution.script[-1])  # type: ignore[arg-type]
                execution.released = True

    # Trouble.

    def _make_trouble(self) -> None:
        kind = self.rng.random()
        host = self.rng.choice(list(self.hosts.values()))
        if kind < 0.25:
            self._disconnect(host)
        elif kind < 0.40:
            host.draining = not host.draining
            if host.connected:
                self._report(host)
        elif kind < 0.50:
            self._disconnect(host)
            host.reboot()
        elif kind < 0.65 and self.inbox:
            self.rng.shuffle(self.inbox)
        elif kind < 0.80 and self.inbox:
            self.inbox.append(self.rng.choice(self.inbox))
        elif kind < 0.86:
            self.now += self.rng.choice((2.0, 5.0, 25.0, 40.0))
        elif kind < 0.93:
            self._break_stream()
        else:
            self._restart()

    def _disconnect(self, host: SimulatedHost) -> None:
        if host.connected:
            host.connected = False
            host.silent_since = self.now
            for link in self.links.values():
                link.attached = link.attached and link.host is not host
            self._report(host)

    def _break_stream(self) -> None:
        attached = [link for link in self.links.values() if link.attached]
        if attached:
            link = self.rng.choice(attached)
            link.attached = False
            self.inbox.extend(link.attach(self.rng))
            self._drop_if_over(link)

    def _end_trouble(self) -> None:
        self.troubled = False
        for host in self.hosts.values():
            host.draining = False
            if host.connected:
                self._report(host)
            else:
                self._connect(host)

    # Hosts, and the end.

    def _make_hosts(self) -> dict[str, SimulatedHost]:
        hosts = {}
        for number in range(self.rng.randint(1, 3)):
            name = f"host{number}"
            agents = AGENTS if number == 0 else tuple(self.rng.sample(AGENTS, self.rng.randint(1, 3)))
            hosts[name] = SimulatedHost(name, self.rng.randint(1, 4), agents, self._check_spawn, self.seed)
        return hosts

    def _check_spawn(self, attempt: str) -> None:
        run, step, _ = attempt.split("-")
        if any(attempt in host.spawned for host in self.hosts.values()):
            raise Violation(f"{attempt} runs twice")
        if not self.store.is_live(attempt) or self.store.runs[run].stop is not None:
            raise Violation(f"{attempt} begins though its run stops or has ended")
        for host in self.hosts.values():
            for other in host.executions.values():
                if other.id.startswith(f"{run}-{step}-") and not other.is_over:
                    raise Violation(f"{attempt} begins while {other.id} runs")

    def _check_end(self) -> None:
        for run in self.store.runs.values():
            check_run_end(run)
            if self.store.ends[f"run {run.id}"] != 1:
                raise Violation(f"run {run.id} ended {self.store.ends[f'run {run.id}']} times")
            for step in run.steps.values():
                for attempt in step.attempts:
                    self._check_transcript(attempt.id, attempt.host, attempt.last_sequence)
        for host in self.hosts.values():
            if any(not execution.is_over for execution in host.executions.values()):
                raise Violation(f"an agent runs on {host.name} after every run has ended")

    def _check_transcript(self, attempt: str, host: str, last: int) -> None:
        execution = self.hosts[host].executions.get(attempt)
        if execution is None:
            return
        for channel in ("answer", "reasoning", "log", "activity"):
            if self.store.said(attempt, channel) != execution.text(channel, last):
                raise Violation(f"the {channel} of {attempt} is not what its agent said")


def simulate(seed: int, subject: Subject | None = None) -> World:
    """Lives one world to its end; raises Violation where a promise is broken."""
    world = World(seed, subject or Subject())
    world.live()
    return world
