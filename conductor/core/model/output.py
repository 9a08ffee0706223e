"""The output of an agent: one form from the host's frame to the store, and one enum of channels."""

from dataclasses import dataclass
from enum import StrEnum

from conductor.core.folded.attempt import attempt_owner


class Channel(StrEnum):
    """Where a text belongs. The values are stored."""

    ANSWER = "answer"
    REASONING = "reasoning"
    LOG = "log"
    ACTIVITY = "activity"


@dataclass(frozen=True, slots=True)
class Output:
    """Text of an attempt, to be appended to one of its channels."""

    attempt: str
    channel: Channel
    text: str

    @property
    def run(self) -> str:
        """Names the run of the attempt."""
        return attempt_owner(self.attempt)[0]

    @property
    def step(self) -> str:
        """Names the step of the attempt."""
        return attempt_owner(self.attempt)[1]
