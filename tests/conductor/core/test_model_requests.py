"""Requests to models as hosts tell them: bounded, also where a host tells too much. Keeps K11."""

from conductor.core.model.model_requests import MAX_SECONDS, MAX_TOKENS, ModelRequest, read_requests, write_requests

SPAN = "00f067aa0ba902b7"


def test_what_is_written_is_read_again() -> None:
    requests = (ModelRequest(SPAN, 1.5, 0.25, 200, 11, 7, "m", ""), ModelRequest(SPAN, 2.0, 0.5, trouble="CUT"))

    assert read_requests(write_requests(requests).encode()) == requests
    assert write_requests([]) == ""
    assert read_requests(b"") == ()


def test_a_host_that_tells_nonsense_is_bounded() -> None:
    told = ModelRequest(SPAN, -5.0, 1e300, -1, -(2**63), 2**63 - 1, "m" * 10**6, "t\n" * 10**6)
    (read,) = read_requests(write_requests([told, ModelRequest("0" * 16, 0, 0), ModelRequest("<x>", 0, 0)]).encode())

    assert (read.offset_seconds, read.seconds, read.status) == (0.0, MAX_SECONDS, 0)
    assert (read.input_tokens, read.output_tokens) == (0, MAX_TOKENS)
    assert len(read.model) < 1000
    assert len(read.trouble) < 1000
