"""Counts an attempt's turns: the shim begins them, and a daemon that reads the output tells which have ended. Pure.

A turn that runs is watched while a daemon reads. Without one, the shim cannot know whether the agent works in silence or waits.
"""

from __future__ import annotations

from agenthost.shim.inputs import Inputs

INPUT_CLOSED, TURNS_SPENT = "INPUT_CLOSED", "TURNS_SPENT"


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
