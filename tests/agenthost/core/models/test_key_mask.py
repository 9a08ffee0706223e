"""Keeps E10 for the key of a model: it is blotted out wherever a stream is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.models.key_mask import KeyMask

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
