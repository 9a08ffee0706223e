"""A typed output is found in answers as models really write them: the right value or the right complaint, never a made-up value.

Keeps F3.
"""

import json
from typing import Any

import pytest

from conductor.evaluation.answers.typed_answers import Form, TypedAnswer, extract_typed, is_other_result
from conductor.flows.language.output_schemas import skeleton

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["verdict", "why"],
    "properties": {
        "verdict": {"enum": ["CONFIRMED", "PARTLY", "REFUTED", "UNSURE"]},
        "why": {"type": "string", "minLength": 3},
        "places": {
            "type": "array",
            "items": {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}},
        },
        "sure": {"type": "boolean"},
    },
}
LIST: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
LOOSE: dict[str, Any] = {"type": "object", "properties": {"list": {"type": "array"}, "a": {"type": "integer"}}}
WORDS: dict[str, Any] = {"type": "object", "properties": {"list": {"items": {"enum": ["TODO", "x"]}}}}
VALUE = {"verdict": "PARTLY", "why": "only on Windows", "places": [{"path": "a.py"}]}
OTHER = {"verdict": "REFUTED", "why": "it is checked above"}
TEXT, PRETTY = json.dumps(VALUE), json.dumps(VALUE, indent=2)
PROMPT = 'Judge it. Answer like this: {"verdict": "CONFIRMED", "why": "the lock is never taken"}'


def in_tags(tag: str, inside: str) -> str:
    return f"<{tag}>{inside}</{tag}>"


FOUND: dict[str, tuple[str, Any]] = {
    "bare": (TEXT, VALUE),
    "pretty": (PRETTY, VALUE),
    "behind thousands of brackets": ("So `a[0]` is `{}` here.\n" * 3000 + TEXT, VALUE),
    "fenced": (f"```json\n{PRETTY}\n```", VALUE),
    "fenced, without a name": (f"```\n{TEXT}\n```", VALUE),
    "fenced as JavaScript, among prose": (f"So:\n\n```js\n{TEXT}\n```\n\nThat is all.", VALUE),
    "a fence that is never closed": (f"Here:\n```json\n{PRETTY}\n", VALUE),
    "two fences: a draft, then the answer": (f"```json\n{json.dumps(OTHER)}\n```\nNo:\n```json\n{TEXT}\n```", VALUE),
    "findings behind it, which nobody asked for": (f'{TEXT}\n{{"findings": []}}', VALUE),
    "several fences, the last is code": (f"```json\n{TEXT}\n```\nSee\n```python\nx = {{'a': 1}}\ny = [1]\n```", VALUE),
    "two objects, one after the other": (f"{json.dumps(OTHER)}\n{TEXT}", VALUE),
    "two objects, the last has another form": (f'{TEXT}\n{{"note": "done"}}', VALUE),
    "within prose": (f"I would say {TEXT}, and no more [1].", VALUE),
    "prose with braces before": (f"In `if (x) {{ return; }}` it is wrong: {TEXT}", VALUE),
    "prose with braces after": (f"{TEXT}\nThe set {{a, b}} and the list [1, 2] do not matter.", VALUE),
    "Markdown: heading, table, list": (f"## Verdict\n\n| a | b |\n|---|---|\n| 1 | {{x}} |\n\n- {TEXT}\n", VALUE),
    "in a block quote of one line": (f"> {TEXT}", VALUE),
    "after thinking": (in_tags("think", json.dumps(OTHER)) + TEXT, VALUE),
    "after thinking in other tags": (in_tags("reasoning", json.dumps(OTHER)) + "\n" + TEXT, VALUE),
    "after thinking whose opening is lost": (f"{json.dumps(OTHER)}\n</think>\n{TEXT}", VALUE),
    "thinking after the answer": (f"{TEXT}\n{in_tags('think', json.dumps(OTHER))}", VALUE),
    "thinking that never ends, after the answer": (f"{TEXT}\n<think>\n{json.dumps(OTHER)}", VALUE),
    "about a tag of thinking": (
        TEXT.replace("only on Windows", "the <think> tag is cut"),
        {**VALUE, "why": "the <think> tag is cut"},
    ),
    "in tags": (f"<answer>\n{TEXT}\n</answer>", VALUE),
    "with loose commas": ('{"verdict": "PARTLY", "why": "only on Windows", "places": [{"path": "a.py",},],}', VALUE),
    "with comments": (
        '{// mine\n"verdict": "PARTLY", /* really */ "why": "only on Windows", "places": [{"path": "a.py"}]}',
        VALUE,
    ),
    "with bad escapes": (
        r'{"verdict": "UNSURE", "why": "the pattern \d+"}',
        {"verdict": "UNSURE", "why": r"the pattern \d+"},
    ),
    "with raw line ends": ('{"verdict": "UNSURE", "why": "one\ntwo"}', {"verdict": "UNSURE", "why": "one\ntwo"}),
    "as Python writes it": (repr({**VALUE, "sure": True}), {**VALUE, "sure": True}),
    "curly quotes": (TEXT.replace('"', "\u201c", 1).replace('"', "\u201d", 1), VALUE),
    "Chinese punctuation": (
        (
            "\u7ed3\u8bba\u5982\u4e0b\uff1a\n{\u201cverdict\u201d\uff1a\u201cPARTLY\u201d\uff0c"
            "\u201cwhy\u201d\uff1a\u201c\u4ec5\u5728 Windows\uff0c\u4e0d\u5e38\u89c1\u201d}"
        ),
        {"verdict": "PARTLY", "why": "\u4ec5\u5728 Windows\uff0c\u4e0d\u5e38\u89c1"},
    ),
    "Chinese text in good JSON": (
        '\u7b54\uff1a{"verdict": "PARTLY", "why": "\u4ed6\u8bf4\u201c\u597d\u201d\uff1a\u4e0d"}\u3002',
        {"verdict": "PARTLY", "why": "\u4ed6\u8bf4\u201c\u597d\u201d\uff1a\u4e0d"},
    ),
    "with carriage returns": (PRETTY.replace("\n", "\r\n"), VALUE),
    "after a byte order mark": (f"\ufeff{TEXT}", VALUE),
    "wrapped in a result": (json.dumps({"result": VALUE}), VALUE),
    "wrapped as text": (json.dumps({"answer": TEXT}), VALUE),
    "as one JSON text": (json.dumps(TEXT), VALUE),
    "the example of the prompt, then the answer": (f"{PROMPT}\n{TEXT}", VALUE),
    "the answer, then the example of the prompt": (f"{TEXT}\n\nas in\n{PROMPT}", VALUE),
    "the answer, then the form of the prompt": (f"{TEXT}\n\n{skeleton(SCHEMA)}", VALUE),
    "cut off, after a whole one": (f"{TEXT}\n\nOnce more:\n{PRETTY[:-30]}", VALUE),
    "cut off in a fence, then whole": (f"```json\n{PRETTY[:-30]}\n```\nAgain:\n```json\n{TEXT}\n```", VALUE),
    "unfinished in prose, then fenced": (f'A `{{"verdict": ` is needed:\n```json\n{TEXT}\n```', VALUE),
    "more members than asked for": (
        '{"verdict": "UNSURE", "why": "no test", "note": 1}',
        {"verdict": "UNSURE", "why": "no test", "note": 1},
    ),
}


