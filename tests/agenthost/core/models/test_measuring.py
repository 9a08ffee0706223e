"""How long requests took, and which spans they are. Keeps K11."""

import json

import pytest

from agenthost.core.models.measuring import (
    BOUNDS,
    MAX_TRACED,
    Latencies,
    Measured,
    TracedRequest,
    child_of,
    describe_measured,
    read_traceparent,
    restore_measured,
    span_of_request,
)
from agenthost.core.models.metering import ModelUse, describe, restore

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (TRACEPARENT, TRACEPARENT),
        (f"00-{'0' * 32}-{SPAN}-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"{TRACEPARENT}\r\nx: y", ""),
        (f"01-{TRACE}-{SPAN}-01", ""),
        ("x" * 10_000, ""),
    ],
)
def test_a_trace_that_is_not_valid_counts_as_none(text: str, read: str) -> None:
    assert read_traceparent(text) == read


def test_each_request_is_a_span_of_its_own_below_that_of_the_attempt() -> None:
    spans = [span_of_request("run-look-1", number) for number in (1, 2)] + [span_of_request("run-look-2", 1)]

    assert len(set(spans)) == 3
    assert child_of(TRACEPARENT, spans[0]) == f"00-{TRACE}-{spans[0]}-01"
    assert read_traceparent(child_of(TRACEPARENT, spans[0]))


def test_latencies_are_counted_by_their_bounds() -> None:
    latencies = Latencies().with_request(0.05).with_request(0.06).with_request(BOUNDS[-1] + 1)

    assert latencies.counts[0] == latencies.counts[1] == latencies.counts[-1] == 1
    assert sum(latencies.counts) == 3
    assert latencies.seconds == pytest.approx(0.11 + BOUNDS[-1] + 1)


def test_a_book_keeps_the_first_requests_of_a_trace_and_reads_the_same_again() -> None:
    measured = Measured()
    for number in range(MAX_TRACED + 1):
        measured = measured.with_request(0.1, TracedRequest(f"{number:016x}", 1e9 + number, 0.1, 200, 3, 4, "m", ""))
    use = ModelUse(measured=measured.with_request(0.1, None))

    assert len(measured.traced) == MAX_TRACED
    assert restore_measured(json.loads(json.dumps(describe_measured(measured)))) == measured
    assert restore(json.loads(json.dumps(describe(use)))) == use


def test_a_book_of_an_earlier_version_has_measured_nothing() -> None:
    old = describe(ModelUse(requests=3))
    del old["measured"]

    assert restore(old) == ModelUse(requests=3)
