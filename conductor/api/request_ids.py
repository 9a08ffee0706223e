"""Reads request ids: UUIDs that make a mutation happen once."""

import uuid

from conductor.errors import InvalidRequestError, Violation


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


def _is_uuid(given: str) -> bool:
    try:
        return str(uuid.UUID(given)) == given.lower()
    except ValueError:
        return False
