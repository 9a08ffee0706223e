"""The words for why something ended badly. Hosts send them; the values are stored."""

from enum import StrEnum


class FailureClass(StrEnum):
    """Says who can help: time, a person, or neither."""

    RECOVERABLE = "RECOVERABLE"
    HUMAN_REQUIRED = "HUMAN_REQUIRED"
    FATAL = "FATAL"


class Cause(StrEnum):
    """Says what kind of trouble ended an attempt. Each has its own number of retries."""

    INFRASTRUCTURE = "infrastructure"
    CAPACITY = "capacity"
    RATE_LIMIT = "rate limit"
    HANG = "hang"
    SCHEMA = "schema"
    AGENT = "agent"
