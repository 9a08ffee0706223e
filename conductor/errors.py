"""Every error that a caller of the conductor may see, as one tree. One interceptor turns them into rich statuses.

    StatusError
    ├── RequestError            the caller must change something
    │   ├── InvalidRequestError (+ violations)  ├── QuestionRequiredError  ├── FlowInvalidError (+ problems)
    │   ├── NotFoundError       (RUN_, STEP_, FLOW_, HOST_NOT_FOUND …)
    │   ├── RequestIdReusedError, TokenExistsError, HostExistsError, AgentUnknownError
    │   ├── UnauthenticatedError, RoleNotAllowedError
    │   ├── PreconditionError   (RUN_NOT_RUNNING, SOURCE_NOT_SETTLED, WORKSPACE_GONE …)
    │   ├── FetchNotAllowedError, FetchError
    │   └── RootNotAllowedError, SnapshotInvalidError, PushSupersededError
    ├── ConfigurationError, BackupError, MigrationError   the operator must
    └── ServiceError            the service must
        ├── NoCapacityError     ├── ShuttingDownError   ├── NotActiveError   ├── ProgramError (ProgramUnavailableError)
        ├── TooManyFailedTokensError
        ├── BlobsUnavailableError, SnapshotLostError
        └── StorageError (DatabaseInUseError, DatabaseTooNewError, StoreLostError …)

The trunk stands in `servicekit.errors`, for both services. A docstring is the default message.
`code` is the name of a gRPC code; `kind` is `class` in ErrorInfo's metadata.
"""

from dataclasses import dataclass

from servicekit.errors import (
    ConfigurationError,
    InvalidRequestError,
    NoCapacityError,
    ProgramError,
    ProgramUnavailableError,
    RequestError,
    RoleNotAllowedError,
    ServiceError,
    ShuttingDownError,
    StatusError,
    UnauthenticatedError,
    Violation,
)

__all__ = [
    "AgentUnknownError",
    "BackupError",
    "BlobsUnavailableError",
    "ConfigurationError",
    "DatabaseAwayError",
    "DatabaseDamagedError",
    "DatabaseInUseError",
    "DatabaseMovedError",
    "DatabaseNotUpgradedError",
    "DatabaseRestoredError",
    "DatabaseTooNewError",
    "FetchError",
    "FetchNotAllowedError",
    "FlowInvalidError",
    "FlowProblem",
    "HostExistsError",
    "InvalidRequestError",
    "MigrationError",
    "NoCapacityError",
    "NotActiveError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PreconditionError",
    "ProgramError",
    "ProgramUnavailableError",
    "PushSupersededError",
    "QuestionRequiredError",
    "RequestError",
    "RequestIdReusedError",
    "RoleNotAllowedError",
    "RootNotAllowedError",
    "ServiceError",
    "ShuttingDownError",
    "SnapshotInvalidError",
    "SnapshotLostError",
    "StatusError",
    "StorageError",
    "StoreLostError",
    "SupersededError",
    "TokenExistsError",
    "TooManyFailedTokensError",
    "UnauthenticatedError",
    "Violation",
]


@dataclass(frozen=True, slots=True)
class FlowProblem:
    """One problem of a flow. `line` counts from 1; it is 0 where there is no file."""

    path: str
    line: int
    field: str
    text: str

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}: {self.field}: {self.text}"
            if self.field
            else f"{self.path}:{self.line}: {self.text}"
        )


class QuestionRequiredError(InvalidRequestError):
    """The flow needs a question of 1 to 64 000 characters."""

    reason = "QUESTION_REQUIRED"


class FlowInvalidError(RequestError):
    """The flow has problems."""

    code = "INVALID_ARGUMENT"
    reason = "FLOW_INVALID"

    def __init__(self, problems: tuple[FlowProblem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems[:5]), hint=_flow_hint(problems))
        self.problems = problems


def _flow_hint(problems: tuple[FlowProblem, ...]) -> str:
    """Returns what to do. A flow that came as a message is in no file, and may name what only its own project has."""
    if any(problem.line for problem in problems):
        return "conductor validate FILE shows every problem"
    if any(problem.field.endswith(".persona") or ".contracts[" in problem.field for problem in problems):
        return (
            "personas and contracts come with the flow, or from the conductor's project:  conductor serve --project DIR"
        )
    return "ValidateFlow shows every problem"


class AgentUnknownError(RequestError):
    """No host has an agent of this name."""

    code = "FAILED_PRECONDITION"
    reason = "AGENT_UNKNOWN"


class NotFoundError(RequestError):
    """It does not exist."""

    code = "NOT_FOUND"

    def __init__(self, what: str, name: str, *, hint: str = "", metadata: dict[str, str] | None = None) -> None:
        super().__init__(f"there is no {what} '{name}'", hint=hint, metadata=metadata)
        self.reason = f"{what.upper()}_NOT_FOUND"


class RequestIdReusedError(RequestError):
    """This request id was used before, with another body. Give a new id."""

    code = "ALREADY_EXISTS"
    reason = "REQUEST_ID_REUSED"


class TokenExistsError(RequestError):
    """There is a token of this name; revoke it first, or give another name."""

    code = "ALREADY_EXISTS"
    reason = "TOKEN_EXISTS"


