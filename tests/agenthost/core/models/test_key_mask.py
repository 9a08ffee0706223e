"""Keeps E10 for the key of a model: it is blotted out wherever a stream is cut."""

import html
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.models.key_mask import KeyMask, mask_whole

SECRET = b"sk-sk-secret"


def through(pieces: list[bytes], secret: bytes = SECRET) -> bytes:
    mask = KeyMask(secret)
    return b"".join([*(mask.feed(piece) for piece in pieces), mask.finish()])


@given(st.lists(st.sampled_from([SECRET, b"s", b"sk-", b"sk-sk-", b"secret", b" ", b"text"]), max_size=12), st.data())
def test_a_key_is_blotted_out_wherever_it_is_cut(words: list[bytes], data: st.DataObject) -> None:
    text = b"".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    assert through(pieces) == text.replace(SECRET, b"*" * len(SECRET))


@pytest.mark.parametrize("text", [b"hello", b"data: {}\n\n"])
def test_what_cannot_be_a_key_passes_at_once(text: bytes) -> None:
    assert KeyMask(SECRET).feed(text) == text


def test_a_word_that_is_no_secret_is_left_in() -> None:
    assert through([b"the list is EMPTY"], b"EMPTY") == b"the list is EMPTY"


def test_without_a_key_everything_passes() -> None:
    assert through([b"sk-", b"anything"], b"") == b"sk-anything"


KEYS = [
    b"5f0c9a1be77d4c2a", b"15-15-15-15-15", b"sk-or-v1-0123456789abcdef", b"aaaaaaaaaaaab", b"abababababab", b"************",
    b"*a*a*a*a*a*a*", b"1234567890123", b"-1234567890.125e10", b"111111111111", b'quo"te\\slash/and&<+>\'s', b"a/b+c/d+e/f==",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@given(data=st.data())
def test_a_key_of_any_form_is_masked_at_any_cut_and_all_else_is_left_whole(key: bytes, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from([key, key[:1], key[:5], key[-3:], b" ", b"15", b"{"]), max_size=10))
    text = b"".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    masked = through([key], key)

    assert len(masked) == len(key)
    assert through(pieces, key) == text.replace(key, masked)


@pytest.mark.parametrize("key", KEYS)
def test_no_value_of_a_header_loses_its_end_to_a_key(key: bytes) -> None:
    for size in range(len(key)):
        assert mask_whole(key.decode(), b"value " + key[:size]) == b"value " + key[:size]


@pytest.mark.parametrize("key", [b"1234567890123", b"-1234567890.125e10", b"111111111111"])
def test_an_answer_that_holds_a_number_like_the_key_stays_json(key: bytes) -> None:
    answer = json.loads(through([b'{"created": ', key, b', "more": 9', key.lstrip(b"-"), b"}"], key))

    assert answer["created"] != json.loads(key)


@pytest.mark.parametrize(
    "echoed",
    [
        json.dumps, lambda key: json.dumps(key).replace("/", "\\/"), urllib.parse.quote, urllib.parse.quote_plus, html.escape,
        lambda key: json.dumps(key).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
    ],
)  # fmt: skip
def test_a_key_is_masked_as_servers_escape_it(echoed: Callable[[str], str]) -> None:
    key = 'quo"te\\slash/and&<+>s'
    said = f"Incorrect key: {echoed(key)}".encode()
    masked = mask_whole(key, said)

    assert len(masked) == len(said)
    assert masked.strip(b'"').endswith(b"********")
    assert b"slash" not in masked


def test_a_usual_key_has_one_form_only_so_a_token_costs_little() -> None:
    key = b"sk-proj-" + b"0123456789abcdef" * 10

    assert KeyMask(key)._forms == (key,)
