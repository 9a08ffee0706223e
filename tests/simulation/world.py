"""A world: one conductor at a time, a few hosts, a network, callers and watchers, and trouble, all from one seed.

Nothing here waits or sleeps: time is a number, and what is due next happens next (`agenda`). After a while the trouble ends, and
everything must come to its end. What is judged on the way is in `invariants`, what is judged in the end in `tests.histories`.
"""

from collections import Counter, deque
from dataclasses import replace
from random import Random

from conductor.clock import Past, Reading
from conductor.core.model.attempt import Attempt
from conductor.core.model.commands import Decision
from conductor.core.model.conductor_state import Limits
from conductor.core.model.run import Run
from conductor.core.model.states import AttemptState, StepState
from conductor.core.model.step import Step
from tests.histories import Evidence, Outcome, compare_outcomes, find_faults
from tests.simulation.agenda import Agenda, Bell
from tests.simulation.callers import Callers
from tests.simulation.conductor import CONDUCTOR, Conductor
from tests.simulation.invariants import check_run_end
from tests.simulation.machine import Machine
from tests.simulation.memory_store import MemoryStore
from tests.simulation.network import Call, Network
from tests.simulation.plans import AGENTS
from tests.simulation.stopwatch import Stopwatch
from tests.simulation.subject import Subject
from tests.simulation.trouble import LOST_AFTER_SECONDS, Trouble
from tests.simulation.violation import Violation

LIMITS = Limits(lost_after=LOST_AFTER_SECONDS, remembered_runs=2)
EVENTS_PER_DECISION = (500, 500, 500, 20, 5)
MOST_STEPS = 200_000
MOST_SECONDS = 20_000.0
MOST_TRACED = 80
# From the end of all trouble: keepalive finds the last broken call, the host is asked again, the agent has its grace.
NEEDLESS_SECONDS = 25.0