@pytest.mark.parametrize(("answer", "value"), FOUND.values(), ids=FOUND)
def test_the_value_is_found_as_it_was_written(answer: str, value: Any) -> None:
    found = extract_typed(answer, Form(SCHEMA), (PROMPT,))

    assert found.errors == ()
    assert json.loads(found.value) == value


COMPLAINTS: dict[str, tuple[str, str]] = {
    "nothing": ("", "it holds no JSON"),
    "prose": ("It is confirmed, I think.", "it holds no JSON"),
    "a Markdown table": ("| verdict | why |\n|---|---|\n| CONFIRMED | seen |", "it holds no JSON"),
    "only a list of marks": ("- [x] looked\n- [ ] judged", "it holds no JSON"),
    "only the example of the prompt": (PROMPT, "it holds no JSON"),
    "only the form of the prompt": (skeleton(SCHEMA), "it holds no JSON"),
    "a list and an object of prose": ("The list [] is empty, as {} is [1].", "it holds no JSON"),
    "only thinking": (f"<think>{TEXT}</think> I am done.", "it holds no JSON"),
    "thinking that never ends": (f"<think>\n{TEXT}", "it holds no JSON"),
    "a word that is no verdict": ('{"verdict": "MAYBE", "why": "unclear"}', "verdict: 'MAYBE' is not one of"),
    "a verdict in small letters": ('{"verdict": "confirmed", "why": "seen"}', "'confirmed' is not one of"),
    "a member is missing": ('{"verdict": "CONFIRMED"}', "'why' is a required property"),
    "a member is null": ('{"verdict": "CONFIRMED", "why": null}', "why: None is not of type 'string'"),
    "a list of one": (f"[{TEXT}]", "is not of type 'object'"),
    "cut off": (PRETTY[:-30], "breaks off"),
    "cut off, with a whole part inside": (
        f'{{"verdict": "PARTLY", "inner": {json.dumps(OTHER)}, "why": "on',
        "breaks off",
    ),
    "cut off in a text": ('{"verdict": "CONFIRMED", "why": "the lock', "breaks off"),
    "cut off after its first brace": ("The answer is:\n```json\n{", "breaks off"),
    "names without quotes": ('{verdict: CONFIRMED, places: [{"path": "a.py"}]}', "cannot be read"),
    "words for JSON": ('{"verdict": CONFIRMED, "why": "seen"}', "cannot be read"),
    "dots for the rest": ('{"verdict": "CONFIRMED", "why": "..."}', "why: '...' only stands for a text"),
    "TODO": ('{"verdict": "CONFIRMED", "why": "TODO"}', "why: 'TODO' only stands for a text"),
    "a type for a text": ('{"verdict": "CONFIRMED", "why": "string"}', "why: 'string' only stands for a text"),
    "angle brackets": ('{"verdict": "CONFIRMED", "why": "<your reason>"}', "why: '<your reason>' only stands"),
    "the choices themselves": ('{"verdict": "CONFIRMED | PARTLY", "why": "both"}', "is not one of"),
    "a number that no double holds": ('{"verdict": "CONFIRMED", "why": "seen", "n": 1e999}', "no double can hold"),
    "a number that Python does not read": (f'{{"verdict": "CONFIRMED", "n": {"9" * 5000}}}', "cannot be read"),
    "a set within Python": ("{'verdict': {1, 2}}", "cannot be read"),
    "bytes in a text within JSON": ("{\"result\": \"{'a': b'x'}\"}", "'verdict' is a required property"),
    "two bad ones: the last is told": (
        '{"verdict": 1, "why": "abc"}\n{"verdict": "UNSURE", "why": "x"}',
        "why: 'x' is too short",
    ),
}


