"""What was done to a world, and to how many."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """What was done, and to how many."""

    kills: int = 0
    stops: int = 0
    points: Counter[str] = field(default_factory=Counter)
    shim_kills: int = 0
    freezes: int = 0
    link_disconnects: int = 0
    watcher_disconnects: int = 0
    runs: int = 0
    attempts: int = 0
    visits: int = 0
    refused: int = 0
    seconds: float = 0.0

    def add(self, other: "Figures") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def disconnects(self) -> int:
        return self.link_disconnects + self.watcher_disconnects

    def __str__(self) -> str:
        return (
            f"{self.kills} kills ({sum(self.points.values())} at named points), {self.stops} stops, "
            f"{self.shim_kills} shims killed, "
            f"{self.freezes} freezes, {self.disconnects} disconnects ({self.link_disconnects} of hosts, "
            f"{self.watcher_disconnects} of watchers); {self.runs} runs, {self.attempts} attempts, "
            f"{self.refused} refused, {self.visits} visits of watchers; {self.seconds:.0f} s"
        )
