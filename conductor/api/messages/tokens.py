"""Page tokens and resume tokens: places in a list or a run, opaque to clients.

A token holds a place and a checksum over it and its context (the run, or the filter of a list). A token that was cut, invented or
brought to another list is refused. The checksum guards against mistakes, not against malice: a place is no secret.
"""

import hashlib
import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode

from conductor.errors import InvalidRequestError, Violation

_CHECKSUM_BYTES = 6
_MAX_TOKEN_CHARACTERS = 512
_PLACES = 2**63

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500

Place = int | float | str


def seal(context: str, *place: Place) -> str:
    """Makes the token of a place."""
    body = json.dumps(place, separators=(",", ":")).encode()
    return _encoded(_checksum(context, body) + body)


def unseal(token: str, context: str, field: str) -> list[Place]:
    """Reads the place in a token; raises InvalidRequestError for one that was not made in this context."""
    place = _opened(token, context) if len(token) <= _MAX_TOKEN_CHARACTERS else None
    if place is None:
        text = "was not made for this request; give a token of an earlier answer to the same request"
        raise InvalidRequestError(Violation(field, text))
    return place


def read_page_size(given: int) -> int:
    """Reads the size of a page: above the limit it is the limit (AIP-158). Raises InvalidRequestError below 0."""
    if given < 0:
        raise InvalidRequestError(Violation("page_size", f"is {given}; it is 0 (for {DEFAULT_PAGE_SIZE}) or more"))
    return min(given, MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


def _opened(token: str, context: str) -> list[Place] | None:
    try:
        data = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        body = data[_CHECKSUM_BYTES:]
        # The decoder passes over what it does not know, and over spare bits: only one spelling of a token is taken.
        if data[:_CHECKSUM_BYTES] != _checksum(context, body) or _encoded(data) != token:
            return None
        place = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return place if isinstance(place, list) and all(map(_is_place, place)) else None


def _is_place(part: object) -> bool:
    """Says that the database can look for it: a client could compute the checksum of any place."""
    match part:
        case bool():
            return False
        case int():
            return -_PLACES <= part < _PLACES
        case float():
            return math.isfinite(part)
        case str():
            return not any("\ud800" <= character <= "\udfff" for character in part)
        case _:
            return False


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _checksum(context: str, body: bytes) -> bytes:
    return hashlib.blake2b(context.encode() + b"\0" + body, digest_size=_CHECKSUM_BYTES).digest()
