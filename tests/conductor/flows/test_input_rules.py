"""Inputs: the question, the band and what a flow's schema asks for. Keeps A10."""

from typing import Any

import pytest
from google.protobuf import json_format

from conductor.flows.checks.input_rules import MAX_QUESTION_CHARACTERS, judge_inputs
from conductor.flows.language import schemas
from conductor.flows.language.schemas import schema_problems
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
    assert violations[0][1] == "there is no input 'depth'; there are none"
    told = judge_inputs(flow(SCHEMA), {"ratio": 1, "dept": 1}).violations[0][1]
    assert told.startswith("there is no input 'dept': did you mean 'depth'? There are ")


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


TYPES: dict[str, Any] = {
    "$defs": {"count": {"type": "integer"}},
    "properties": {
        "whole": {"type": "integer", "default": "9007199254740995"},
        "ratio": {"type": "number"},
        "text": {"type": "string"},
        "flag": {"type": "boolean"},
        "counts": {"type": "array", "items": {"$ref": "#/$defs/count"}},
        "version": {"enum": ["1.1", "1.10"]},
        "perhaps": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "any": {},
    },
}


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("whole", "9007199254740993", 9007199254740993),
        ("whole", "-18", -18),
        ("whole", -0.0, 0),
        ("ratio", "1e3", 1000.0),
        ("ratio", "9007199254740993", 9007199254740993),
        ("ratio", 1e300, 1e300),
        ("text", 12.0, "12"),
        ("text", 1.1, "1.1"),
        ("text", True, "true"),
        ("text", "1234567e2", "1234567e2"),
        ("flag", "false", False),
        ("counts", "[9007199254740993, 2]", [9007199254740993, 2]),
        ("counts", ["9007199254740993", 2.0], [9007199254740993, 2]),
        ("version", 1.1, "1.1"),
        ("perhaps", "null", None),
        ("perhaps", "7", 7),
        ("any", "9007199254740993", "9007199254740993"),
        ("any", 3.0, 3),
    ],
)
def test_the_schema_decides_what_an_input_is(name: str, given: object, value: object) -> None:
    judged = judge_inputs(flow(TYPES), {name: given})

    assert not judged.violations
    assert (judged.values[name], type(judged.values[name])) == (value, type(value))
    assert judged.values["whole"] == (value if name == "whole" else 9007199254740995)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("whole", 9007199254740992.0, "send it as a string"),
        ("any", 1e300, "send it as a string"),
        ("whole", "18446744073709551616", "at most 64 bits"),
        ("whole", "1" + 400 * "0", "is not of type 'integer'"),
        ("whole", "NaN", "is not of type 'integer'"),
        ("ratio", "1e999", "is not of type 'number'"),
        ("counts", "[1e999]", "no double can hold"),
        ("flag", "yes", "is not of type 'boolean'"),
    ],
)
def test_a_number_that_cannot_be_exact_is_refused_by_name(name: str, given: object, said: str) -> None:
    where, text = judge_inputs(flow(TYPES), {name: given}).violations[0]

    assert where.startswith(f"inputs.{name}")
    assert said in text


def pairs(word: str, leaf: dict[str, Any]) -> dict[str, Any]:
    """Returns 25 parts of a schema, each of which names the one before it twice."""
    named = {f"d{n}": {word: [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, 26)}
    return {"$defs": {"d0": leaf, **named}, "properties": {"n": {"$ref": "#/$defs/d25"}}}


def test_parts_that_refer_to_each_other_many_times_are_read_once() -> None:
    assert judge_inputs(flow(pairs("anyOf", {"type": "integer"})), {"n": "5"}).values["n"] == 5


def with_drafts(schema: Any) -> Any:
    """Returns the schema with a draft's name in each part that has parts."""
    if isinstance(schema, list):
        return [with_drafts(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema"} if {"allOf", "$ref"} & schema.keys() else {}
    return {**named, **{word: with_drafts(part) for word, part in schema.items()}}


def unevaluated(levels: int) -> dict[str, Any]:
    part: dict[str, Any] = {"properties": {"n": {}}}
    for _ in range(levels):
        part = {"allOf": [part], "unevaluatedProperties": False}
    return part


@pytest.mark.parametrize(
    "schema",
    [pairs("allOf", {"type": "string"}), with_drafts(pairs("allOf", {"type": "string"})), unevaluated(14)],
    ids=["named twice by each other", "of a draft of their own", "of nested unevaluatedProperties"],
)
def test_only_so_many_parts_of_a_schema_are_applied_to_a_value(
    schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "MAX_PARTS", 20_000)

    ((where, text),) = judge_inputs(flow(schema), {"n": "x"}).violations
    assert (where, "applies more than 20000 parts" in text) == ("inputs", True)


OLD_BOUND = {"properties": {"n": {"type": "number", "minimum": 1, "exclusiveMinimum": True}}}
NEW_BOUND = {"properties": {"n": {"type": "number", "exclusiveMinimum": 1}}}
PAIR = {"properties": {"n": {"items": [{"type": "integer"}], "additionalItems": False}}}


@pytest.mark.parametrize(
    ("draft", "schema", "good", "wrong"),
    [
        ("http://json-schema.org/draft-04/schema#", OLD_BOUND, 2, 1),
        ("http://json-schema.org/draft-06/schema#", NEW_BOUND, 2, 1),
        ("https://json-schema.org/draft-07/schema", PAIR, [1], [1, 2]),
        ("https://json-schema.org/draft/2019-09/schema", PAIR, [1], [1, 2]),
        ("https://json-schema.org/draft/2020-12/schema", NEW_BOUND, 2, 1),
    ],
)
def test_a_schema_is_judged_by_its_own_draft(draft: str, schema: dict[str, Any], good: object, wrong: object) -> None:
    own = flow({"$schema": draft, **schema})

    assert schema_problems({"$schema": draft, **schema}) == []
    assert not fields(own, {"n": good})
    assert fields(own, {"n": wrong})


def test_a_schema_of_another_draft_is_refused_by_name() -> None:
    for draft in ("http://json-schema.org/draft-03/schema#", "https://example.org/my-own", 7):
        (told,) = schema_problems({"$schema": draft, "type": "object"})
        assert str(draft) in told
        assert "draft-04" in told
    assert schema_problems({"$schema": "http://json-schema.org/draft-04/schema#", **NEW_BOUND})
    assert schema_problems({"$schema": "http://json-schema.org/draft-07/schema#", **OLD_BOUND})
