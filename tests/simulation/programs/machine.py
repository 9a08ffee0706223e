"""A simulated machine that runs agents: its disk, its daemon, the shims that outlive the daemon, and what happened on it.

What is noted here is what a spawn log and a process table would tell: nothing of it is read by the simulated programs.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.kit.histories import HostHistory, Lifetime, Words
from tests.simulation.ground.agenda import Agenda
from tests.simulation.ground.disk import Disk
from tests.simulation.ground.network import Network
from tests.simulation.ground.process import Process
from tests.simulation.judges.violation import Violation
from tests.simulation.programs.shim import Shim

if TYPE_CHECKING:
    from tests.simulation.programs.host import Daemon

# What a frozen program had before it froze it does when it is thawed: that much later nobody can have told it otherwise.
THAWING_SECONDS = 15.0
# Writes and syncs between which a daemon may be caught, by the end of the file's name.
_POINTS = {
    ("sync", "/.start.new"): "folder made, not durable",
    ("sync", "/.owner.json.new"): "folder made, not durable",
    ("write", "/fences.jsonl"): "epoch seen, not stored",
    ("write", "/cuts"): "cut made, not sent",
}


class Machine:
    """One host, from outside."""

    def __init__(
        self,
        name: str,
        seed: int,
        agenda: Agenda,
        network: Network,
        *,
        seen: Counter[str],
        root: Path,
        slots: int,
        pool_slots: int,
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
        self.pool_slots = pool_slots
        self.agents = agents
        self.note = note
        self.rng = Random(f"machine {seed} {name}")
        self.disk = Disk(root / name, self._pass_file)
        (self.disk.root / "instance").write_text(f"{name} {seed}")
        (self.disk.root / "attempts").mkdir()
        (self.disk.root / "lock").touch()
        self.disk.settle()
        self.is_draining = False
        self.clock_offset = 0.0
        self.boot_id = "boot 1"
        self.place = 1
        self.daemon: Daemon | None = None
        self.shims: dict[Path, Shim] = {}
        self.admitted: list[tuple[str, int]] = []
        self.begun: set[str] = set()  # whose agent was let go: a shim may die before
        self.ended_turns: Counter[str] = Counter()
        self.prompts: Counter[str] = Counter()  # those that came after the first
        self.waiting: dict[str, float] = {}  # since when
        self.processes: list[Process] = []
        self._check_spawn = check_spawn
        self._pass_point = pass_point
        self.thawed_at = -THAWING_SECONDS
        self.unpowered: set[str] = set()  # whose files were there when the power was cut
        self._attempts: dict[str, str] = {}  # by the name of its folder
        self._lives: dict[str, float] = {}
        self._lifetimes: list[Lifetime] = []
        self._frozen: dict[str, float] = {}
        self._torn: set[str] = set()
        self._words: defaultdict[str, defaultdict[str, bytearray]] = defaultdict(lambda: defaultdict(bytearray))

    def pass_point(self, point: str) -> None:
        self._pass_point(point, self)

    def _pass_file(self, act: str, path: str, data: bytes) -> None:
        point = _POINTS.get((act, path[path.rfind("/") :]))
        if point is None and act == "write" and path.endswith("/tombstones.jsonl") and b"released" in data:
            point = "end acknowledged, not released"
        if point is not None:
            self.pass_point(point)

    @property
    def address(self) -> str:
        return f"{self.name}@{self.place}"

    def move(self) -> None:
        """The machine gets another address, and nothing reaches it at the one before."""
        self.place += 1
        if self.daemon is not None:
            self.network.lose(self.daemon.process, at_once=False)

    @property
    def folders(self) -> list[str]:
        """The attempts that this machine has files of."""
        return [folder.name for folder in (self.disk.root / "attempts").iterdir()]

    def spawn(self, folder: Path, attempt: str) -> None:
        """Starts a shim, which will let the agent go when its sandbox stands."""
        self._attempts[folder.name] = attempt
        shim = self.shims[folder] = Shim(self, folder, attempt)
        self.processes.append(shim.process)
        self.pass_point("spawned")

    def begin_life(self, attempt: str) -> None:
        if self.agenda.now > self.thawed_at + THAWING_SECONDS:
            self._check_spawn(attempt)
        self.begun.add(attempt)
        self._lives[attempt] = self.agenda.now
        self.note(f"{self.name}: agent of {attempt} begins")

    def begin_wait(self, attempt: str) -> None:
        """The agent has ended a turn, and waits for what follows."""
        self.ended_turns[attempt] += 1
        self.waiting[attempt] = self.agenda.now

    def end_wait(self, attempt: str, prompt: str) -> None:
        """The agent has a further prompt, or nothing more comes."""
        self.waiting.pop(attempt, None)
        if prompt:
            self.prompts[attempt] += 1
            self.note(f"{self.name}: agent of {attempt} is asked further")
        if self.prompts[attempt] > 1:
            raise Violation(f"the agent of {attempt} was given its input twice")

    def hear(self, attempt: str, channel: str, data: bytes) -> None:
        self._words[attempt][channel] += data

    def end_life(self, attempt: str) -> None:
        self.waiting.pop(attempt, None)
        began = self._lives.pop(attempt, None)
        if began is not None:
            self._lifetimes.append(Lifetime(attempt, began, self.agenda.now))
            self.note(f"{self.name}: agent of {attempt} ends")

    def forget(self, shim: Shim) -> None:
        """The shim's program has ended."""
        self.shims.pop(shim.folder, None)
        shim.process.kill()
        for link in shim.links:
            link.break_()

    def kill_shim(self, folder: Path) -> None:
        """The agent dies with its shim."""
        shim = self.shims[folder]
        self.forget(shim)
        self.end_life(shim.attempt)

    def freeze_shim(self, folder: Path) -> Process:
        shim = self.shims[folder]
        self._frozen.setdefault(shim.attempt, self.agenda.now)
        return shim.process

    def kill_daemon(self, *, at_once: bool = True) -> None:
        if self.daemon is not None:
            process, self.daemon = self.daemon.process, None
            process.kill()
            self.network.lose(process, at_once=at_once)
            for shim in self.shims.values():
                for link in [link for link in shim.links if link.daemon is process]:
                    shim.lose_link(link)

    def lose_power(self) -> None:
        """Everything ends at once, and the disk keeps what was synced."""
        self.kill_daemon(at_once=False)
        for folder in list(self.shims):
            self.kill_shim(folder)
        self.unpowered.update(self._attempts[name] for name in self.folders if name in self._attempts)
        self.boot_id = f"boot {int(self.boot_id.split()[1]) + 1}"
        torn = {Path(folder).name for folder in self.disk.lose_power(self.rng)}
        self._torn.update(attempt for name, attempt in self._attempts.items() if name in torn)

    def is_torn(self, attempt: str) -> bool:
        """Tells whether a power cut took of what an agent said."""
        return attempt in self._torn

    @property
    def living(self) -> frozenset[str]:
        return frozenset(self._lives)

    def words(self) -> list[Words]:
        """What each agent said, as a reader of text sees it."""
        return [
            Words(
                attempt,
                {name: data.decode(errors="replace").encode() for name, data in said.items()},
                kept=not self.is_torn(attempt),
                torn=self.is_torn(attempt),
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
