"""Counts the answers that pass, whatever their shape and however they are cut."""

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.models import metering
from agenthost.core.models.metering import Meter, ModelUse, Tokens, describe, restore, tokens_in


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 7}}, Tokens(5, 7)),
        ({"usage": {"input_tokens": 5, "output_tokens": 7}}, Tokens(5, 7)),
        ({"type": "response.completed", "response": {"usage": {"input_tokens": 5, "output_tokens": 7}}}, Tokens(5, 7)),
        ({"type": "message_start", "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 90}}}, Tokens(95)),
        ({"type": "message_delta", "usage": {"output_tokens": 7}}, Tokens(0, 7)),
        ({"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 4}}, Tokens(5, 7)),
        ({"usage": None}, None),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": True}}, Tokens()),
        ([], None),
        ("text", None),
    ],
)  # fmt: skip
def test_every_shape_is_read(answer: object, tokens: Tokens | None) -> None:
    assert tokens_in(answer) == tokens


STREAM = (
    b'event: message_start\r\ndata: {"type":"message_start","message":{"usage":{"input_tokens":11,"output_tokens":1}}}\r\n\r\n'
    b'data: {"type":"content_block_delta","delta":{"text":"usage of \xc3\xa4"}}\n\n'
    b'data: {"type":"message_delta","usage":{"output_tokens":23}}\n\ndata: [DONE]\n\n'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_tells_the_same_however_it_is_cut(cuts: list[int]) -> None:
    meter = Meter(b"text/event-stream; charset=utf-8")
    places = [0, *sorted(cuts), len(STREAM)]
    for begin, end in itertools.pairwise(places):
        meter.feed(STREAM[begin:end])

    assert meter.finish() == Tokens(11, 23)


def test_a_json_answer_is_read_at_its_end() -> None:
    meter = Meter(b"application/json")
    text = json.dumps({"usage": {"prompt_tokens": 2, "completion_tokens": 3}}).encode()
    meter.feed(text[:10])
    meter.feed(text[10:])

    assert meter.finish() == Tokens(2, 3)


@pytest.mark.parametrize("data", [b"not json", b"[" * 100_000, b'{"usage": 3}', b"", b"\xff\xfe"])
def test_nonsense_counts_nothing(data: bytes) -> None:
    meter = Meter(b"application/json")
    meter.feed(data)

    assert meter.finish() is None


def test_an_endless_answer_is_let_pass_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "MAX_KEPT_BYTES", 1000)
    for kind in (b"application/json", b"text/event-stream"):
        meter = Meter(kind)
        for _ in range(20):
            meter.feed(b"x" * 100)
        assert len(meter._kept) <= 1000
        assert meter.finish() is None


def test_use_adds_up_and_survives_being_written_down() -> None:
    use = ModelUse().with_request().with_status(200, ()).with_tokens(Tokens(3, 4))
    use = use.with_request().with_status(429, ((b"retry-after", b"7"),)).with_tokens(None)
    use = use.with_refusal().with_failure()

    assert (use.requests, use.refused, use.broken, use.metered) == (2, 1, 1, 1)
    assert use.statuses == {200: 1, 429: 1}
    assert (use.rate_limited, use.retry_after_seconds) == (1, 7)
    assert restore(json.loads(json.dumps(describe(use)))) == use
    assert (use.last_status, use.with_status(200, ()).last_status) == (429, 200)


def test_a_book_of_an_earlier_version_is_read() -> None:
    use = ModelUse().with_request().with_status(401, ())
    written = describe(use)
    del written["last_status"]

    assert restore(written) == replace(use, last_status=0)


def test_the_number_of_statuses_is_bounded() -> None:
    use = ModelUse()
    for status in range(200, 600):
        use = use.with_status(status, ())

    assert len(use.statuses) == metering.MAX_STATUSES
    assert use.with_status(200, ()).statuses[200] == 2
