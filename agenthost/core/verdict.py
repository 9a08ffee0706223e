"""The verdict on an attempt: its outcome, and why, in a word and in a sentence."""

from dataclasses import dataclass
from enum import StrEnum

from agenthost.core.trouble import Trouble


class Outcome(StrEnum):
    """An attempt's end in one word."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome that is sent to the conductor."""

    outcome: Outcome
    reason: str = ""
    message: str = ""
    trouble: Trouble | None = None
