"""Inputs: the question, the band and what a flow's schema asks for. Keeps A10."""

from typing import Any

import pytest
from google.protobuf import json_format

from conductor.flows.checks.input_rules import MAX_QUESTION_CHARACTERS, judge_inputs
from conductor.v1.flow_service_pb2 import BAND_LARGE, BAND_MEDIUM, Flow

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "depth": {"type": "integer", "minimum": 1, "default": 2},
        "ratio": {"type": "number"},
        "paths": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["ratio"],
}


def flow(schema: dict[str, Any] | None = None, **fields: Any) -> Flow:
    return json_format.ParseDict({"inputSchema": schema} if schema else {}, Flow(**fields))


def fields(flow: Flow, given: dict[str, Any]) -> list[str]:
    return [field for field, _ in judge_inputs(flow, given).violations]


def test_the_question_is_trimmed_and_the_band_is_small_where_nothing_is_said() -> None:
    inputs = judge_inputs(flow(question_required=True), {"question": "  why? \n"})

    assert (inputs.question, inputs.band) == ("why?", "small")
    assert inputs.values == {"question": "why?", "band": "small"}


@pytest.mark.parametrize("question", [None, "", " \t\n "])
def test_a_blank_question_is_missing_where_one_is_required(question: str | None) -> None:
    """Keeps A10."""
    given = {} if question is None else {"question": question}
    inputs = judge_inputs(flow(question_required=True), given)

    assert inputs.question_missing
    assert [field for field, _ in inputs.violations] == ["inputs.question"]


def test_a_question_may_be_left_out_where_none_is_required_but_not_given_blank() -> None:
    """Keeps A10."""
    assert not fields(flow(), {})
    assert fields(flow(), {"question": " "}) == ["inputs.question"]


def test_sixty_four_thousand_characters_are_a_question_and_one_more_is_none() -> None:
    """Keeps A10."""
    assert not fields(flow(), {"question": "é" * MAX_QUESTION_CHARACTERS})
    assert not fields(flow(), {"question": " " + "x" * MAX_QUESTION_CHARACTERS + " "})
    assert fields(flow(), {"question": "x" * (MAX_QUESTION_CHARACTERS + 1)}) == ["inputs.question"]
    assert fields(flow(), {"question": 3}) == ["inputs.question"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"ratio": 1}, []),
        ({"ratio": 0.5, "depth": 3.0, "paths": ["a"]}, []),
        ({"ratio": "x"}, ["inputs.ratio"]),
        ({"ratio": 1, "depth": 0}, ["inputs.depth"]),
        ({"ratio": 1, "depth": 1.5}, ["inputs.depth"]),
        ({"ratio": 1, "paths": ["a", 3]}, ["inputs.paths[1]"]),
        ({}, ["inputs"]),
        ({"ratio": 1, "unknown": 1}, ["inputs"]),
        (
            {"ratio": "x", "depth": "x", "band": "huge", "question": 1},
            ["inputs.question", "inputs.band", "inputs.depth", "inputs.ratio"],
        ),
    ],
)
def test_extras_are_judged_by_the_schema_and_every_wrong_field_is_named(
    given: dict[str, Any], wrong: list[str]
) -> None:
    """Keeps A10."""
    assert sorted(fields(flow(SCHEMA), given)) == sorted(wrong)


def test_unknown_extras_are_refused_also_where_there_is_no_schema() -> None:
    """Keeps A10."""
    violations = judge_inputs(flow(), {"depth": 1}).violations

    assert violations[0][0] == "inputs"
    assert "'depth'" in violations[0][1]


def test_a_schema_may_admit_what_it_does_not_name() -> None:
    """Keeps A10."""
    assert not fields(flow({"additionalProperties": {"type": "integer"}}), {"any": 1})
    assert fields(flow({"additionalProperties": {"type": "integer"}}), {"any": "x"}) == ["inputs.any"]
    assert not fields(flow({"allOf": [{"properties": {"x": {"type": "integer"}}}]}), {"x": 1})


def test_defaults_are_filled_in_and_numbers_are_what_the_schema_means() -> None:
    values = judge_inputs(flow(SCHEMA), {"ratio": 2.0, "depth": 3.0}).values
    defaults = judge_inputs(flow(SCHEMA), {"ratio": 1}).values

    assert (values["ratio"], type(values["ratio"])) == (2.0, float)
    assert (values["depth"], type(values["depth"])) == (3, int)
    assert defaults["depth"] == 2


def test_a_flow_may_know_some_bands_only() -> None:
    few = flow(bands=[BAND_LARGE, BAND_MEDIUM])

    assert judge_inputs(few, {}).band == "medium"
    assert fields(few, {"band": "small"}) == ["inputs.band"]
    assert not fields(few, {"band": "large"})


def test_inputs_are_bounded_as_a_whole() -> None:
    wide = {"type": "object", "properties": {"x": {"type": "string"}}}

    assert fields(flow(wide), {"x": "x" * 300_000}) == ["inputs"]


def test_a_schema_that_refers_to_itself_without_end_is_a_violation_and_not_a_crash() -> None:
    assert fields(flow({"$ref": "#"}), {"x": 1}) == ["inputs"]


def test_a_schema_may_admit_an_input_by_the_word_true() -> None:
    assert not fields(flow({"type": "object", "properties": {"x": True}}), {"x": 1})