class HostExistsError(RequestError):
    """Another host has this name or address."""

    code = "ALREADY_EXISTS"
    reason = "HOST_EXISTS"


class PreconditionError(RequestError):
    """The state does not allow that."""

    code = "FAILED_PRECONDITION"

    def __init__(self, reason: str, message: str, *, subject: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.subject = subject


class SnapshotInvalidError(RequestError):
    """The pack does not hold a snapshot that a run can read."""

    code = "INVALID_ARGUMENT"
    reason = "SNAPSHOT_INVALID"


class PushSupersededError(RequestError):
    """A newer call pushes the same pack."""

    code = "ABORTED"
    reason = "PUSH_SUPERSEDED"
    kind = "RECOVERABLE"


class RootNotAllowedError(RequestError):
    """The path lies outside the allowed roots."""

    code = "PERMISSION_DENIED"
    reason = "ROOT_NOT_ALLOWED"


class FetchNotAllowedError(RequestError):
    """The operator does not allow fetching from this host."""

    code = "PERMISSION_DENIED"
    reason = "FETCH_NOT_ALLOWED"

    def __init__(self, url: str, why: str, *allowed: str) -> None:
        flags = " ".join(f"--allow-fetch {host}" for host in allowed)
        hint = f"the operator allows it:  conductor serve {flags}"
        super().__init__(f"workspace.url: {why}", hint=hint, metadata={"field": "workspace.url", "url": url})


class FetchError(RequestError):
    """The repository could not be fetched."""

    code = "FAILED_PRECONDITION"
    reason = "FETCH_FAILED"

    def __init__(self, url: str, why: str, *, hint: str = "") -> None:
        super().__init__(f"workspace.url: {why}", hint=hint, metadata={"field": "workspace.url", "url": url})


class TooManyFailedTokensError(ServiceError):
    """Too many tokens that are not valid came from this address; wait a minute, and give a valid one."""

    code = "RESOURCE_EXHAUSTED"
    reason = "TOO_MANY_FAILED_TOKENS"

    def __init__(self, message: str = "", *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after


class NotActiveError(ServiceError):
    """This conductor is a standby, which serves reads only."""

    reason = "NOT_ACTIVE"

    def __init__(self, address: str = "", problem: str = "") -> None:
        """`problem`: why the database does not answer."""
        hint = f"ask the active conductor:  conductor --address {address} …" if address else "ask again in some seconds"
        if address:
            told = f"; the active one is at {address}"
        elif problem:
            told = f", and no conductor can be active: {problem}"
        else:
            told = ", and no conductor is active yet"
        metadata = {"address": address} if address else None
        super().__init__(f"this conductor is a standby, which serves reads only{told}", hint=hint, metadata=metadata)


class BlobsUnavailableError(ServiceError):
    """The store of the snapshots' copies cannot be used now; retry with the same request id."""

    reason = "BLOBS_UNAVAILABLE"


class SnapshotLostError(ServiceError):
    """A snapshot is neither on this machine nor, unharmed, in the blob store. A retry does not bring it back."""

    code = "DATA_LOSS"
    reason = "SNAPSHOT_LOST"
    kind = "FATAL"


class StorageError(ServiceError):
    """The database cannot be used now."""

    reason = "STORAGE_UNAVAILABLE"


class OutcomeUnknownError(StorageError):
    """The request was accepted but is not stored yet; retry with the same request id."""


class DatabaseAwayError(StorageError):
    """The server of the database cannot be reached now."""


class DatabaseInUseError(StorageError):
    """Another conductor uses this data directory."""


class DatabaseTooNewError(StorageError):
    """The database was written by a newer version of the software."""


class DatabaseMovedError(StorageError):
    """The content of this database is served from another place, or has not all come."""

    code = "FAILED_PRECONDITION"
    reason = "STORAGE_MOVED"
    kind = "HUMAN_REQUIRED"


class DatabaseNotUpgradedError(StorageError):
    """The database could not be upgraded, and is unchanged."""


class StoreLostError(StorageError):
    """The connection to the database was lost: what this process knows may not be what is stored. Recover from the database."""


class SupersededError(StoreLostError):
    """Another conductor took over the database; this one stores nothing more."""


class DatabaseRestoredError(StorageError):
    """The database was restored, copied or promoted since its conductor wrote it."""


class DatabaseDamagedError(StorageError):
    """The database is damaged. A retry does not mend it."""

    code = "DATA_LOSS"
    reason = "STORAGE_DAMAGED"
    kind = "FATAL"

    def __init__(self, message: str = "", *, hint: str = "", metadata: dict[str, str] | None = None) -> None:
        hint = hint or "conductor doctor shows what is damaged, and what to do"
        super().__init__(message, hint=hint, metadata=metadata)


class MigrationError(StatusError):
    """The store cannot be migrated as it is asked for."""

    code = "FAILED_PRECONDITION"
    reason = "MIGRATION_REFUSED"
    kind = "HUMAN_REQUIRED"


class BackupError(StatusError):
    """A backup could not be made or restored."""

    code = "FAILED_PRECONDITION"
    reason = "BACKUP_UNUSABLE"
    kind = "HUMAN_REQUIRED"
