"""Takes an attempt's inputs in order, each once, and a bounded number before the agent has read the earlier ones.

The caller that applies an input says so afterwards; the shim deduplicates once more by the number.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

MAX_WAITING = 8
MAX_WAITING_BYTES = 1024 * 1024
MAX_INPUT_BYTES = 256 * 1024


class Acceptance(StrEnum):
    """Says what became of an input."""

    TAKEN = "taken"
    KNOWN = "known"
    OUT_OF_ORDER = "out_of_order"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class AgentInput:
    """Holds a message to the agent."""

    number: int
    text: str


class InputQueue:
    """Keeps the inputs that were taken and not yet applied."""

    def __init__(self, last: int = 0) -> None:
        self._last = last
        self._waiting: deque[AgentInput] = deque()
        self._waiting_bytes = 0

    @property
    def next_number(self) -> int:
        """Returns the number that would be taken."""
        return self._last + 1

    def offer(self, number: int, text: str) -> Acceptance:
        """Takes an input, or returns why not."""
        if number <= self._last:
            return Acceptance.KNOWN
        if number != self.next_number:
            return Acceptance.OUT_OF_ORDER
        size = len(text.encode())
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + size > MAX_WAITING_BYTES:
            return Acceptance.FULL
        self._last = number
        self._waiting.append(AgentInput(number, text))
        self._waiting_bytes += size
        return Acceptance.TAKEN

    def first(self) -> AgentInput | None:
        """Returns the input to be applied next; it stays until `applied`."""
        return self._waiting[0] if self._waiting else None

    def applied(self) -> None:
        """Forgets the first input: the agent has it."""
        self._waiting_bytes -= len(self._waiting.popleft().text.encode())
