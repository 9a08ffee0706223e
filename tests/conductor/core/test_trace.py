"""The place of a run in a trace: read strictly, and ids of spans that never change. Keeps K11."""

import pytest

from conductor.core.model.trace import (
    Trace,
    begin_trace,
    read_traceparent,
    span_of_attempt,
    span_of_run,
    span_of_step,
    write_traceparent,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (f"00-{TRACE}-{SPAN}-01", Trace(TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-00", Trace(TRACE, SPAN, is_sampled=False)),
        (f"00-{TRACE}-{SPAN}-03", Trace(TRACE, SPAN)),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", Trace(TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-01\n", None),
        (f"cc-{TRACE}-{SPAN}-01-{'x' * 10_000}", None),
        ("", None),
    ],
)
def test_a_header_is_read_strictly_and_one_that_is_not_valid_counts_as_none(header: str, read: Trace | None) -> None:
    assert read_traceparent(header) == read


def test_ids_of_spans_follow_from_what_they_are_about() -> None:
    ids = [span_of_run("r"), span_of_step("r", "one"), span_of_step("r", "two"), span_of_attempt("r-one-1")]

    assert ids == [span_of_run("r"), span_of_step("r", "one"), span_of_step("r", "two"), span_of_attempt("r-one-1")]
    assert len(set(ids)) == 4
    assert begin_trace("r") == begin_trace("r") != begin_trace("s")


def test_what_is_written_is_read_again() -> None:
    for trace in (Trace(TRACE), Trace(TRACE, is_sampled=False)):
        assert read_traceparent(write_traceparent(trace, SPAN)) == Trace(TRACE, SPAN, trace.is_sampled)
    assert write_traceparent(None, SPAN) == ""
