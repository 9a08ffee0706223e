"""What every call of the command line brings: token and trace. Keeps K11."""

import pytest

from conductor.cli.call_metadata import metadata_of

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("token", "trace", "brought"),
    [
        ("", "", ()),
        ("t", "", (("authorization", "Bearer t"),)),
        ("", TRACEPARENT, (("traceparent", TRACEPARENT),)),
        ("t", TRACEPARENT, (("authorization", "Bearer t"), ("traceparent", TRACEPARENT))),
        ("", "not one\r\nx: y", ()),
        ("", "a" * 257, ()),
    ],
)
def test_calls_bring_the_token_and_the_trace_of_the_environment(
    token: str, trace: str, brought: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", trace)

    assert metadata_of(token) == brought
