"""Reads request ids, UUIDs that make a mutation happen once, and tells a repetition from another request."""

import hashlib
import uuid
from typing import TYPE_CHECKING

from conductor.errors import InvalidRequestError, Violation

if TYPE_CHECKING:
    from google.protobuf.message import Message


def read_request_id(given: str, *others: Violation) -> str:
    """Returns the id in lower case: in capitals it is the same id.

    InvalidRequestError, together with the other violations, for an id that is neither empty nor a UUID.
    """
    violations = list(others)
    if given and not _is_uuid(given):
        violations.append(
            Violation("request_id", "must be a UUID such as 8b2f9c1e-4d33-4b52-9f0e-3f0c6a1d2e77, or empty")
        )
    if violations:
        raise InvalidRequestError(*violations)
    return given.lower()


def digest_of(request: "Message") -> str:
    """Returns the digest by which two requests of a method are the same: of everything but their id. It is stored."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("request_id")
    method = request.DESCRIPTOR.name.removesuffix("Request")
    return hashlib.sha256(f"{method}\0".encode() + asked.SerializeToString(deterministic=True)).hexdigest()


def _is_uuid(given: str) -> bool:
    try:
        return str(uuid.UUID(given)) == given.lower()
    except ValueError:
        return False
