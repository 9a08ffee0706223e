"""Counts what was done to a world, and to how many."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """Counts what was done, and to how many. `planned`: how often each point was to be met; `points`: how often it was."""

    kills: int = 0
    stops: int = 0
    points: Counter[str] = field(default_factory=Counter)
    planned: Counter[str] = field(default_factory=Counter)
    shim_kills: int = 0
    freezes: int = 0
    fills: int = 0
    refusals: int = 0
    hand_overs: int = 0
    link_disconnects: int = 0
    watcher_disconnects: int = 0
    pulls: int = 0
    pulled_seconds: float = 0.0
    bad_seconds: float = 0.0
    packets: int = 0
    packets_lost: int = 0
    packets_repeated: int = 0
    packets_overtaken: int = 0
    voices: int = 0
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
            f"{self.kills} kills ({sum(self.points.values())} at named points, of {sum(self.planned.values())} planned), "
            f"{self.stops} stops, {self.shim_kills} shims killed, {self.freezes} freezes, "
            f"{self.fills} full disks ({self.refusals} writes refused), {self.hand_overs} hand-overs, "
            f"{self.disconnects} disconnects ({self.link_disconnects} of hosts, {self.watcher_disconnects} of watchers), "
            f"{self.cables}, {self.voices} orders of superseded conductors; "
            f"{self.runs} runs, {self.attempts} attempts, {self.refused} refused, {self.visits} visits of watchers; "
            f"{self.seconds:.0f} s"
        )

    @property
    def cables(self) -> str:
        """Returns what was done to cables."""
        return (
            f"{self.pulls} cables pulled for {self.pulled_seconds:.0f} s and bad for {self.bad_seconds:.0f} s "
            f"({self.packets} packets, {self.packets_lost} lost, {self.packets_repeated} repeated, "
            f"{self.packets_overtaken} overtaken)"
        )
