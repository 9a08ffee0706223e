"""Guesses class and cause of a failure from its reason, for hosts and stored rows of f9ac01c, which name neither.

Everything newer says both: nothing else may look at a reason to decide.
"""

from conductor.core.model.states import Cause, Failure, FailureClass

_INFRASTRUCTURE = frozenset(
    {
        "SHIM_LOST",
        "ORPHANED",
        "CANCELLED",  # on the host: the run did not ask for it
        "NO_CAPACITY",
        "SHUTTING_DOWN",
        "SNAPSHOT_MISSING",
        "SNAPSHOT_CHANGED",  # before the agent ran; the next attempt pushes the snapshot again
        "RATE_LIMITED",
        "EXECUTION_EXISTS",  # the id is blocked; the next attempt has another
    }
)
_FOR_PEOPLE = frozenset({"SANDBOX_REFUSED", "READ_ONLY_UNAVAILABLE", "AGENT_UNAVAILABLE", "AUTH_FAILED"})
_CAUSES = {
    "RATE_LIMITED": Cause.RATE_LIMIT,
    "NO_CAPACITY": Cause.CAPACITY,
    "IDLE_TIMEOUT": Cause.HANG,
    "FIRST_OUTPUT_TIMEOUT": Cause.HANG,
    "OUTPUT_INVALID": Cause.SCHEMA,
    "OUTPUT_INVALID_AFTER_REPAIR": Cause.SCHEMA,
}


def guess_class(reason: str) -> FailureClass:
    """Returns the class that f9ac01c gave to an attempt's reason."""
    if reason in _INFRASTRUCTURE or reason.startswith("HOST_"):
        return FailureClass.RECOVERABLE
    return FailureClass.HUMAN_REQUIRED if reason in _FOR_PEOPLE else FailureClass.FATAL


def guess_cause(failure: Failure) -> Cause | None:
    """Returns the cause that f9ac01c gave to an attempt's failure; None for what a person must mend."""
    known = _CAUSES.get(failure.reason)
    if known in {Cause.RATE_LIMIT, Cause.CAPACITY}:
        return known
    if failure.kind is FailureClass.RECOVERABLE:
        return Cause.INFRASTRUCTURE
    return None if failure.kind is FailureClass.HUMAN_REQUIRED else known or Cause.AGENT
