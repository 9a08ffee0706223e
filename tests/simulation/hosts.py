"""Simulated hosts: they run each attempt once, number what it says, keep it until it is acknowledged, and die now and then."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from conductor.core.events import Confinement, StartSpec
from conductor.core.inputs import AgentFinished, AgentStarted, Blob, Report, Said
from tests.simulation.subject import Violation

CHANNELS = ("answer", "reasoning", "log", "activity")
ORPHAN_SECONDS = 20.0


@dataclass
class Execution:
    """An agent at work: what it would say, how far it came, how far that is acknowledged."""

    id: str
    script: list[Report]
    made: int = 0
    acknowledged: int = 0
    released: bool = False

    @property
    def is_over(self) -> bool:
        return self.made == len(self.script)

    def cut(self, end: AgentFinished) -> None:
        """Ends it here."""
        if not self.is_over:
            self.script = [*self.script[: self.made], end]
            self.made += 1

    def text(self, channel: str, last: int) -> str:
        return "".join(part.text for part in self.script[:last] if isinstance(part, Said) and part.channel == channel)


@dataclass
class SimulatedHost:
    name: str
    slots: int
    agents: tuple[str, ...]
    check_spawn: Callable[[str], None]
    seed: int
    connected: bool = False
    draining: bool = False
    silent_since: float = 0.0
    executions: dict[str, Execution] = field(default_factory=dict)
    burnt: set[str] = field(default_factory=set)
    spawned: list[str] = field(default_factory=list)

    def start(self, spec: StartSpec) -> str:
        """Starts or attaches; gives the reason where it will do neither."""
        attempt = spec.execution
        if attempt in self.executions:
            return ""
        if attempt in self.burnt:
            return "EXECUTION_EXISTS"
        if spec.agent not in self.agents:
            raise Violation(f"{attempt} was placed on {self.name}, which does not offer {spec.agent}")
        chance = Random(f"start {self.seed} {attempt}").random()
        if chance < 0.05:
            return "NO_CAPACITY" if chance < 0.04 else "READ_ONLY_UNAVAILABLE"
        if sum(not one.is_over for one in self.executions.values()) >= self.slots:
            raise Violation(f"{self.name} is asked for more than its {self.slots} slots")
        self.check_spawn(attempt)
        self.spawned.append(attempt)
        self.executions[attempt] = Execution(attempt, write_script(self.seed, attempt))
        return ""

    def resume(self, attempt: str, after: int) -> bool:
        """Attaches; gives whether it knows the attempt."""
        found = self.executions.get(attempt)
        if found is None:
            self.burnt.add(attempt)
            return False
        if after < found.acknowledged or found.released:
            raise Violation(f"{attempt} is wanted again after {after}, and {found.acknowledged} was acknowledged")
        return True

    def cancel(self, attempt: str, rng: Random) -> None:
        if attempt in self.executions and rng.random() < 0.9:  # else: it ends in its own way before the signal comes
            self.executions[attempt].cut(AgentFinished("cancelled", "CANCELLED", "It was told to end.", signal=15))

    def acknowledge(self, attempt: str, sequence: int, *, finished: bool) -> None:
        found = self.executions.get(attempt)
        if found is None:
            return
        if sequence > found.made:
            raise Violation(f"{attempt} was acknowledged to {sequence}, and made {found.made}")
        found.acknowledged = max(found.acknowledged, sequence)
        found.released = found.released or (finished and found.is_over)

    def orphan(self) -> None:
        """Ends every agent: nobody asked for them for too long."""
        for execution in self.executions.values():
            execution.cut(AgentFinished("failed", "ORPHANED", "No conductor asked for it."))

    def reboot(self) -> None:
        """Loses what runs. What ended stays, and so does the memory of what was asked."""
        for attempt in [attempt for attempt, one in self.executions.items() if not one.is_over]:
            del self.executions[attempt]
            self.burnt.add(attempt)


def write_script(seed: int, attempt: str) -> list[Report]:
    """Writes what an agent will say: the same for the same attempt, whatever happens around it."""
    rng = Random(f"script {seed} {attempt}")
    end = _write_end(rng, attempt)
    if end.outcome == "refused":
        return [end]
    said: list[Report] = [
        Said(rng.choice(CHANNELS), f"{attempt}:{place}:{rng.randint(0, 9)};")
        for place in range(rng.choice((0, 3, 8, 14, 20, 28)))
    ]
    return [AgentStarted(Confinement("simulated", uid=65534)), *said, end]


def _write_end(rng: Random, attempt: str) -> AgentFinished:
    chance = rng.random()
    if chance < 0.88:
        return AgentFinished("succeeded", exit_code=0, result=Blob(f"result of {attempt}", b"{}"))
    if chance < 0.93:
        return AgentFinished("failed", "SHIM_LOST", "Its shim went away.")
    if chance < 0.95:
        return AgentFinished("failed", "AGENT_EXIT_NONZERO", "It ended with 3.", exit_code=3)
    if chance < 0.97:
        return AgentFinished("timed_out", "IDLE_TIMEOUT", "It was silent.")
    if chance < 0.99:
        return AgentFinished("cancelled", "CANCELLED", "Somebody on the host ended it.")
    return AgentFinished("refused", "SANDBOX_REFUSED", "No sandbox.")
