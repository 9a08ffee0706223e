"""Every error that a caller of the agent host may see, as one tree. One interceptor turns them into rich statuses.

    AgenthostError
    ├── RequestError   InvalidRequestError, NotFoundError, ExecutionExistsError, EpochSupersededError,
    │                  StreamSupersededError, SnapshotInvalidError, PreconditionError (SNAPSHOT_MISSING …)
    └── ServiceError   ReadOnlyUnavailableError, AgentUnavailableError, NoCapacityError, InputQueueFullError, EndUnheardError,
                       StorageError, HostDrainingError, ShuttingDownError, ProgramError (ProgramUnavailableError)

An agent's own failure is never one of these: it is a value in `Finished`.
A docstring is the default message. `code` is the name of a gRPC code; `kind` is `class` in ErrorInfo's metadata.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that is wrong, as `start.prompt`, and what would be right."""

    field: str
    text: str


class AgenthostError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL"
    reason: str = "INTERNAL"
    kind: ClassVar[str] = "FATAL"

    def __init__(self, message: str = "", *, hint: str = "", metadata: dict[str, str] | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.hint = hint
        self.metadata = metadata or {}


class RequestError(AgenthostError):
    """The request cannot be met as it is."""

    kind = "HUMAN_REQUIRED"


class InvalidRequestError(RequestError):
    """A field of the request is wrong."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_REQUEST"

    def __init__(self, *violations: Violation, message: str = "", hint: str = "") -> None:
        super().__init__(message or "; ".join(f"{v.field}: {v.text}" for v in violations), hint=hint)
        self.violations = violations


class SnapshotInvalidError(RequestError):
    """The pack does not hold a snapshot that may be checked out."""

    code = "INVALID_ARGUMENT"
    reason = "SNAPSHOT_INVALID"


class NotFoundError(RequestError):
    """There is no such thing."""

    code = "NOT_FOUND"

    def __init__(self, what: str, name: str, *, hint: str = "") -> None:
        super().__init__(f"there is no {what} '{name}'", hint=hint)
        self.reason = f"{what.upper()}_NOT_FOUND"


class ExecutionExistsError(RequestError):
    """This execution is known with other content."""

    code = "ALREADY_EXISTS"
    reason = "EXECUTION_EXISTS"


class PreconditionError(RequestError):
    """The thing is not in a state for that. Give the reason of the error table."""

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


class StreamSupersededError(RequestError):
    """A newer stream serves this execution."""

    code = "ABORTED"
    reason = "STREAM_SUPERSEDED"


class ServiceError(AgenthostError):
    """The host cannot do that now."""

    code = "UNAVAILABLE"
    kind = "RECOVERABLE"


class NoCapacityError(ServiceError):
    """There is no room now; try again later."""

    code = "RESOURCE_EXHAUSTED"
    reason = "NO_CAPACITY"
    retry_after_seconds = 2.0


class InputQueueFullError(ServiceError):
    """The agent has not taken its earlier inputs yet."""

    code = "RESOURCE_EXHAUSTED"
    reason = "INPUT_QUEUE_FULL"


class StorageError(ServiceError):
    """The host cannot write to its disk."""

    reason = "STORAGE_UNAVAILABLE"


class EndUnheardError(ServiceError):
    """The end of this execution was told, and not acknowledged in time; resume it to acknowledge it."""

    reason = "END_UNHEARD"


class OtherInstanceError(ServiceError):
    """The stream means another host: this one has another data folder, and knows nothing of what runs there."""

    code = "FAILED_PRECONDITION"
    reason = "OTHER_INSTANCE"


class HostDrainingError(ServiceError):
    """The host takes no new work."""

    reason = "HOST_DRAINING"


class ShuttingDownError(ServiceError):
    """The service is stopping."""

    reason = "SHUTTING_DOWN"


class ProgramError(ServiceError):
    """A program that this host relies on did not do its work."""

    code = "INTERNAL"
    reason = "INTERNAL"
    kind = "FATAL"


class ProgramUnavailableError(ProgramError):
    """A program that this host relies on was ended from outside, or could not start for want of something; ask again."""

    code = "UNAVAILABLE"
    reason = "PROGRAM_UNAVAILABLE"
    kind = "RECOVERABLE"


class ConfigurationError(AgenthostError):
    """A setting is wrong."""

    code = "INVALID_ARGUMENT"
    reason = "CONFIGURATION_INVALID"
    kind = "HUMAN_REQUIRED"