class World:
    """Everything there is."""

    def __init__(self, seed: int, subject: Subject, *, calm: bool = False, traced: bool = False) -> None:
        self.seed = seed
        self.subject = subject
        self.agenda = Agenda()
        self.seen: Counter[str] = Counter()
        self.trace: deque[str] | None = deque(maxlen=MOST_TRACED) if traced else None
        rng = Random(f"world {seed}")
        self.network = Network(self.agenda, Random(f"network {seed}"), self.seen)
        self.limits = replace(LIMITS, events_per_decision=rng.choice(EVENTS_PER_DECISION))
        self.callers = Callers(rng, seed)
        self.machines = self._make_machines(rng)
        self.store = MemoryStore()
        self.stored = Bell()
        self.store_is_full = False
        self.clock_offset = 0.0
        self.boots = [0.0]  # when the conductor's machine came up
        self.kept_clock = ("", 0.0)
        self.stopwatch = Stopwatch()
        self.is_troubled = not calm
        # Between the streams and the engine nothing is lost or doubled, but its core would bear it.
        self.repeats = 0.0 if calm else rng.choice((0.0, 0.02, 0.1))
        self.drops = 0.0 if calm else rng.choice((0.0, 0.0, 0.02))
        self.commit_seconds = rng.choice((0.02, 0.02, 0.3))
        self.network.slowness = 0.0 if calm else rng.choice((0.0, 0.0, 3.0))
        self.trouble = Trouble(self, Random(f"trouble {seed}"))
        self.rng = rng
        self.epochs: list[int] = []
        self.watchers: dict[str, object] = {}
        self.conductor: Conductor | None = None
        self.needless: dict[str, float] = {}
        self.is_over = False

    # The life of the world.

    def live(self) -> None:
        """Lives until every run has ended, everybody knows, and every host is quiet."""
        for machine in self.machines.values():
            self._boot_daemon(machine)
        self._boot_conductor()
        self.agenda.after(0.1, self._ask)
        self.agenda.after(0.5, self._look)
        if self.is_troubled:
            self.agenda.after(self.rng.random() * 2, self.trouble.happen)
        for _ in range(MOST_STEPS):
            self.agenda.step()
            if self.is_over:
                self._check_end()
                return
            if self.agenda.now > MOST_SECONDS:
                break
        raise Violation(f"the world does not come to an end: {self.describe()}")

    def note(self, text: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.agenda.now:10.3f}  {text}")

    def pass_point(self, point: str, machine: Machine | None = None, call: Call | None = None) -> None:
        if self.is_troubled:
            self.trouble.pass_point(point, machine, call)

    def tell_stored(self) -> None:
        self.stored.ring()

    def _look(self) -> None:
        """Every second: is the trouble over, and is everything?"""
        if self.is_troubled and self.network.is_whole and (self.trouble.left == 0 or self._is_done()):
            self._end_trouble()
        elif not self.is_troubled and self._is_done():
            self.is_over = True
        if not self.is_troubled:
            self._check_purpose()
        self._send_watchers()
        self.agenda.after(1.0, self._look)

    def _ask(self) -> None:
        if self.conductor is not None and not self.conductor.is_frozen and not self.store_is_full:
            self.conductor.ask(self.callers.ask(troubled=self.is_troubled))
        self.agenda.after(self.rng.random() * 2, self._ask)

    def _is_done(self) -> bool:
        conductor = self.conductor
        if conductor is None or conductor.attendances or self.callers.are_waiting:
            return False
        if any(not run.is_settled for run in self.store.runs.values()):
            return False
        if any(machine.living or machine.shims or machine.disk.folders for machine in self.machines.values()):
            return False
        return all(watcher.has_heard_end for watcher in self.watchers.values())  # type: ignore[attr-defined]

    def describe(self) -> str:
        runs = {
            name: {step: str(one.state) for step, one in run.steps.items() if not one.is_settled}
            for name, run in self.store.runs.items()
            if not run.is_settled
        }
        conductor = self.conductor
        attended = (
            {} if conductor is None else {name: vars(one.conversation) for name, one in conductor.attendances.items()}
        )
        living = {name: sorted(machine.living) for name, machine in self.machines.items()}
        return f"at {self.agenda.now:.1f}: runs {runs}, attended {attended}, living {living}"

    # Programs and machines.

    def begin_clock(self) -> float:
        """What a conductor's clock is ahead of the true time, when it begins now on a machine whose wall clock may be wrong."""
        reading = Reading(
            1000.0 + self.agenda.now + self.clock_offset, self.agenda.now - self.boots[-1], str(len(self.boots))
        )
        last = max((times[-1] for times in self.store.times.values()), default=0.0)
        is_at_work = any(not run.is_settled for run in self.store.runs.values())
        offset = self.subject.continue_time(reading, Past(last, is_at_work, *self.kept_clock))
        self.kept_clock = (reading.boot, offset)
        return offset - self.boots[-1]

    def _boot_daemon(self, machine: Machine) -> None:
        machine.daemon = self.subject.daemon(machine, self.subject)

    def restart_daemon(self, machine: Machine, pause: float) -> None:
        machine.kill_daemon()
        self.agenda.after(pause, lambda: machine.daemon or self._boot_daemon(machine))

    def _boot_conductor(self) -> None:
        if self.conductor is None:
            self.conductor = self.subject.conductor(self)
            self.epochs.append(self.conductor.epoch)

    def restart_conductor(self, pause: float) -> None:
        """Kills it; what it wrote last may still be on its way."""
        if self.conductor is not None:
            self.conductor.kill()
            self.network.lose(self.conductor, at_once=self.rng.random() < 0.5)
            self.conductor = None
        self.agenda.after(pause, self._boot_conductor)

    def cut_power_of_conductor(self) -> None:
        """What was shown and not yet durable is gone: whoever was told of it begins anew."""
        if self.conductor is not None:
            self.conductor.kill()
            self.network.lose(self.conductor, at_once=False)
            self.conductor = None
        self.store.lose_power()
        self.boots.append(self.agenda.now)
        for name, watcher in list(self.watchers.items()):
            if watcher.place > self.store.positions[watcher.run]:  # type: ignore[attr-defined]
                self.seen["watcher was told what a power cut took"] += 1
                watcher.kill()  # type: ignore[attr-defined]
                del self.watchers[name]
        self.agenda.after(1.0 + self.rng.random() * 3, self._boot_conductor)

    def depose_conductor(self, seconds: float) -> None:
        """Another one owns the store from now on; the old one goes on for a while, and speaks to hosts."""
        if self.conductor is None:
            return
        old, self.conductor = self.conductor, None
        old.is_deposed = True

        def end() -> None:
            old.kill()
            self.network.lose(old, at_once=True)

        self.agenda.after(seconds, end)
        self._boot_conductor()

    def _end_trouble(self) -> None:
        self.note("the trouble ends")
        self.is_troubled = False
        self.trouble.left = 0
        self.repeats = self.drops = self.network.slowness = 0.0
        self.store_is_full = False
        if self.conductor is not None:
            self.conductor.thaw()
        for machine in self.machines.values():
            machine.is_draining = machine.disk.is_full = False
            for process in (machine.daemon, *machine.shims.values()):
                if process is not None:
                    process.thaw()

    def _make_machines(self, rng: Random) -> dict[str, Machine]:
        machines = {}
        for number in range(rng.randint(1, 3)):
            name = f"host{number}"
            agents = AGENTS if number == 0 else tuple(rng.sample(AGENTS, rng.randint(1, 3)))
            machines[name] = Machine(
                name,
                self.seed,
                self.agenda,
                self.network,
                self.seen,
                slots=rng.randint(1, 4),
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
                self.watchers[name] = self.subject.watcher(self, name, run, 0)
            elif len(self.watchers) < 8 and not self.is_over and self.rng.random() < 0.05:
                number = len(self.watchers)
                after = self.rng.randint(0, self.store.durable_positions[run])
                self.watchers[f"{run} {number}"] = self.subject.watcher(self, f"{run} {number}", run, after)

    # What is judged.

    def check_times(self, decision: Decision, now: float, ahead: float) -> None:
        """Judges what is about to be stored by the true time, of which no conductor knows. `now` is so far ahead of it."""
        self.stopwatch.watch(decision, self.store.runs, now, now - ahead, self.boots[-1])

    def _check_spawn(self, attempt: str) -> None:
        if not self.store.is_live(attempt):
            raise Violation(f"{attempt} begins though it has ended")

    def _check_purpose(self) -> None:
        """When all is well again, no agent goes on for long that nobody counts on, or whose run stops."""
        for machine in self.machines.values():
            for attempt in machine.living:
                run = self.store.runs[attempt.partition("-")[0]]
                if self.store.is_live(attempt) and run.stop is None:
                    self.needless.pop(attempt, None)
                elif self.agenda.now - self.needless.setdefault(attempt, self.agenda.now) > NEEDLESS_SECONDS:
                    raise Violation(f"the agent of {attempt} goes on, and nobody counts on it")

    def _check_end(self) -> None:
        for run in self.store.runs.values():
            check_run_end(run)
            if self.store.ends[f"run {run.id}"] != 1:
                raise Violation(f"run {run.id} ended {self.store.ends[f'run {run.id}']} times")
            for step in run.steps.values():
                for attempt in step.attempts:
                    self._check_loss(attempt)
        if faults := find_faults(self.evidence()):
            raise Violation("; ".join(faults[:5]))

    def _check_loss(self, attempt: Attempt) -> None:
        """An attempt that ran is lost with its machine, or by too long a silence; not otherwise."""
        machine = self.machines[attempt.host]
        is_silence = attempt.failure is not None and "silent" in attempt.failure.message
        has_run = machine.spawned[attempt.id] and attempt.id not in machine.unpowered
        if attempt.state is AttemptState.LOST and has_run and not is_silence:
            raise Violation(f"{attempt.id} ran, and its host did not know it any more")

    def evidence(self) -> Evidence:
        machines = self.machines.values()
        attempts = [one for run in self.store.runs.values() for step in run.steps.values() for one in step.attempts]
        lost = {attempt.id for attempt in attempts if attempt.state is AttemptState.LOST}
        return Evidence(
            runs=self.store.histories(),
            watches=tuple(watcher.watch() for watcher in self.watchers.values()),  # type: ignore[attr-defined]
            words=tuple(words for machine in machines for words in machine.words()),
            hosts=tuple(machine.history(lost) for machine in machines),
            epochs={CONDUCTOR: tuple(self.epochs)},
        )

    def outcomes(self) -> dict[str, Outcome]:
        """What came of each run, with the text of each step's last attempt."""
        return {
            name: Outcome(
                str(run.state),
                {
                    step: (str(one.state), self.store.said(one.attempts[-1].id, "answer") if one.attempts else "")
                    for step, one in run.steps.items()
                },
                run.markdown,
            )
            for name, run in self.store.runs.items()
        }

    def comparable_runs(self) -> frozenset[str]:
        """The runs that nobody stopped, and whose every attempt ended by its agent's own doing: trouble must not show in them."""
        return frozenset(
            name
            for name, run in self.store.runs.items()
            if run.cancel_time is None
            and not _ran_out_of_time(run)
            and all(map(_ended_by_itself, run.steps.values()))
            # How far children are when their parent fails is a matter of time.
            and not any(run.children.get(step.plan.id) for step in run.steps.values() if step.state is StepState.FAILED)
        )


def _ran_out_of_time(run: Run) -> bool:
    """Trouble takes time, and flows may set limits to that."""
    failures = [run.failure, *(step.failure for step in run.steps.values())]
    return any(failure is not None and failure.reason in {"RUN_TIMEOUT", "QUEUE_TIMEOUT"} for failure in failures)


def _ended_by_itself(step: Step, *also: str) -> bool:
    own = {"", "AGENT_EXIT_NONZERO", "EMPTY_OUTPUT", "SANDBOX_REFUSED", *also}
    return all((attempt.failure.reason if attempt.failure else "") in own for attempt in step.attempts)


def simulate(seed: int, subject: Subject | None = None, *, traced: bool = False) -> World:
    """Lives one world to its end; raises Violation where a promise is broken."""
    subject = subject or Subject()
    world = World(seed, subject, traced=traced)
    world.live()
    return world


def live_and_compare(seed: int, subject: Subject, world: World | None = None) -> World:
    """Lives a world, and compares every fourth with a calm one: they cost time, and differ by little from seed to seed."""
    world = world or World(seed, subject)
    world.live()
    if seed % 4 == 0:
        compare_with_calm(world)
    return world


def compare_with_calm(world: World) -> None:
    """Lives the same world without trouble: what was not legitimately lost must have come out the same."""
    calm = World(world.seed, world.subject, calm=True)
    calm.live()
    expected = calm.outcomes()
    for run, seen in world.outcomes().items():
        steps, is_stopped = calm.store.runs[run].steps.values(), calm.store.runs[run].stop is not None
        # A part of a step that ended may be cancelled before its agent began: then nothing of it is known anywhere.
        if not is_stopped and not all(
            _ended_by_itself(step, "CANCELLED", "HOST_LOST" if step.plan.parent else "CANCELLED") for step in steps
        ):
            raise Violation(f"run {run} was disturbed by nobody, and an attempt of it did not end by itself")
        is_free = not is_stopped and not _ran_out_of_time(calm.store.runs[run])
        if is_free and run in world.comparable_runs():
            world.seen["outcome compared"] += 1
            if faults := compare_outcomes(seen, expected[run]):
                raise Violation(f"run {run}: {'; '.join(faults)}")
