"""Numbers of JSON: bounded where they enter, exact as far as they are let in."""

import json
import math

import pytest
from google.protobuf import json_format

from conductor.api.messages.json_values import value
from conductor.core.numbers import decidable, sendable, wrong_numbers


@pytest.mark.parametrize("number", [0, -0.0, 2**53 + 1, 2**64 - 1, -(2**63), 1e308, 0.1, True, None, "1e999"])
def test_what_64_bits_hold_may_enter(number: object) -> None:
    assert not list(wrong_numbers({"a": [number]}, "result"))


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "Infinity", str(2**64), str(-(2**63) - 1), "1" + 400 * "0"])
def test_any_other_number_is_named_with_its_place(text: str) -> None:
    (told,) = wrong_numbers({"a": [1, {"b": json.loads(text)}]}, "result")

    assert told.startswith("result.a[1].b is ")
    assert len(told) < 200


def test_a_number_is_sent_exactly_or_as_text() -> None:
    numbers = [1, 2**53 - 1, 2**53 + 1, 10**400, math.inf, -math.inf, 0.5, True]

    assert [sendable(number) for number in numbers] == [
        *(1, 2**53 - 1, str(2**53 + 1), str(10**400)),
        *("inf", "-inf", 0.5, True),
    ]


def test_a_guard_can_compare_what_an_older_conductor_stored() -> None:
    assert decidable({"a": [2**64, -(10**400), 2**64 - 1, True]}) == {"a": [float(2**64), -math.inf, 2**64 - 1, True]}


def test_half_a_surrogate_pair_that_json_escapes_is_read_as_a_question_mark() -> None:
    """An agent that cuts an emoji must not break the guards, the items and the readers of its step."""
    said = json.loads(r'{"x": "a \ud83d", "\udc00": ["\ud83d\ude00"]}')

    assert decidable(said) == {"x": "a ?", "?": ["\U0001f600"]}
    assert json_format.MessageToDict(value(json.dumps(said).encode())) == {"x": "a ?", "?": ["\U0001f600"]}
