"""Decides what becomes of a packet on a wire: when it arrives, once, twice or never. Pure: its size and the time in, arrivals out.

A wire has a pace: what comes faster waits its turn, and what would have to wait too long is lost, as in any router. Packets that
are held up for different times overtake each other.
"""

from dataclasses import dataclass
from random import Random

LONGEST_QUEUE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Condition:
    """Describes a wire: what share of packets it loses and repeats, how long it holds up the rest, and its pace (0: any)."""

    loss: float = 0.0
    repeats: float = 0.0
    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    bytes_per_second: int = 0


CLEAR = Condition()


class Wire:
    """One way of a wire."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)
        self._free_at = 0.0
        self.condition = CLEAR

    def arrivals(self, size: int, now: float) -> tuple[float, ...]:
        """Returns when a packet of this size, sent now, arrives; empty where it is lost."""
        condition = self.condition
        if self._random.random() < condition.loss:
            return ()
        passed = now
        if condition.bytes_per_second:
            passed = max(now, self._free_at) + size / condition.bytes_per_second
            if passed - now > LONGEST_QUEUE_SECONDS:
                return ()
            self._free_at = passed
        times = 2 if self._random.random() < condition.repeats else 1
        return tuple(passed + self._held_up() for _ in range(times))

    def _held_up(self) -> float:
        return self.condition.delay_seconds + self._random.random() * self.condition.jitter_seconds
