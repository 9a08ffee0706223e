"""Turns exceptions into `google.rpc.Status`, and reads such a status on the client's side.

An exception is *rich* when it has a `code` (the name of a gRPC code) and a `reason`, both strings; `kind`, `hint`, `metadata`,
`violations`, `problems`, `subject` and `retry_after_seconds` are used where it has them. Nothing is sent from here.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY = "grpc-status-details-bin"

# A client's transport may refuse trailers above 8 KiB, and then no error arrives. Details travel in base64, and the message twice,
# once percent-encoded.
MAX_MESSAGE_BYTES = 640
MAX_DETAILS_BYTES = 3_400


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status as a client sees it. `violations` holds (field, text)."""

    code: str
    message: str
    reason: str = ""
    kind: str = ""
    hint: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    violations: tuple[tuple[str, str], ...] = ()
    retry_after_seconds: float | None = None


def find_rich(error: BaseException) -> BaseException | None:
    """Returns the first rich exception: the error itself, or one in its group."""
    if isinstance(getattr(error, "code", None), str) and isinstance(getattr(error, "reason", None), str):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = (find_rich(inner) for inner in error.exceptions)
        return next((rich for rich in found if rich is not None), None)
    return None


def describe(error: BaseException, domain: str) -> status_pb2.Status:
    """Makes the status of a rich exception; `domain` is the service that raised it."""
    code: str = error.code  # type: ignore[attr-defined] # find_rich looked
    status = status_pb2.Status(code=grpc.StatusCode[code].value[0], message=_cut(str(error), MAX_MESSAGE_BYTES))
    _append(status, _error_info(error, domain))
    delay = getattr(error, "retry_after_seconds", None)
    if delay is not None:
        _append(status, error_details_pb2.RetryInfo(retry_delay=_duration(delay)))
    if code == "FAILED_PRECONDITION":
        _append(status, _precondition(error))
    violations = tuple(_violations(error))
    if violations:
        _append(status, _bad_request(violations, MAX_DETAILS_BYTES - status.ByteSize()))
    return status


def describe_defect(error_id: str, domain: str) -> status_pb2.Status:
    """Makes the status of an unforeseen exception: its text stays in the log."""
    message = f"internal error {error_id}; the log of the service has the details"
    status = status_pb2.Status(code=grpc.StatusCode.INTERNAL.value[0], message=message)
    metadata = {"class": "FATAL", "error_id": error_id}
    _append(status, error_details_pb2.ErrorInfo(reason="INTERNAL", domain=domain, metadata=metadata))
    return status


# The texts of grpc.aio, with INTERNAL, for a status that it lost: a write met a call, or a connection, that had just ended.
LOST_BY_GRPC = "Internal error from Core"


def read_refusal(error: grpc.RpcError) -> Refusal:
    """Reads the error of a failed call, whatever the other side sent; a status without details has no reason."""
    code: grpc.StatusCode = error.code()
    message = error.details() or ""
    details = _details(error)
    if details is None:
        return Refusal("UNAVAILABLE" if message == LOST_BY_GRPC else code.name, message)
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    delay = None
    for detail in details.details:
        with suppress(DecodeError):
            detail.Unpack(info)
            detail.Unpack(bad)
            if detail.Unpack(retry):
                delay = max(retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9, 0.0)
    return Refusal(
        code.name,
        details.message or message,
        reason=info.reason,
        kind=info.metadata.get("class", ""),
        hint=info.metadata.get("hint", ""),
        metadata=tuple(sorted(info.metadata.items())),
        violations=tuple((violation.field, violation.description) for violation in bad.field_violations),
        retry_after_seconds=delay,
    )


def _error_info(error: BaseException, domain: str) -> error_details_pb2.ErrorInfo:
    metadata = {"class": getattr(error, "kind", "FATAL")}
    if hint := getattr(error, "hint", ""):
        metadata["hint"] = _cut(hint, MAX_MESSAGE_BYTES)
    room = MAX_DETAILS_BYTES // 2
    for key, value in getattr(error, "metadata", {}).items():
        metadata[key] = _cut(value, room)
        room = max(0, room - len(metadata[key].encode()))
    reason: str = error.reason  # type: ignore[attr-defined]
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def _precondition(error: BaseException) -> error_details_pb2.PreconditionFailure:
    violation = error_details_pb2.PreconditionFailure.Violation(
        type=error.reason,  # type: ignore[attr-defined]
        subject=getattr(error, "subject", ""),
        description=_cut(str(error), MAX_MESSAGE_BYTES),
    )
    return error_details_pb2.PreconditionFailure(violations=[violation])


def _violations(error: BaseException) -> Iterable[tuple[str, str]]:
    for violation in getattr(error, "violations", ()):
        yield violation.field, violation.text
    for problem in getattr(error, "problems", ()):
        place = f"{problem.path}:{problem.line}: " if problem.line else ""
        yield problem.field or "flow", f"{place}{problem.text}"


def _bad_request(violations: Sequence[tuple[str, str]], room: int) -> error_details_pb2.BadRequest:
    message = error_details_pb2.BadRequest()
    for told, (field, text) in enumerate(violations):
        message.field_violations.add(field=_cut(field, 200), description=_cut(text, 400))
        if message.ByteSize() > room - 120:
            del message.field_violations[-1]
            message.field_violations.add(field="", description=f"and {len(violations) - told} more")
            break
    return message


def _append(status: status_pb2.Status, detail: Message) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _details(error: Any) -> status_pb2.Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(int(seconds * 1000))
    return duration


def _cut(text: str, limit: int) -> str:
    data = text.encode("utf-8", "replace")
    return data.decode() if len(data) <= limit else data[: limit - 4].decode("utf-8", "ignore") + " …"
