"""Defines every error that a caller of the agent host may see, as one tree. One interceptor turns them into rich statuses.

    StatusError
    ├── RequestError   InvalidRequestError, NotFoundError, ExecutionExistsError, EpochSupersededError,
    │                  StreamSupersededError, OtherConductorError, SnapshotInvalidError, PreconditionError (SNAPSHOT_MISSING …)
    └── ServiceError   ReadOnlyUnavailableError, AgentUnavailableError, NoCapacityError, InputQueueFullError, EndUnheardError,
                       StorageError, HostDrainingError, ShuttingDownError, ProgramError (ProgramUnavailableError)

An agent's own failure is never one of these: it is a value in `Finished`.
The trunk is in `servicekit.errors`, for both services. A docstring is the default message.
`code` is the name of a gRPC code; `kind` is `class` in ErrorInfo's metadata.
"""

from servicekit.errors import (
    ConfigurationError,
    InvalidRequestError,
    NoCapacityError,
    ProgramError,
    ProgramUnavailableError,
    RequestError,
    ServiceError,
    ShuttingDownError,
    StatusError,
    Violation,
)

__all__ = [
    "AgentUnavailableError",
    "ConfigurationError",
    "EndUnheardError",
    "EpochSupersededError",
    "ExecutionExistsError",
    "HostDrainingError",
    "InputQueueFullError",
    "InvalidRequestError",
    "NoCapacityError",
    "NotFoundError",
    "OtherConductorError",
    "OtherInstanceError",
    "PreconditionError",
    "ProgramError",
    "ProgramUnavailableError",
    "ReadOnlyUnavailableError",
    "RequestError",
    "ServiceError",
    "ShuttingDownError",
    "SnapshotInvalidError",
    "StatusError",
    "StorageError",
    "StreamSupersededError",
    "Violation",
]


class SnapshotInvalidError(RequestError):
    """The pack does not hold a snapshot that may be checked out."""

    code = "INVALID_ARGUMENT"
    reason = "SNAPSHOT_INVALID"


class NotFoundError(RequestError):
    """This thing does not exist."""

    code = "NOT_FOUND"

    def __init__(self, what: str, name: str, *, hint: str = "") -> None:
        super().__init__(f"there is no {what} '{name}'", hint=hint)
        self.reason = f"{what.upper()}_NOT_FOUND"


class ExecutionExistsError(RequestError):
    """This execution is known with other content."""

    code = "ALREADY_EXISTS"
    reason = "EXECUTION_EXISTS"


class PreconditionError(RequestError):
    """The thing is not in a state for that. Its reason is one of the error table."""

    code = "FAILED_PRECONDITION"

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class ReadOnlyUnavailableError(RequestError):
    """Agents cannot be confined on this host, so none is run."""

    code = "FAILED_PRECONDITION"
    reason = "READ_ONLY_UNAVAILABLE"


class AgentUnavailableError(RequestError):
    """The agent is missing or disabled on this host."""

    code = "FAILED_PRECONDITION"
    reason = "AGENT_UNAVAILABLE"


class EpochSupersededError(RequestError):
    """A newer start of this conductor speaks to this host."""

    code = "ABORTED"
    reason = "EPOCH_SUPERSEDED"
    kind = "FATAL"


class EpochTooFarError(RequestError):
    """An epoch is higher than the next starts of this conductor can be."""

    code = "FAILED_PRECONDITION"
    reason = "EPOCH_TOO_FAR"


class StreamSupersededError(RequestError):
    """A newer stream serves this execution."""

    code = "ABORTED"
    reason = "STREAM_SUPERSEDED"


class InputQueueFullError(ServiceError):
    """The agent has not taken its earlier inputs yet."""

    code = "RESOURCE_EXHAUSTED"
    reason = "INPUT_QUEUE_FULL"


class StorageError(ServiceError):
    """The host cannot write to its disk."""

    reason = "STORAGE_UNAVAILABLE"


class EndUnheardError(ServiceError):
    """The end of this execution was sent, and not acknowledged in time; resume it to acknowledge it."""

    reason = "END_UNHEARD"


class OtherConductorError(RequestError):
    """A conductor named another one's id."""

    code = "PERMISSION_DENIED"
    reason = "OTHER_CONDUCTOR"


class OtherInstanceError(ServiceError):
    """The stream is meant for another host: this one has another data folder, and does not know what runs there."""

    code = "FAILED_PRECONDITION"
    reason = "OTHER_INSTANCE"


class HostDrainingError(ServiceError):
    """The host takes no new work."""

    reason = "HOST_DRAINING"
