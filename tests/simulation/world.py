"""A world: one conductor at a time, a few hosts, a network, callers and watchers, and trouble, all from one seed.

The programs are the real ones; what they stand on is simulated, at these seams:

- time and tasks: each program has an event loop of its own in virtual time (`process`), whose `to_thread` is a matter of chance;
- transport: channels and servers as grpc.aio has them, with real messages and the real interceptor (`client`, `server`, `network`);
- the conductor's store: the port, over a store in memory that a power cut takes some of (`storage`, `journal`); its clocks;
- a host's disk: a folder in memory, with power cuts and no space left (`disk`); its shims, with agents (`shim`); its clock;
- beside them: evaluation workers, the proof of the sandbox, snapshots, callers and watchers.

Nothing waits or sleeps: what is due next happens next (`agenda`). After a while the trouble ends, and everything must come to its
end. What is judged on the way is in `invariants`, what is judged in the end in `tests.kit.histories`.
"""

import gc
import shutil
import sys
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from conductor.core.model.commands import Decision
from conductor.core.model.conductor_state import Limits
from conductor.core.model.states import AttemptState
from tests.kit.histories import Evidence, find_faults
from tests.simulation.description import describe
from tests.simulation.ground.agenda import Agenda
from tests.simulation.ground.disk import make_root, watching_files
from tests.simulation.ground.ear import hearing
from tests.simulation.ground.network import Call, Network
from tests.simulation.ground.process import Process, running
from tests.simulation.judges.attempts import check_attempt
from tests.simulation.judges.invariants import check_retry, check_run_end
from tests.simulation.judges.journal import CONDUCTOR, JudgedDisk
from tests.simulation.judges.leases import Purposes, check_leases
from tests.simulation.judges.stopwatch import Stopwatch
from tests.simulation.judges.sub_runs import check_sub_runs
from tests.simulation.judges.violation import Violation
from tests.simulation.programs.callers import Callers
from tests.simulation.programs.conductor import Conductor
from tests.simulation.programs.host import Daemon
from tests.simulation.programs.machine import Machine
from tests.simulation.programs.operator import Operator
from tests.simulation.programs.plans import AGENTS
from tests.simulation.programs.watchers import Watcher
from tests.simulation.trouble import LOST_AFTER_SECONDS, Trouble

if TYPE_CHECKING:
    import asyncio

LIMITS = Limits(lost_after=LOST_AFTER_SECONDS)
EVENTS_PER_DECISION = (500, 500, 500, 20, 5)
MOST_STEPS = 2_000_000
MOST_SECONDS = 3_000.0
MOST_TRACED = 200
# What programs log when they met a mistake of their own.
_DEFECTS = {"call_failed", "execution_broke", "execution_not_begun", "execution_given_up"}
# Of which lines of log what else is counted.
_DETAILS = {"execution_ended": "cause", "stream_ended": "reason"}


