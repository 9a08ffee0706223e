"""Decides which inputs an agent gets: each once, in order, and only as many as fit. Pure: the caller writes and answers."""

from __future__ import annotations

from collections import deque

MAX_WAITING_INPUTS = 8
MAX_WAITING_INPUT_BYTES = 1024 * 1024


class Inputs:
    """The inputs of one attempt that the agent has not read yet."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, bytes, int]] = deque()  # number, text, asker
        self.last = 0  # the number of the input that was begun last
        self.feeding = b""  # what of the prompt, or of the first input, the agent has not read yet
        self.is_open = True

    def offer(self, number: int, text: bytes, asker: int) -> bool | None:
        """Queues an input; returns whether it was applied where that is known at once, None where it waits."""
        numbers = [queued for queued, _, _ in self.waiting]
        if number in numbers:
            at = numbers.index(number)
            self.waiting[at] = (*self.waiting[at][:2], asker)
            return None
        if number <= self.last:
            return True
        size = sum(len(queued) for _, queued, _ in self.waiting) + len(text)
        is_next = number == max([self.last, *numbers]) + 1
        has_room = len(numbers) < MAX_WAITING_INPUTS and size <= MAX_WAITING_INPUT_BYTES
        if not (self.is_open and is_next and has_room):
            return False
        self.waiting.append((number, text, asker))
        return None

    def begin(self) -> tuple[int, bytes] | None:
        """Begins the next input when the agent has read all before it; returns it, to be spooled first."""
        if self.feeding or not self.waiting or self.waiting[0][0] <= self.last:
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
        self.feeding, self.is_open = b"", False
        left = [(asker, number) for number, _, asker in self.waiting]
        self.waiting.clear()
        return left
