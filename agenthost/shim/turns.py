"""Decides which inputs an agent gets (each once, in order, and only as many as fit), and counts its turns.

The shim begins a turn, and a daemon that reads the output tells which have ended. A turn that runs is watched while a daemon reads:
without one, the shim cannot know whether the agent works in silence or waits. Pure: the caller writes and answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

INPUT_CLOSED, TURNS_SPENT = "INPUT_CLOSED", "TURNS_SPENT"
MAX_WAITING_INPUTS = 8
MAX_WAITING_INPUT_BYTES = 2 * 1024 * 1024  # one input of 256 KiB in JSON's widest spelling has room


class Inputs:
    """The inputs of one attempt that the agent has not read yet."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, bytes, int]] = deque()  # number, text, asker
        self.last = 0  # the number of the input that was begun last
        self.taken = 0  # the number of the input that was queued or refused last
        self.feeding = b""  # what of the prompt, or of the first input, the agent has not read yet
        self.is_open = True

    def offer(self, number: int, text: bytes, asker: int) -> bool | None:
        """Queues an input; returns whether it was applied where that is known at once, None where it waits."""
        numbers = [queued for queued, _, _ in self.waiting]
        if number in numbers:
            at = numbers.index(number)
            self.waiting[at] = (*self.waiting[at][:2], asker)
            return None
        if number <= self.taken:
            return number <= self.last
        size = sum(len(queued) for _, queued, _ in self.waiting) + len(text)
        has_room = len(numbers) < MAX_WAITING_INPUTS and size <= MAX_WAITING_INPUT_BYTES
        if not (self.is_open and self.is_next(number) and has_room):
            return False
        self.waiting.append((number, text, asker))
        self.taken = number
        return None

    def is_next(self, number: int) -> bool:
        """Returns whether an input comes after all that were queued or refused."""
        return number == self.taken + 1

    @property
    def queued(self) -> int:
        """Returns how many inputs wait and were not begun."""
        return sum(number > self.last for number, _, _ in self.waiting)

    def begin(self) -> tuple[int, bytes] | None:
        """Begins the next input when the agent has read all before it; returns it, to be spooled first."""
        if self.feeding or not self.queued:
            return None
        self.last, self.feeding, _ = self.waiting[0]
        return self.last, self.feeding

    def take(self, count: int) -> tuple[int, int] | None:
        """Notes that the agent took so many bytes; returns the asker and the number of an input that it has read."""
        self.feeding = self.feeding[count:]
        if self.feeding or not self.waiting or self.waiting[0][0] != self.last:
            return None
        number, _, asker = self.waiting.popleft()
        return asker, number

    def close(self) -> list[tuple[int, int]]:
        """Takes no more; returns the asker and the number of every input that will not be applied."""
        dropped = self.drop(self.waiting)
        self.feeding, self.is_open = b"", False
        return dropped

    def drop_queued(self) -> list[tuple[int, int]]:
        """Drops the inputs that were not begun; returns the asker and the number of each."""
        return self.drop([each for each in self.waiting if each[0] > self.last])

    def drop(self, some: Iterable[tuple[int, bytes, int]]) -> list[tuple[int, int]]:
        """Drops inputs that wait; returns the asker and the number of each."""
        dropped = [(asker, number) for number, _, asker in some]
        numbers = {number for _, number in dropped}
        self.waiting = deque(each for each in self.waiting if each[0] not in numbers)
        return dropped


class Turns:
    """The turns of one attempt. With one turn all that was asked for, it runs to the end and is always watched."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.begun, self.ended = 1, 0
        self.readers: set[int] = set()  # the connections whose daemons read the output
        self.is_closed = False  # no turn follows

    @property
    def are_asked(self) -> bool:
        """Returns whether more than one turn was asked for."""
        return self.allowed > 1

    @property
    def is_in_turn(self) -> bool:
        """Returns whether a turn runs."""
        return self.ended < self.begun

    @property
    def is_watched(self) -> bool:
        """Returns whether silence counts now."""
        return not self.are_asked or (self.is_in_turn and bool(self.readers))

    @property
    def may_begin(self) -> bool:
        """Returns whether the next input may be applied now."""
        return not (self.are_asked and self.is_in_turn)

    def read(self, reader: int, ended: int) -> None:
        """Notes how many turns have ended, by the word of a daemon that has read all output up to now."""
        self.readers.add(reader)
        self.ended = max(self.ended, min(ended, self.begun))

    def leave(self, reader: int) -> None:
        """Notes that a daemon does not read any more."""
        self.readers.discard(reader)

    def refusal(self, inputs: Inputs) -> str:
        """Returns why the next input is refused; empty where it is not."""
        if not self.are_asked:
            return ""
        if self.is_closed or not inputs.is_open:
            return INPUT_CLOSED
        return TURNS_SPENT if self.begun + inputs.queued >= self.allowed else ""
