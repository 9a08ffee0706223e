"""Tells observers of the engine what a decision stored, after its commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from conductor.core.folded.run import Run
from conductor.core.model.commands import Record
from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.output import Output


@dataclass(frozen=True, slots=True)
class Stored:
    """What one decision stored at `time`, with the states around it. `seconds` is how long the engine waited for the commit."""

    items: Sequence[Record | Output]
    before: ConductorState
    after: ConductorState
    time: float
    seconds: float

    def find_run(self, run: str) -> Run | None:
        """Returns a run as it was before the decision, or after it where it is new; None where it is in neither."""
        return self.before.run(run) or self.after.run(run)


class Observer(Protocol):
    """Follows what is stored. It must not wait, and must not fail."""

    def note_stored(self, stored: Stored) -> None:
        """Takes what a decision stored."""
