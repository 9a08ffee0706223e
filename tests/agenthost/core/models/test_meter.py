"""Reads the answers that pass, whatever their shape and however they are cut."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.models import meter as meters
from agenthost.core.models.meter import Meter, Reading, Tokens, prompt_was_cut, tokens_in
from agenthost.core.models.refusals import ModelTrouble


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
    b"event: message_start\r\n"
    b'data: {"type":"message_start","message":{"model":"played","usage":{"input_tokens":11,"output_tokens":1}}}\r\n\r\n'
    b'data: {"type":"content_block_delta","delta":{"text":"usage of \xc3\xa4"}}\n\n'
    b'data: {"type":"message_delta","usage":{"output_tokens":23}}\n\ndata: [DONE]\n\n'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_tells_the_same_however_it_is_cut(cuts: list[int]) -> None:
    meter = Meter(b"text/event-stream; charset=utf-8")
    places = [0, *sorted(cuts), len(STREAM)]
    for begin, end in itertools.pairwise(places):
        meter.feed(STREAM[begin:end])

    assert meter.finish() == Reading(Tokens(11, 23), "played")


def test_a_json_answer_is_read_at_its_end() -> None:
    meter = Meter(b"application/json")
    text = json.dumps({"usage": {"prompt_tokens": 2, "completion_tokens": 3}}).encode()
    meter.feed(text[:10])
    meter.feed(text[10:])

    assert meter.finish() == Reading(Tokens(2, 3))


@pytest.mark.parametrize("data", [b"not json", b"[" * 100_000, b'{"usage": 3}', b"", b"\xff\xfe"])
def test_nonsense_counts_nothing(data: bytes) -> None:
    meter = Meter(b"application/json")
    meter.feed(data)

    assert meter.finish() == Reading()


def test_an_endless_answer_is_let_pass_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MAX_KEPT_BYTES", 1000)
    for kind in (b"application/json", b"text/event-stream"):
        meter = Meter(kind)
        for _ in range(20):
            meter.feed(b"x" * 100)
        assert len(meter._kept) <= 1000
        assert meter.finish() == Reading()


def stream(*events: Mapping[str, Any] | bytes) -> bytes:
    return b"".join(
        b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" for event in events
    )


def read(data: bytes, kind: bytes = b"text/event-stream", status: int = 200) -> Reading:
    meter = Meter(kind, status)
    meter.feed(data)
    return meter.finish()


WORD = {
    "model": "small",
    "choices": [{"delta": {"content": 'a "finish_reason": "stop" of its own'}, "finish_reason": None}],
}
STARTED = {"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 1}}}
CREATED = {"type": "response.created", "response": {"model": "gpt", "error": None}}
PART = {"candidates": [{"content": {"parts": [{"text": "x"}]}}], "modelVersion": "gemini"}


@pytest.mark.parametrize(
    ("begin", "end", "model"),
    [
        (WORD, {"choices": [{"delta": {}, "finish_reason": "stop"}]}, "small"),
        (WORD, b"[DONE]", "small"),
        (STARTED, {"type": "message_stop"}, "claude"),
        (CREATED, {"type": "response.completed", "response": {}}, "gpt"),
        (PART, {"candidates": [{"finishReason": "STOP"}]}, "gemini"),
    ],
)
def test_a_stream_without_an_end_of_its_shape_is_cut(
    begin: Mapping[str, Any], end: Mapping[str, Any] | bytes, model: str
) -> None:
    """Keeps D4: some servers close a stream that broke as if it were whole."""
    assert read(stream(begin)).trouble is ModelTrouble.CUT
    assert (read(stream(begin, end)).trouble, read(stream(begin, end)).model) == (ModelTrouble.NONE, model)


@pytest.mark.parametrize(
    "choice",
    [{"delta": {"content": "the stream ends with [DONE]"}}, {"delta": {"content": "word"}, "finish_reason": ""}],
    ids=["a word of the model", "an empty reason"],
)
def test_nothing_that_looks_like_an_end_is_one(choice: Mapping[str, Any]) -> None:
    assert read(stream({"model": "small", "choices": [choice]})).trouble is ModelTrouble.CUT


def test_a_stream_of_no_models_shape_is_not_judged() -> None:
    assert read(b"data: first\n\ndata: second\n\n") == Reading()


@pytest.mark.parametrize(
    ("event", "trouble"),
    [
        ({"error": {"code": 400, "type": "exceed_context_size_error", "message": "x"}}, ModelTrouble.OVERFLOW),
        ({"type": "error", "error": {"type": "overloaded_error"}}, ModelTrouble.RATE_LIMIT),
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, ModelTrouble.ERROR),
        ({"type": "message_delta", "delta": {"stop_reason": "refusal"}}, ModelTrouble.REFUSED),
        ({"choices": [{"delta": {}, "finish_reason": "content_filter"}]}, ModelTrouble.REFUSED),
        ({"choices": [{"delta": {"refusal": "I cannot"}, "finish_reason": "stop"}]}, ModelTrouble.REFUSED),
        ({"choices": [{"delta": {"refusal": None}, "finish_reason": "stop"}]}, ModelTrouble.NONE),
        ({"candidates": [{"finishReason": "SAFETY"}]}, ModelTrouble.REFUSED),
        ({"promptFeedback": {"blockReason": "OTHER"}, "candidates": []}, ModelTrouble.REFUSED),
    ],
)
def test_trouble_within_a_stream_is_found(event: Mapping[str, Any], trouble: ModelTrouble) -> None:
    assert read(stream(event, b"[DONE]")).trouble is trouble
    assert read(json.dumps(event).encode(), b"application/json").trouble is trouble


@pytest.mark.parametrize(
    ("event", "at_limit"),
    [
        ({"choices": [{"delta": {}, "finish_reason": "length"}]}, True),
        ({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, True),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, True),
        (
            {
                "type": "response.incomplete",
                "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            },
            True,
        ),
        ({"choices": [{"delta": {"content": "length"}, "finish_reason": "stop"}]}, False),
        ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, False),
    ],
)
def test_an_answer_that_ended_at_its_limit_is_known_in_every_shape(event: Mapping[str, Any], at_limit: object) -> None:
    """Keeps D5: few agents tell that their model had more to say."""
    assert read(stream(event, b"[DONE]")).at_limit is at_limit
    assert read(json.dumps(event).encode(), b"application/json").at_limit is at_limit


def test_an_error_is_told_with_the_beginning_of_its_body() -> None:
    reading = read(b'{"error": {"code": "insufficient_quota"}}', b"text/plain", 429)

    assert (reading.trouble, reading.error[:9]) == (ModelTrouble.QUOTA, b'{"error":')


def chat(*contents: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content} for content in contents]}).encode()


@pytest.mark.parametrize(
    ("body", "taken", "cut"),
    [
        (chat("word " * 6_000), 4_096, True),
        (chat("word " * 6_000), 6_500, False),
        (chat("word " * 1_000), 100, False),  # so small that an estimate says nothing
        (
            chat([{"type": "text", "text": "word " * 6_000}, {"type": "image_url", "image_url": {"url": "x"}}]),
            2_000,
            True,
        ),
        (chat([{"type": "image_url", "image_url": {"url": "data:" + "x" * 90_000}}]), 800, False),
        (b'{"input": "' + b"x" * 90_000 + b'"}', 100, False),
        (b"[" * 90_000, 100, False),
        (chat("word " * 6_000), 0, False),  # not told
    ],
)
def test_a_prompt_of_which_the_server_counts_a_part_only_was_cut(body: bytes, taken: int, cut: object) -> None:
    """Keeps D5's neighbour: an answer to half a question is none."""
    assert prompt_was_cut(body, taken) is cut


@pytest.mark.parametrize("kind", [b"text/plain; charset=utf-8", b"", b"application/octet-stream"])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_stream_under_a_vague_type_is_read_and_judged_for_a_cut(kind: bytes, size: int) -> None:
    def told(data: bytes) -> Reading:
        meter = Meter(kind)
        for at in range(0, len(data), size):
            meter.feed(data[at : at + size])
        return meter.finish()

    usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    assert told(stream(WORD)).trouble is ModelTrouble.CUT
    assert told(stream(WORD, usage, b"[DONE]")) == Reading(Tokens(3, 4), "small")
    assert told(json.dumps(usage).encode()) == Reading(Tokens(3, 4))
    assert told(b"plain words, and data: of their own\n\n") == Reading()
    assert told(b"ok") == Reading()