class World:
    """Everything there is."""

    def __init__(self, seed: int, *, calm: bool = False, traced: bool = False) -> None:
        self.seed = seed
        self.agenda = Agenda()
        self.seen: Counter[str] = Counter()
        self.trace: deque[str] | None = deque(maxlen=MOST_TRACED) if traced else None
        rng = Random(f"world {seed}")
        self.network = Network(self.agenda, Random(f"network {seed}"), self.seen)
        self.limits = replace(LIMITS, events_per_decision=rng.choice(EVENTS_PER_DECISION))
        callers = Callers(rng, seed)
        self.root = make_root(f"{seed}-calm" if calm else f"{seed}")
        self.pool_slots = Random(f"pool {seed}").choice((0, 0, 1, 2))  # 0: no agent has a model
        self.machines = self._make_machines(rng)
        self.operator = Operator(seed, self.machines)
        self.callers = callers
        callers.operator = self.operator
        self.store = JudgedDisk(CONDUCTOR)
        self._readers: list[tuple[Process, asyncio.Future[None]]] = []
        self.store_is_full = False
        self.clock_offset = 0.0
        self.boots = [0.0]  # when the conductor's machine came up
        self.started: set[str] = set()  # attempts that were asked for, each with its host
        self.stopwatch = Stopwatch()
        self.is_troubled = not calm
        self.well_since = 0.0
        # Between the streams and the engine nothing is lost or doubled, but its core would bear it.
        self.repeats = 0.0 if calm else rng.choice((0.0, 0.02, 0.1))
        self.drops = 0.0 if calm else rng.choice((0.0, 0.0, 0.02))
        self.commit_seconds = rng.choice((0.02, 0.02, 0.3))
        self.network.slowness = 0.0 if calm else rng.choice((0.0, 0.0, 3.0))
        self.trouble = Trouble(self, Random(f"trouble {seed}"))
        self.rng = rng
        self.epochs: list[int] = []
        self.watchers: dict[str, Watcher] = {}
        self.processes: list[Process] = []
        self.conductor: Conductor | None = None
        self.conductors: list[Conductor] = []
        self.defects: list[str] = []
        self.purposes = Purposes()
        self.is_over = False

    # The life of the world.

    def live(self) -> None:
        """Lives until every run has ended, everybody knows, and every host is quiet."""
        gc.disable()  # what a dead program left must not be cleaned up by chance
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(lambda _: None, lambda _: None)
        try:
            with watching_files(), hearing(self._hear):
                try:
                    self._live()
                finally:
                    self._bury()
        finally:
            sys.set_asyncgen_hooks(*hooks)
            gc.enable()
            shutil.rmtree(self.root)

    def _live(self) -> None:
        for machine in self.machines.values():
            self._boot_daemon(machine)
        self._boot_conductor()
        self.agenda.after(0.1, self._ask)
        self.agenda.after(0.5, self._look)
        if self.is_troubled:
            self.agenda.after(self.rng.random() * 2, self.trouble.happen)
        while self.agenda.steps < MOST_STEPS and self.agenda.now < MOST_SECONDS:
            self.agenda.step()
            if self.is_over:
                self._check_end()
                return
        raise Violation(f"the world does not come to an end: {describe(self)}")

    def _bury(self) -> None:
        for process in self._all_processes():
            process.bury()

    def _all_processes(self) -> list[Process]:
        machines = [process for machine in self.machines.values() for process in machine.processes]
        return [*self.processes, *machines, *(watcher.process for watcher in self.watchers.values())]

    def _check_faults(self) -> None:
        """No program may fail, whatever happens around it."""
        for process in self._all_processes():
            for fault in process.faults:
                if isinstance(fault, Violation):
                    raise fault
                raise Violation(f"{process.name} failed: {fault!r}") from (
                    fault if isinstance(fault, BaseException) else None
                )

    def _hear(self, event: str, values: Mapping[str, Any]) -> None:
        """Hears a line of a program's log."""
        process = running()
        if process is None or not process.is_alive:
            return  # it is being buried
        detail = f": {values.get(_DETAILS[event]) or 'other'}" if event in _DETAILS else ""
        self.seen[f"{event.replace('_', ' ')}{detail}"] += 1
        if self.trace is not None:
            self.note(f"{process.name}: {event} {dict(values)}")
        if event == "host_superseded" and any(
            one.process is process and not one.storage.is_deposed for one in self.conductors
        ):
            raise Violation(f"{values['host']} takes the conductor's newest start for an old one")
        if event in _DEFECTS:
            self.defects.append(f"{event} {dict(values)}: {sys.exception()!r}")

    def note(self, text: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.agenda.now:10.3f}  {text}")

    def pass_point(self, point: str, machine: Machine | None = None, call: Call | None = None) -> None:
        if self.is_troubled:
            self.trouble.pass_point(point, machine, call)

    def tell_stored(self) -> None:
        readers, self._readers = self._readers, []
        for process, reader in readers:
            process.do(lambda reader=reader: reader.done() or reader.set_result(None))  # type: ignore[misc]

    def stored(self, process: Process) -> "asyncio.Future[None]":
        """Returns what is done when something is stored."""
        reader = process.create_future()
        self._readers.append((process, reader))
        return reader

    @property
    def is_served(self) -> bool:
        return self.conductor is not None and not self.conductor.process.is_frozen

    def _look(self) -> None:
        """Every second: is the trouble over, and is everything?"""
        if self.is_troubled and self.network.is_whole and (self.trouble.left == 0 or self._is_done()):
            self._end_trouble()
        elif not self.is_troubled and self._is_done():
            self.is_over = True
        check_leases(self.machines.values(), self.network, self.agenda.now)
        if not self.is_troubled:
            self.purposes.check(self.machines.values(), self.store, self.agenda.now, self.well_since)
        self._check_faults()
        self._send_watchers()
        self.agenda.after(1.0, self._look)

    def _ask(self) -> None:
        self.callers.look(self.store.runs)
        if self.conductor is not None and self.is_served and not self.store_is_full:
            asked = self.callers.ask(self.store.runs, troubled=self.is_troubled)
            of_operator = self.operator.ask(self.store.hosts, self.machines, troubled=self.is_troubled)
            self.conductor.ask([*of_operator, *asked])
        self.agenda.after(self.rng.random() * 2, self._ask)

    def _is_done(self) -> bool:
        conductor = self.conductor
        if conductor is None or not conductor.is_at_rest or self.callers.are_waiting:
            return False
        if any(not run.is_settled for run in self.store.runs.values()):
            return False
        if not self.operator.is_content(self.store.hosts, self.machines):
            return False
        if any(machine.living or machine.shims or machine.folders for machine in self.machines.values()):
            return False
        return all(watcher.has_heard_end for watcher in self.watchers.values())

    # Programs and machines.

    def _boot_daemon(self, machine: Machine) -> None:
        machine.daemon = Daemon(machine)

    def restart_daemon(self, machine: Machine, pause: float) -> None:
        machine.kill_daemon()
        self.agenda.after(pause, lambda: machine.daemon or self._boot_daemon(machine))

    def _boot_conductor(self) -> None:
        if self.conductor is None:
            self.conductor = Conductor(self)
            self.conductors.append(self.conductor)
            self.processes.append(self.conductor.process)
            self.epochs.append(self.conductor.epoch)

    def restart_conductor(self, pause: float) -> None:
        """Kills it; what it wrote last may still be on its way."""
        if self.conductor is not None:
            self.conductor.process.kill()
            self.network.lose(self.conductor.process, at_once=self.rng.random() < 0.5)
            self.conductor = None
        self.agenda.after(pause, self._boot_conductor)

    def cut_power_of_conductor(self) -> None:
        """What was shown and not yet durable is gone: whoever was told of it begins anew."""
        if self.conductor is not None:
            self.conductor.process.kill()
            self.network.lose(self.conductor.process, at_once=False)
            self.conductor = None
        self.store.lose_power()
        self.boots.append(self.agenda.now)
        for name, watcher in list(self.watchers.items()):
            if watcher.place > self.store.positions[watcher.run]:
                self.seen["watcher was told what a power cut took"] += 1
                watcher.process.kill()
                self.processes.append(watcher.process)
                del self.watchers[name]
        self.agenda.after(1.0 + self.rng.random() * 3, self._boot_conductor)

    def depose_conductor(self, seconds: float) -> None:
        """Another one owns the store from now on; the old one goes on for a while, and speaks to hosts."""
        if self.conductor is None:
            return
        old, self.conductor = self.conductor, None
        old.storage.is_deposed = True

        def end() -> None:
            old.process.kill()
            self.network.lose(old.process, at_once=True)

        self.agenda.after(seconds, end)
        self._boot_conductor()

    def _end_trouble(self) -> None:
        self.note("the trouble ends")
        self.is_troubled = False
        self.well_since = self.agenda.now
        self.trouble.left = 0
        self.repeats = self.drops = self.network.slowness = 0.0
        self.store_is_full = False
        self.operator.put_right()
        if self.conductor is not None:
            self.conductor.process.thaw()
        for machine in self.machines.values():
            machine.disk.is_full = False
            self.drain(machine, is_draining=False)
            for program in (machine.daemon, *machine.shims.values()):
                if program is not None:
                    program.process.thaw()

    @property
    def configured(self) -> dict[str, str]:
        """The hosts that the conductor's configuration names, with their addresses."""
        return {name: self.machines[name].address for name in self.operator.configured}

    def drain(self, machine: Machine, *, is_draining: bool) -> None:
        machine.is_draining = is_draining
        if machine.daemon is not None:
            machine.daemon.drain(is_draining=is_draining)

    def _make_machines(self, rng: Random) -> dict[str, Machine]:
        machines = {}
        for number in range(rng.choice((1, 2, 2, 3, 3))):
            name = f"host{number}"
            agents = AGENTS if number == 0 else tuple(rng.sample(AGENTS, rng.randint(1, len(AGENTS))))
            machines[name] = Machine(
                name,
                self.seed,
                self.agenda,
                self.network,
                seen=self.seen,
                root=self.root,
                slots=rng.randint(1, 4),
                pool_slots=self.pool_slots,
                agents=agents,
                check_spawn=self._check_spawn,
                note=self.note,
                pass_point=self.pass_point,
            )
        return machines

    def _send_watchers(self) -> None:
        """Each run gets one who watches from its beginning, and now and then one who has a token of somebody's."""
        for run in self.store.runs:
            name = f"{run} 0"
            if name not in self.watchers:
                self.watchers[name] = Watcher(self, name, run, 0)
            elif len(self.watchers) < 8 and not self.is_over and self.rng.random() < 0.05:
                number = len(self.watchers)
                after = self.rng.randint(0, self.store.durable_positions[run])
                self.watchers[f"{run} {number}"] = Watcher(self, f"{run} {number}", run, after)

    # What is judged.

    def check_times(self, decision: Decision, now: float, ahead: float) -> None:
        """Judges what is about to be stored by the true time, of which no conductor knows. `now` is so far ahead of it."""
        self.stopwatch.watch(decision, self.store.runs, now, now - ahead, self.boots[-1])

    def _check_spawn(self, attempt: str) -> None:
        if not self.store.is_live(attempt):
            raise Violation(f"{attempt} begins though it has ended")

    def _check_end(self) -> None:
        self._check_faults()
        if self.defects:
            raise Violation(f"a program met a defect of its own: {self.defects[0]}")
        self.seen["sub-run"] += check_sub_runs(self.store.runs)
        for run in self.store.runs.values():
            check_run_end(run)
            if run.plan.retry_of:
                self.seen["step reused"] += check_retry(run, self.store.runs[run.plan.retry_of])
            if self.store.ends[f"run {run.id}"] != 1:
                raise Violation(f"run {run.id} ended {self.store.ends[f'run {run.id}']} times")
            for step in run.steps.values():
                for attempt in step.attempts:
                    check_attempt(attempt, self.machines[attempt.host])
        if faults := find_faults(self.evidence()):
            raise Violation("; ".join(faults[:5]))

    def evidence(self) -> Evidence:
        machines = self.machines.values()
        attempts = [one for run in self.store.runs.values() for step in run.steps.values() for one in step.attempts]
        lost = {attempt.id for attempt in attempts if attempt.state is AttemptState.LOST}
        return Evidence(
            runs=self.store.histories(),
            watches=tuple(watcher.watch() for watcher in self.watchers.values()),
            words=tuple(words for machine in machines for words in machine.words()),
            hosts=tuple(machine.history(lost) for machine in machines),
            epochs={CONDUCTOR: tuple(self.epochs)},
        )