@pytest.mark.parametrize(("answer", "complaint"), COMPLAINTS.values(), ids=COMPLAINTS)
def test_an_answer_without_the_value_says_why(answer: str, complaint: str) -> None:
    found = extract_typed(answer, Form(SCHEMA), (PROMPT,))

    assert found.value == b""
    assert complaint in found.errors[0]


def test_the_table_has_at_least_forty_answers() -> None:
    assert len(FOUND) + len(COMPLAINTS) >= 40


@pytest.mark.parametrize(
    ("answer", "form", "expected"),
    [
        ('["a", "b"]', Form(LIST, 2), '["a", "b"]'),
        ('```json\n["a"]\n```', Form(LIST, 2), "the list: has 1 entries, and at least 2 are asked for"),
        ('{"list": [1]}', Form(LOOSE, 2), "list: has 1 entries"),
        ('{"list": [{"a": 1}, {"a": 2}, {"a"', Form(LOOSE), "breaks off"),
        ('{"list": [{"a": 1}, {"a": 2}, {a: }]}', Form(LOOSE), "cannot be read"),
        ('{"list": ["TODO", "x"]}', Form(WORDS), '{"list": ["TODO", "x"]}'),
        ('{"list": [{"quote": "TODO"}]}', Form(LOOSE), '{"list": [{"quote": "TODO"}]}'),
        ('{"a": 3.0}', Form(LOOSE), '{"a": 3.0}'),
        ('{"a": 3.5}', Form(LOOSE), "a: 3.5 is not of type 'integer'"),
        ('{"list": ' + "[" * 40 + "]" * 40 + "}", Form(LOOSE), "nested deeper than"),
        ('{"list": ["' + "x" * 1_100_000 + '"]}', Form(LOOSE), "holds no JSON"),
    ],
)  # fmt: skip
def test_lists_and_bounds(answer: str, form: Form, expected: str) -> None:
    found = extract_typed(answer, form)

    assert expected in (found.value.decode() if found.value else found.errors[0])


HOSTILE = {
    "brackets": "[" * 500_000,
    "objects in objects": '{"a":' * 100_000,
    "quotes": '{"' + '\\"' * 250_000,
    "comments": '{"a": ' + "/*" * 200_000 + "}",
    "empty objects": "{} " * 170_000,
    "a list that is not closed": '[{"a": "b",},' * 40_000,
    "fences that are not closed": "```json\n{\n" * 50_000,
    "thoughts": "<think>" * 70_000,
    "lists in objects": '{"a": [' * 20_000 + "]}" * 20_000,
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_no_answer_takes_so_long_that_its_step_would_fail_for_it(answer: str) -> None:
    assert extract_typed(answer, Form(SCHEMA)).errors


def test_a_schema_that_cannot_be_applied_is_told_and_not_a_crash() -> None:
    endless = {"type": "object", "allOf": [{"$ref": "#"}]}

    assert extract_typed("{}", Form(endless)) == TypedAnswer(errors=("the schema refers to itself without end",))


@pytest.mark.parametrize(
    ("result", "is_other"),
    [
        ('{"findings": []}', True),
        ('{"findings": [], "verdict": "UNSURE"}', False),
        ('{"verdict": "UNSURE"}', False),
        ('{"findings": [', False),
        ("", False),
    ],
)
def test_findings_that_an_agent_hands_in_by_itself_are_no_answer_to_another_question(
    result: str, *, is_other: bool
) -> None:
    assert is_other_result(result.encode(), Form(SCHEMA)) is is_other
    assert not is_other_result(result.encode(), Form({**SCHEMA, "properties": {"findings": {}}}))


def test_no_part_of_a_long_value_is_taken_for_it() -> None:
    value = {"list": [{"a": number} for number in range(50_000)]}

    assert json.loads(extract_typed(json.dumps(value), Form(LOOSE)).value) == value
