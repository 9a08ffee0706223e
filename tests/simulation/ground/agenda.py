"""Time without waiting: what is to happen when. What is due at the same time happens in the order in which it was asked for."""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Action = Callable[[], object]
_Deed = Callable[[Any], object]


def _act(action: Action) -> None:
    action()


class Agenda:
    """Everything that will happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self._ready: deque[tuple[_Deed, Any]] = deque()
        self._due: list[tuple[float, int, _Deed, Any]] = []
        self._asked = 0

    def after(self, delay: float, action: Action) -> None:
        self.plan(self.now + delay, _act, action)

    def at(self, time: float, action: Action) -> None:
        self.plan(time, _act, action)

    def plan(self, time: float, deed: _Deed, argument: object) -> None:
        """Does `deed(argument)` at a time: one that has passed is now."""
        if time <= self.now:
            self._ready.append((deed, argument))
        else:
            self._asked += 1
            heappush(self._due, (time, self._asked, deed, argument))

    def step(self) -> None:
        """Lets the next thing happen. The clock jumps when nothing is left to do now."""
        self.steps += 1
        if not self._ready:
            due = self._due
            self.now, _, deed, argument = heappop(due)
            while due and due[0][0] <= self.now:
                _, _, other, its = heappop(due)
                self._ready.append((other, its))
        else:
            deed, argument = self._ready.popleft()
        deed(argument)
