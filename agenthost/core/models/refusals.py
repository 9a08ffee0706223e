"""Classifies how a model's answer ended badly, by what its endpoint said: status, headers, and the body of an error.

Endpoints say the same thing in many ways, so a few words of the usual ones decide. What fits none of them is an error.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

MAX_ERROR_BYTES = 64 * 1024  # of an error's body that are looked at
MAX_WAIT_SECONDS = 9_999_999
RATE_LIMITS = frozenset({429, 529})  # too many requests; overloaded, as Anthropic says it
UNAUTHORIZED = frozenset({401, 403})
PAYMENT_REQUIRED = 402
_MAY_OVERFLOW = frozenset({400, 413, 422, 500})

_OVERFLOW = re.compile(
    rb"context_length_exceeded|exceed_context_size|context (size|window|length)|maximum context|prompt is too long"
    rb"|input is too long|too many (input )?tokens|input token count|reduce the length of the (messages|prompt)",
    re.IGNORECASE,
)
# Gemini says "quota" of limits per minute, too: only a limit per day is one.
_QUOTA = re.compile(
    rb"insufficient_quota|usage_limit_reached|usage_not_included|quota_exceeded|credit balance|insufficient (credits|balance|funds)"
    rb"|billing|PerDay",
    re.IGNORECASE,
)
_RATE_LIMIT = re.compile(rb"rate_limit|overloaded|RESOURCE_EXHAUSTED|too many requests", re.IGNORECASE)
_AUTHENTICATION = re.compile(rb"authentication_error|invalid_api_key|permission_error|API_KEY_INVALID", re.IGNORECASE)
_WAIT = re.compile(rb'"(?:retryDelay|resets_in_seconds|retry_after)"\s*:\s*"?(\d{1,7})(?:\.\d+)?s?\b')


class ModelTrouble(StrEnum):
    """How an answer of a model ended."""

    NONE = ""
    AUTHENTICATION = "authentication"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    OVERFLOW = "overflow"
    REFUSED = "refused"  # the model would not answer
    ERROR = "error"
    CUT = "cut"  # the answer broke off
    UNREACHABLE = "unreachable"


def trouble_of(status: int, body: bytes = b"") -> ModelTrouble:
    """Returns the trouble that an error with this status and body tells."""
    said = body[:MAX_ERROR_BYTES]
    if status < 400:
        return ModelTrouble.NONE
    if status == PAYMENT_REQUIRED or (status in {400, 403, *RATE_LIMITS} and _QUOTA.search(said)):
        return ModelTrouble.QUOTA
    if status in RATE_LIMITS:
        return ModelTrouble.RATE_LIMIT
    if status in UNAUTHORIZED or (status == 400 and _AUTHENTICATION.search(said)):
        return ModelTrouble.AUTHENTICATION
    if status in _MAY_OVERFLOW and _OVERFLOW.search(said):
        return ModelTrouble.OVERFLOW
    return ModelTrouble.ERROR


def trouble_in_stream(error: bytes) -> ModelTrouble:
    """Returns the trouble that an error in a stream tells, after an answer had begun with status 200."""
    for pattern, trouble in (
        (_OVERFLOW, ModelTrouble.OVERFLOW),
        (_QUOTA, ModelTrouble.QUOTA),
        (_RATE_LIMIT, ModelTrouble.RATE_LIMIT),
        (_AUTHENTICATION, ModelTrouble.AUTHENTICATION),
    ):
        if pattern.search(error[:MAX_ERROR_BYTES]):
            return trouble
    return ModelTrouble.ERROR


def wait_of(headers: Mapping[bytes, bytes], body: bytes, now: float) -> int | None:
    """Returns how many seconds an endpoint asks to wait; None where it does not say. `now` is wall time."""
    told = headers.get(b"retry-after", b"").strip()
    if told.isdigit() and len(told) < 8:
        return int(told)
    if told and (moment := _date(told)) is not None:
        return min(max(0, round(moment - now)), MAX_WAIT_SECONDS)
    milliseconds = headers.get(b"retry-after-ms", b"").strip()
    if milliseconds.isdigit() and len(milliseconds) < 11:
        return -(-int(milliseconds) // 1000)
    reset = headers.get(b"anthropic-ratelimit-unified-reset", b"").strip()
    if reset.isdigit() and len(reset) < 12:
        return min(max(0, int(reset) - round(now)), MAX_WAIT_SECONDS)
    found = _WAIT.search(body[:MAX_ERROR_BYTES])
    return int(found[1]) if found else None


def _date(text: bytes) -> float | None:
    from email.utils import mktime_tz, parsedate_tz  # noqa: PLC0415 (2 MB that an idle host does without)

    try:
        parsed = parsedate_tz(text.decode("ascii", "replace"))
        return None if parsed is None else float(mktime_tz((*parsed[:9], parsed[9] or 0)))
    except (ValueError, TypeError, OverflowError):
        return None
