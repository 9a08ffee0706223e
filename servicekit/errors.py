"""The trunk of both services' error trees: exceptions that become a `google.rpc.Status`.

    StatusError
    ├── RequestError            the caller must change something
    │   ├── InvalidRequestError (+ violations)
    │   ├── UnauthenticatedError
    │   └── RoleNotAllowedError
    ├── ConfigurationError      the operator must change a setting
    └── ServiceError            the service cannot do that now
        ├── ShuttingDownError
        ├── NoCapacityError
        └── ProgramError (ProgramUnavailableError)

A docstring is the default message. `code` is the name of a gRPC code; `kind` is `class` in ErrorInfo's metadata.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

MAX_SHOWN = 80
# Of the names that would have been right, so many are told.
MAX_NAMES = 60


@dataclass(frozen=True, slots=True)
class Violation:
    """A wrong field, such as `workspace.path`, and what it must be. An empty `field` stands for the whole request."""

    field: str
    text: str


class StatusError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL"
    reason: str = "INTERNAL"
    kind: ClassVar[str] = "FATAL"

    def __init__(self, message: str = "", *, hint: str = "", metadata: dict[str, str] | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.hint = hint
        self.metadata = metadata or {}


class RequestError(StatusError):
    """The request cannot be met as it is."""

    kind = "HUMAN_REQUIRED"


class InvalidRequestError(RequestError):
    """A field of the request is wrong."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_REQUEST"

    def __init__(self, *violations: Violation, message: str = "", hint: str = "") -> None:
        super().__init__(
            message or "; ".join(f"{v.field}: {v.text}" if v.field else v.text for v in violations), hint=hint
        )
        self.violations = violations

    def about(self, field: str, other: str) -> "InvalidRequestError":
        """Returns the same error with the name of another field in the place of one."""
        moved = (replace(one, field=other) if one.field == field else one for one in self.violations)
        return InvalidRequestError(*moved, hint=self.hint)


class UnauthenticatedError(RequestError):
    """This call needs a token or a client certificate."""

    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class RoleNotAllowedError(RequestError):
    """The caller's role does not allow this."""

    code = "PERMISSION_DENIED"
    reason = "ROLE_NOT_ALLOWED"


class ConfigurationError(StatusError):
    """A setting is wrong."""

    code = "INVALID_ARGUMENT"
    reason = "CONFIGURATION_INVALID"
    kind = "HUMAN_REQUIRED"


class ServiceError(StatusError):
    """The service cannot do that now."""

    code = "UNAVAILABLE"
    kind = "RECOVERABLE"


class ShuttingDownError(ServiceError):
    """The service is stopping."""

    reason = "SHUTTING_DOWN"


class NoCapacityError(ServiceError):
    """There is no room now; try again later."""

    code = "RESOURCE_EXHAUSTED"
    reason = "NO_CAPACITY"
    retry_after_seconds: ClassVar[float] = 5.0


class ProgramError(ServiceError):
    """A program that the service needs could not start or did not do its work."""

    code = "INTERNAL"
    reason = "PROGRAM_FAILED"


class ProgramUnavailableError(ProgramError):
    """A program that the service needs was ended from outside, or could not start because a resource ran out; ask again."""

    code = "UNAVAILABLE"
    reason = "PROGRAM_UNAVAILABLE"


def shown(value: object) -> str:
    """Returns a wrong value for an error, on one line and cut where it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def there_are(name: str, known: Collection[str]) -> str:
    """Returns `: did you mean 'prompt'? There are argv, prompt` for a close name, else `; there are argv, prompt`."""
    more = " …" if len(known) > MAX_NAMES else ""
    names, close = ", ".join(islice(known, MAX_NAMES)) or "none", closest(name, known)
    return f": did you mean '{close}'? There are {names}{more}" if close else f"; there are {names}{more}"


def closest(name: str, known: Collection[str]) -> str:
    """Returns the known name that is close to a name; empty where none is."""
    from difflib import get_close_matches  # noqa: PLC0415 (an idle service does without)

    return next(iter(get_close_matches(name, known, n=1)), "")
