"""Measures how slots were shared between runs.

The share of a run is what it would get, were slots divided evenly among the runs that want some, moment by moment: none gets more
than it wants, and what it leaves is divided among the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Shares:
    """The course of some runs: at which time of which run how many more attempts were live, and how many more steps waited."""

    runs: int
    slots: int
    changes: list[tuple[float, int, int, int]] = field(default_factory=list)

    def note(self, time: float, run: int, *, begun: int = 0, queued: int = 0) -> None:
        """Adds a change."""
        self.changes.append((time, run, begun, queued))

    @property
    def end(self) -> float:
        """Returns when the last step ended."""
        return max(self.changes)[0]

    @property
    def most_live(self) -> int:
        """Returns how many attempts were live at once at most; what ends and what begins at one moment do not meet."""
        live = most = 0
        for _, _, begun, _ in sorted(self.changes, key=lambda change: (change[0], change[2])):
            live += begun
            most = max(most, live)
        return most

    def worst_ratio(self, window: float, begin: float = 0.0, grain: float = 0.0) -> float:
        """Returns the least that a run got of its share over any window. `grain` seconds of a slot are forgiven."""
        pieces, worst, start = list(self._pieces()), 1.0, begin
        while start == begin or start + window <= self.end:
            got, due = [0.0] * self.runs, [0.0] * self.runs
            for first, last, live, share in pieces:
                seconds = min(last, start + window) - max(first, start)
                for run in range(self.runs) if seconds > 0 else ():
                    got[run] += live[run] * seconds
                    due[run] += share[run] * seconds
            worst = min(
                [worst, *((one + grain) / all_ for one, all_ in zip(got, due, strict=True) if all_ > grain + 0.01)]
            )
            start += window / 10
        return worst

    def _pieces(self) -> Iterator[tuple[float, float, list[int], list[float]]]:
        live, waiting, since = [0] * self.runs, [0] * self.runs, 0.0
        for now, run, begun, queued in sorted(self.changes, key=lambda change: change[0]):
            if now > since:
                wanted = [one + other for one, other in zip(live, waiting, strict=True)]
                yield since, now, list(live), share_evenly(wanted, self.slots)
                since = now
            live[run] += begun
            waiting[run] += queued


def share_evenly(wanted: Sequence[int], slots: int) -> list[float]:
    """Divides slots evenly, giving no run more than it wants."""
    shares, left = [0.0] * len(wanted), float(slots)
    line = sorted(range(len(wanted)), key=lambda run: wanted[run])
    for place, run in enumerate(line):
        shares[run] = min(float(wanted[run]), left / (len(line) - place))
        left -= shares[run]
    return shares
