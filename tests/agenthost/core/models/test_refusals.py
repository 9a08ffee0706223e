"""Classifies errors as the usual endpoints word them."""

import pytest

from agenthost.core.models.refusals import ModelTrouble, trouble_of, wait_of

NOW = 1_900_000_000.0


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (200, b"context_length_exceeded", ModelTrouble.NONE),
        (401, b'{"error":{"code":"invalid_api_key"}}', ModelTrouble.AUTHENTICATION),
        (403, b'{"type":"error","error":{"type":"permission_error"}}', ModelTrouble.AUTHENTICATION),
        (400, b'{"error":{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}', ModelTrouble.AUTHENTICATION),
        (402, b"{}", ModelTrouble.QUOTA),
        (429, b'{"error":{"code":"insufficient_quota"}}', ModelTrouble.QUOTA),
        (429, b'{"error":{"type":"usage_limit_reached","resets_in_seconds":5400}}', ModelTrouble.QUOTA),
        (400, b'{"error":{"message":"Your credit balance is too low to access the Anthropic API."}}', ModelTrouble.QUOTA),
        (429, b'{"error":{"details":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel"}]}}', ModelTrouble.QUOTA),
        (429, b'{"error":{"message":"exceeded your current quota","details":[{"quotaId":"PerMinute"}]}}', ModelTrouble.RATE_LIMIT),
        (429, b"", ModelTrouble.RATE_LIMIT),
        (529, b'{"error":{"type":"overloaded_error"}}', ModelTrouble.RATE_LIMIT),
        (400, b'{"error":{"code":400,"type":"exceed_context_size_error"}}', ModelTrouble.OVERFLOW),
        (400, b'{"error":{"code":"context_length_exceeded"}}', ModelTrouble.OVERFLOW),
        (400, b"This model's maximum context length is 8192 tokens.", ModelTrouble.OVERFLOW),
        (400, b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}', ModelTrouble.OVERFLOW),
        (400, b"The input token count (1200000) exceeds the maximum number of tokens allowed", ModelTrouble.OVERFLOW),
        (500, b"the request exceeds the available context size. try increasing the context size", ModelTrouble.OVERFLOW),
        (400, b"unknown field", ModelTrouble.ERROR),
        (404, b"model not found", ModelTrouble.ERROR),
        (500, b"", ModelTrouble.ERROR),
        (503, b"loading", ModelTrouble.ERROR),
    ],
)  # fmt: skip
def test_an_error_is_told_apart_by_its_status_and_its_words(status: int, body: bytes, trouble: ModelTrouble) -> None:
    """Keeps D4."""
    assert trouble_of(status, body) is trouble


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({b"retry-after": b"7"}, b"", 7),
        ({b"retry-after": b"Sat, 17 Mar 2030 17:48:20 GMT"}, b"", 100),
        ({b"retry-after": b"Thu, 01 Jan 1970 00:00:00 GMT"}, b"", 0),
        ({b"retry-after-ms": b"1500"}, b"", 2),
        ({b"anthropic-ratelimit-unified-reset": b"1900000060"}, b"", 60),
        ({}, b'{"error":{"details":[{"retryDelay":"34s"}]}}', 34),
        ({}, b'{"error":{"type":"usage_limit_reached","resets_in_seconds":5400}}', 5_400),
        ({b"retry-after": b"soon"}, b"", None),
        ({b"retry-after": b"9" * 30}, b"", None),
        ({}, b"", None),
    ],
)
def test_a_time_to_wait_is_read_in_each_of_its_forms(
    headers: dict[bytes, bytes], body: bytes, seconds: int | None
) -> None:
    assert wait_of(headers, body, NOW) == seconds
