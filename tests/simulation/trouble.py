"""What goes wrong in a simulated world: each kind is one function, and each world has a mix of its own (swarm testing).

Trouble comes at random times, or in ambush: at the very moment when a program passes one of the named points between two acts.
A world in which everything fails at once mostly tests how things begin. So each seed takes some kinds of trouble, with weights and
a pace of their own, and leaves the others out; over many seeds every pair of kinds meets.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.ground.network import Call
from tests.simulation.ground.process import Process
from tests.simulation.programs.plans import ORPHAN_SECONDS

if TYPE_CHECKING:
    from tests.simulation.programs.machine import Machine
    from tests.simulation.world import World

LOST_AFTER_SECONDS = 90.0
# Between which acts a program may be caught: most of them are the crash points of features.md (K1 to K10, K12).
TURN_POINTS = ("turn told", "turn checked, not told", "input told", "input applied", "close told")
POINTS = (
    "decided, not stored",
    "stored, not sent",
    "start told",
    "cancel told",
    *TURN_POINTS,
    "end acknowledged",
    "epoch seen, not stored",
    "folder made, not durable",
    "spawned",
    "cut made, not sent",
    "end told",
    "end acknowledged, not released",
)
GATE_POINTS = ("gate opened", "gate decided")
_FREEZES = (0.5, 3.0, 12.0, 30.0)
_OUTAGES = (0.5, 3.0, 8.0, 20.0, ORPHAN_SECONDS + 10)


class Trouble:
    """The trouble of one world."""

    def __init__(self, world: "World", rng: Random) -> None:
        self.world = world
        self.rng = rng
        kinds = [kind for kind in KINDS if rng.random() < 0.4] or [rng.choice(KINDS)]
        if world.operator.is_busy:
            kinds += HOST_KINDS
        self._kinds = kinds
        self._weights = [rng.choice((1, 1, 3)) for _ in kinds]
        self._traps: set[str] = set()
        self._pace = rng.choice((0.1, 0.3, 1.0, 4.0))
        self.left = rng.choice((0, 5, 15, 40))

    def happen(self) -> None:
        """Lets something go wrong, and plans the next."""
        if self.left == 0:
            return
        self.left -= 1
        (kind,) = self.rng.choices(self._kinds, self._weights)
        self.world.seen[f"trouble: {kind.__name__.strip('_').replace('_', ' ')}"] += 1
        self.world.note(f"trouble: {kind.__name__.strip('_')}")
        kind(self)
        self.world.agenda.after(self.rng.expovariate(1 / self._pace), self.happen)

    def pass_point(self, point: str, machine: "Machine | None", call: Call | None = None) -> None:
        """Springs the trap that was laid here, if there is one."""
        if point not in self._traps:
            return
        self._traps.discard(point)
        self.world.seen[f"caught: {point}"] += 1
        self.world.note(f"caught: {point}")
        machine = machine or self.machine()
        if call is not None and self.rng.random() < 0.8:
            if point == "start told":
                call.strand()
            else:
                call.lose_what_is_on_its_way()
            return
        faults = (self.kill_daemon, self.cut_power, self.kill_conductor, self.reset_calls, self.fill_disk)
        fault = self.rng.choice(faults)
        self.world.agenda.after(self.rng.choice((0.0, 0.005, 0.05)), lambda: fault(machine))

    def lay_trap(self, point: str) -> None:
        self._traps.add(point)

    def kill_daemon(self, machine: "Machine") -> None:
        self.world.restart_daemon(machine, self.rng.choice(_OUTAGES) * self.rng.random())

    def cut_power(self, machine: "Machine") -> None:
        machine.lose_power()
        self.world.restart_daemon(machine, 1.0 + self.rng.choice(_OUTAGES) * self.rng.random())

    def kill_conductor(self, _: "Machine | None" = None) -> None:
        self.world.restart_conductor(self.rng.random() * 3)

    def reset_calls(self, _: "Machine | None" = None) -> None:
        self.world.network.reset_some()

    def fill_disk(self, machine: "Machine") -> None:
        machine.disk.is_full = True
        seconds = self.rng.random() * self.rng.choice((8, 25))
        self.world.agenda.after(seconds, lambda: setattr(machine.disk, "is_full", False))

    def machine(self) -> "Machine":
        return self.rng.choice(list(self.world.machines.values()))

    def freeze(self, processes: list[Process], seconds: float, machine: "Machine | None" = None) -> None:
        if machine is not None:
            machine.thawed_at = max(machine.thawed_at, self.world.agenda.now + seconds)
        for process in processes:
            process.freeze()
            self.world.agenda.after(seconds, process.thaw)


def _reset_calls(trouble: Trouble) -> None:
    trouble.reset_calls()


def _lay_trap(trouble: Trouble) -> None:
    for point in (*trouble.rng.sample(POINTS, 4), trouble.rng.choice(("start told", "cancel told"))):
        trouble.lay_trap(point)
    for point in GATE_POINTS:
        trouble.lay_trap(point)


def _lay_traps_in_turns(trouble: Trouble) -> None:
    for point in TURN_POINTS:
        trouble.lay_trap(point)


def _slow_network(trouble: Trouble) -> None:
    trouble.world.network.slow_down(trouble.rng.random() * 5)


def _cut_off_host(trouble: Trouble) -> None:
    machines = trouble.world.machines.values()
    machine = trouble.rng.choice([one for one in machines if one.living] or list(machines))
    long = LOST_AFTER_SECONDS + 20
    seconds = trouble.rng.choice((*_OUTAGES, long, long, long))
    daemon = None if machine.daemon is None else machine.daemon.process
    trouble.world.network.cut_off(machine.name, daemon, seconds)


def _kill_daemon(trouble: Trouble) -> None:
    trouble.kill_daemon(trouble.machine())


def _freeze_daemon(trouble: Trouble) -> None:
    machine = trouble.machine()
    if machine.daemon is not None:
        trouble.freeze([machine.daemon.process], trouble.rng.choice(_FREEZES), machine)


def _freeze_machine(trouble: Trouble) -> None:
    machine = trouble.machine()
    daemon = [] if machine.daemon is None else [machine.daemon.process]
    seconds = trouble.rng.choice((*_FREEZES, ORPHAN_SECONDS + 10))
    trouble.freeze([*daemon, *map(machine.freeze_shim, machine.shims)], seconds, machine)


def _kill_shim(trouble: Trouble) -> None:
    machine = trouble.machine()
    if machine.shims:
        machine.kill_shim(trouble.rng.choice(sorted(machine.shims)))


def _freeze_shim(trouble: Trouble) -> None:
    machine = trouble.machine()
    if machine.shims:
        shim = machine.freeze_shim(trouble.rng.choice(sorted(machine.shims)))
        trouble.freeze([shim], trouble.rng.choice(_FREEZES), machine)


def _cut_power_of_host(trouble: Trouble) -> None:
    trouble.cut_power(trouble.machine())


def _fill_disk_of_host(trouble: Trouble) -> None:
    trouble.fill_disk(trouble.machine())


def _drain_host(trouble: Trouble) -> None:
    machine = trouble.machine()
    trouble.world.drain(machine, is_draining=not machine.is_draining)


def _move_host(trouble: Trouble) -> None:
    added = [one for one in trouble.world.machines.values() if one.name in trouble.world.operator.added]
    if added:
        trouble.rng.choice([one for one in added if one.living] or added).move()


def _remove_host(trouble: Trouble) -> None:
    operator = trouble.world.operator
    if operator.added:
        name, seconds = (
            trouble.rng.choice(sorted(operator.added)),
            trouble.rng.choice((*_OUTAGES, LOST_AFTER_SECONDS + 20)),
        )
        operator.wishes[name].is_there, operator.wishes[name].forces = False, trouble.rng.random() < 0.7
        trouble.world.agenda.after(seconds, lambda: setattr(operator.wishes[name], "is_there", True))


def _drain_by_conductor(trouble: Trouble) -> None:
    wish = trouble.world.operator.wishes[trouble.machine().name]
    wish.is_drained = not wish.is_drained


def _set_clock_of_host(trouble: Trouble) -> None:
    trouble.machine().clock_offset = trouble.rng.choice((-3600.0, 0.0, 3600.0))


def _kill_conductor(trouble: Trouble) -> None:
    trouble.kill_conductor()


def _kill_daemon_and_conductor(trouble: Trouble) -> None:
    _kill_daemon(trouble)
    _kill_conductor(trouble)


def _cut_power_of_conductor(trouble: Trouble) -> None:
    trouble.world.cut_power_of_conductor()


def _depose_conductor(trouble: Trouble) -> None:
    trouble.world.depose_conductor(trouble.rng.random() * 15)
    if trouble.rng.random() < 0.5:
        trouble.world.agenda.after(1.5, lambda: trouble.world.restart_daemon(trouble.machine(), 0.1))


def _freeze_conductor(trouble: Trouble) -> None:
    if trouble.world.conductor is not None:
        trouble.freeze([trouble.world.conductor.process], trouble.rng.choice(_FREEZES))


def _fill_disk_of_conductor(trouble: Trouble) -> None:
    world = trouble.world
    world.store_is_full = True
    world.agenda.after(trouble.rng.random() * 8, lambda: setattr(world, "store_is_full", False))


def _set_clock_of_conductor(trouble: Trouble) -> None:
    trouble.world.clock_offset = trouble.rng.choice((-3600.0, 0.0, 3600.0))
    _kill_conductor(trouble)


KINDS: tuple[Callable[[Trouble], None], ...] = (
    _reset_calls,
    _lay_trap,
    _lay_trap,
    _lay_traps_in_turns,
    _lay_traps_in_turns,
    _slow_network,
    _cut_off_host,
    _cut_off_host,
    _kill_daemon,
    _freeze_daemon,
    _freeze_machine,
    _kill_shim,
    _freeze_shim,
    _cut_power_of_host,
    _fill_disk_of_host,
    _drain_host,
    _set_clock_of_host,
    _kill_conductor,
    _kill_daemon_and_conductor,
    _cut_power_of_conductor,
    _depose_conductor,
    _freeze_conductor,
    _fill_disk_of_conductor,
    _set_clock_of_conductor,
)
# Of an operator who changes the hosts. They come on top, so that the other worlds stay as they are.
HOST_KINDS: tuple[Callable[[Trouble], None], ...] = (
    _move_host,
    _move_host,
    _remove_host,
    _remove_host,
    _drain_by_conductor,
)
