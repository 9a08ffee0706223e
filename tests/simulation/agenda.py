"""Time without waiting: what is to happen when, and processes that can be frozen and killed in between.

A task is a generator that plays a program's part: `yield 0.5` sleeps, `yield bell` waits until it rings, `yield (one, other)` for
whichever rings first. Whatever runs between two yields happens at once, as between two awaits. A killed process's tasks simply
never go on: nothing of theirs is cleaned up, as after SIGKILL. A frozen one's go on when it is thawed, late.
"""

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import TypeAlias

Action = Callable[[], None]
Wait: TypeAlias = "float | Bell | tuple[Bell, ...]"
Task: TypeAlias = Generator[Wait, None, None]


class Agenda:
    """Everything that will happen, in order of time; what is due at the same time in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Action]] = []
        self._asked = 0

    def at(self, time: float, action: Action) -> None:
        self._asked += 1
        heappush(self._due, (max(time, self.now), self._asked, action))

    def after(self, delay: float, action: Action) -> None:
        self.at(self.now + delay, action)

    def step(self) -> bool:
        """Lets the next thing happen; False where nothing is to come."""
        if not self._due:
            return False
        self.now, _, action = heappop(self._due)
        action()
        return True


class Bell:
    """Wakes the tasks that wait for it."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[_Sleeper] = []

    def ring(self) -> None:
        waiting, self._waiting = self._waiting, []
        for sleeper in waiting:
            sleeper.wake()

    def add(self, sleeper: "_Sleeper") -> None:
        self._waiting.append(sleeper)


class _Sleeper:
    """A task that waits, for the first of several bells."""

    __slots__ = ("_is_awake", "_process", "_task")

    def __init__(self, process: "Process", task: Task) -> None:
        self._process = process
        self._task = task
        self._is_awake = False

    def wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._process.after(0.0, lambda: self._process.advance(self._task))


class Process:
    """A program that runs."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.is_alive = True
        self.is_frozen = False
        self._held: list[Action] = []

    def after(self, delay: float, action: Action) -> None:
        """Does something later, unless the process is dead by then."""
        self.agenda.after(delay, lambda: self.do(action))

    def do(self, action: Action) -> None:
        """Does something now, or when the process is thawed; nothing when it is dead."""
        if not self.is_alive:
            return
        if self.is_frozen:
            self._held.append(action)
        else:
            action()

    def start(self, task: Task) -> None:
        self.after(0.0, lambda: self.advance(task))

    def advance(self, task: Task) -> None:
        """Lets a task go on to its next yield."""
        try:
            wanted = next(task)
        except StopIteration:
            return
        if isinstance(wanted, float):
            self.after(wanted, lambda: self.advance(task))
            return
        sleeper = _Sleeper(self, task)
        for bell in wanted if isinstance(wanted, tuple) else (wanted,):
            bell.add(sleeper)

    def freeze(self) -> None:
        self.is_frozen = True

    def thaw(self) -> None:
        self.is_frozen = False
        held, self._held = self._held, []
        for action in held:
            self.do(action)

    def kill(self) -> None:
        self.is_alive = False
        self._held.clear()
