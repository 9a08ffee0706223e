"""Whether a step is tried again, and when: by the class of the reason, never by its words.

Infrastructure (a host went away, would not take it, lost its shim) is tried again. An agent's own failure is not: the same
prompt to the same agent would fail again, and what it said is worth reading. What a person must mend is said so.
"""

from zlib import crc32

from conductor.core.events import Failure
from conductor.core.plan import AgentPlan

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
# Pauses lie between 75 and 125 per cent of their middle: never in step, yet each longer than the one before it.
SPREAD = 0.5

RECOVERABLE = "RECOVERABLE"
HUMAN_REQUIRED = "HUMAN_REQUIRED"
FATAL = "FATAL"

_INFRASTRUCTURE = frozenset(
    {
        "SHIM_LOST",
        "ORPHANED",
        "CANCELLED",  # by somebody on the host: the run did not ask for it
        "NO_CAPACITY",
        "SHUTTING_DOWN",
        "SNAPSHOT_MISSING",
        "SNAPSHOT_CHANGED",  # before anything ran; the next attempt pushes it anew
        "RATE_LIMITED",
        "EXECUTION_EXISTS",  # the id is burnt; the next attempt has another
    }
)
_FOR_PEOPLE = frozenset({"SANDBOX_REFUSED", "READ_ONLY_UNAVAILABLE", "AGENT_UNAVAILABLE", "AUTH_FAILED"})


def classify(reason: str) -> str:
    """Gives the class of an attempt's reason: RECOVERABLE, HUMAN_REQUIRED or FATAL."""
    if reason in _INFRASTRUCTURE or reason.startswith("HOST_"):
        return RECOVERABLE
    return HUMAN_REQUIRED if reason in _FOR_PEOPLE else FATAL


def pause_before_retry(failure: Failure, plan: AgentPlan, attempts: int, attempt: str) -> float | None:
    """Gives the seconds until the next attempt, None where there is to be none. `attempt` is the one that failed."""
    if failure.kind != RECOVERABLE or attempts >= plan.max_attempts:
        return None
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS)
    # Chance without chance: the id is unlike any other, and the same after every restart.
    chance = crc32(attempt.encode()) / 2**32
    return pause * (1 - SPREAD / 2 + SPREAD * chance)
