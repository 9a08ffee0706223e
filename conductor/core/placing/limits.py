"""Limits how many agents of a run, and of the conductor, are at work at once. Pure.

The agents of sub-runs count to every run above them. A run may have fewer than the conductor allows each (`max_parallel`). Live
attempts are counted each time; there is no stored counter.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from conductor.core.folded.run import Run
from conductor.core.folded.step import Wait
from conductor.core.model.conductor_state import Limits, Track
from conductor.core.model.states import WaitKind


class Counted(Protocol):
    """An unfinished run with its live attempts."""

    @property
    def run(self) -> Run:
        """Returns the run."""

    @property
    def tracks(self) -> Mapping[str, Track]:
        """Returns its live attempts."""


class AttemptLimits:
    """The limits during one look at the queue. `take` counts an attempt that begins; `view` finds an unfinished run."""

    def __init__(self, runs: Iterable[Counted], view: Callable[[str], Counted | None], limits: Limits) -> None:
        self._view, self._limits = view, limits
        self._live = Counter[str]()
        self._all = 0
        for one in runs:
            self._add(one.run, len(one.tracks))

    def live(self, run: str) -> int:
        """Returns the number of live attempts of a run and its sub-runs."""
        return self._live[run]

    @property
    def is_full(self) -> bool:
        """Returns whether the conductor has as many agents at work as it may."""
        return self._all >= self._limits.attempts

    def take(self, run: Run) -> None:
        """Counts an attempt that begins."""
        self._add(run, 1)

    def admits(self, run: Run) -> bool:
        """Returns whether an attempt of a run may begin."""
        return not self.is_full and self._full_run(run) is None

    def explain(self, run: Run) -> Wait | None:
        """Returns the wait of a run's steps for the end of other attempts; None where a limit holds up none."""
        if (full := self._full_run(run)) is not None:
            whose = "This run" if full is run else f"Run …{full.id[-6:]}, which calls this one,"
            what = "max_parallel of its flow" if full.plan.max_parallel else "limits.attempts_per_run of the conductor"
            return Wait(
                WaitKind.LIMIT, f"{whose} has {_agents(self._most(full))} at work, the most that {what} allows."
            )
        if self.is_full:
            most = self._limits.attempts
            text = f"The conductor has {_agents(most)} at work, the most that its limits.attempts_at_once allows."
            return Wait(WaitKind.LIMIT, text)
        return None

    def _full_run(self, run: Run) -> Run | None:
        return next((one for one in self._line(run) if self._live[one.id] >= self._most(one)), None)

    def _most(self, run: Run) -> int:
        return min(run.plan.max_parallel or self._limits.attempts_per_run, self._limits.attempts_per_run)

    def _add(self, run: Run, attempts: int) -> None:
        self._all += attempts
        for one in self._line(run) if attempts else ():
            self._live[one.id] += attempts

    def _line(self, run: Run) -> Iterator[Run]:
        """Yields a run, and those that it is a part of."""
        yield run
        while (parent := run.plan.parent) is not None and (above := self._view(parent.run)) is not None:
            run = above.run
            yield run


def _agents(number: int) -> str:
    return "1 agent" if number == 1 else f"{number} agents"
