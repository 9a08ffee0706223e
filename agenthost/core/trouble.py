"""The kinds of trouble that end an attempt badly: who can help, and whose retries count it. The conductor decides by these."""

from dataclasses import dataclass
from enum import StrEnum


class FailureClass(StrEnum):
    """Says who can help: time, a person, or neither."""

    RECOVERABLE = "recoverable"
    HUMAN_REQUIRED = "human_required"
    FATAL = "fatal"


class FailureCause(StrEnum):
    """Says what kind of trouble it was."""

    INFRASTRUCTURE = "infrastructure"
    RATE_LIMIT = "rate_limit"
    HANG = "hang"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Pairs a class with its cause; no cause where a person must act first."""

    failure_class: FailureClass
    cause: FailureCause | None = None


INFRASTRUCTURE = Trouble(FailureClass.RECOVERABLE, FailureCause.INFRASTRUCTURE)
RATE_LIMIT = Trouble(FailureClass.RECOVERABLE, FailureCause.RATE_LIMIT)
HANG = Trouble(FailureClass.FATAL, FailureCause.HANG)
AGENT = Trouble(FailureClass.FATAL, FailureCause.AGENT)
HUMAN_REQUIRED = Trouble(FailureClass.HUMAN_REQUIRED)
