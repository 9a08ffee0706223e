"""A simulated machine that runs agents: its disk, its daemon, the shims that outlive the daemon, and what happened on it.

What is noted here is what a spawn log and a process table would tell: nothing of it is read by the simulated programs.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tests.histories import HostHistory, Lifetime, Words
from tests.simulation.agenda import Agenda
from tests.simulation.disk import Disk, Folder
from tests.simulation.network import Network
from tests.simulation.shim import Shim

if TYPE_CHECKING:
    from tests.simulation.daemon import Daemon

# What a frozen program had before it froze it does when it is thawed: that much later nobody can have told it otherwise.
THAWING_SECONDS = 15.0


class Machine:
    """One host, from outside."""

    def __init__(
        self,
        name: str,
        seed: int,
        agenda: Agenda,
        network: Network,
        seen: Counter[str],
        *,
        slots: int,
        agents: tuple[str, ...],
        check_spawn: Callable[[str], None],
        note: Callable[[str], None],
        pass_point: "Callable[[str, Machine], None]",
    ) -> None:
        self.name = name
        self.seed = seed
        self.agenda = agenda
        self.network = network
        self.seen = seen
        self.slots = slots
        self.agents = agents
        self.note = note
        self.rng = Random(f"machine {seed} {name}")
        self.disk = Disk()
        self.is_draining = False
        self.clock_offset = 0.0
        self.daemon: Daemon | None = None
        self.shims: dict[str, Shim] = {}
        self.admitted: list[tuple[str, int]] = []
        self.spawned: Counter[str] = Counter()
        self._check_spawn = check_spawn
        self._pass_point = pass_point
        self.thawed_at = -THAWING_SECONDS
        self.unpowered: set[str] = set()  # whose files were there when the power was cut
        self._lives: dict[str, float] = {}
        self._lifetimes: list[Lifetime] = []
        self._frozen: dict[str, float] = {}
        self._torn: set[str] = set()
        self._words: defaultdict[str, defaultdict[str, bytearray]] = defaultdict(lambda: defaultdict(bytearray))

    def pass_point(self, point: str) -> None:
        self._pass_point(point, self)

    def spawn(self, folder: Folder) -> None:
        """Starts a shim, which will let the agent go when its sandbox stands."""
        attempt = folder.start.execution
        self.spawned[attempt] += 1
        self.shims[attempt] = Shim(self, folder)

    def begin_life(self, attempt: str) -> None:
        if self.agenda.now > self.thawed_at + THAWING_SECONDS:
            self._check_spawn(attempt)
        self._lives[attempt] = self.agenda.now
        self.note(f"{self.name}: agent of {attempt} begins")

    def hear(self, attempt: str, channel: str, data: bytes) -> None:
        self._words[attempt][channel] += data

    def end_life(self, attempt: str) -> None:
        began = self._lives.pop(attempt, None)
        if began is not None:
            self._lifetimes.append(Lifetime(attempt, began, self.agenda.now))
            self.note(f"{self.name}: agent of {attempt} ends")

    def forget(self, shim: Shim) -> None:
        """The shim's program has ended."""
        shim.kill()
        self.shims.pop(shim.attempt, None)

    def kill_shim(self, attempt: str) -> None:
        """The agent dies with its shim."""
        shim = self.shims[attempt]
        self.forget(shim)
        self.end_life(attempt)
        shim.bell.ring()

    def freeze_shim(self, attempt: str) -> Shim:
        self._frozen.setdefault(attempt, self.agenda.now)
        return self.shims[attempt]

    def kill_daemon(self) -> None:
        if self.daemon is not None:
            self.daemon.kill()
            self.network.lose(self.daemon, at_once=True)
            self.daemon = None

    def lose_power(self) -> None:
        """Everything ends at once, and the disk keeps what was synced."""
        if self.daemon is not None:
            self.daemon.kill()
            self.network.lose(self.daemon, at_once=False)
            self.daemon = None
        for attempt in list(self.shims):
            self.forget(self.shims[attempt])
            self.end_life(attempt)
        self.unpowered.update(self.disk.folders)
        self._torn.update(self.disk.lose_power(self.rng))

    @property
    def living(self) -> frozenset[str]:
        return frozenset(self._lives)

    def words(self) -> list[Words]:
        """What each agent said, as a reader of text sees it."""
        return [
            Words(
                attempt,
                {name: data.decode(errors="replace").encode() for name, data in said.items()},
                kept=attempt not in self._torn,
            )
            for attempt, said in self._words.items()
        ]

    def history(self, lost: Container[str]) -> HostHistory:
        """What a frozen keeper does to an agent whose attempt was given up meanwhile, it does late: that much no lease can hold."""
        alive = tuple(Lifetime(attempt, began, None) for attempt, began in self._lives.items())
        ended = tuple(
            replace(life, ended=self._frozen[life.attempt])
            if life.attempt in self._frozen and life.attempt in lost
            else life
            for life in self._lifetimes
        )
        return HostHistory(self.name, self.slots, (*ended, *alive), tuple(self.admitted))
