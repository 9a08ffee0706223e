"""Findings are found in any agent's answer, in the forms that models really write. Keeps F12."""

import json
from typing import Any

import pytest

from conductor.evaluation.answers.extraction import extract_result
from conductor.evaluation.answers.results import read_result

PLACE = {"path": "a.py", "start_line": 3, "end_line": 4, "quote": "x = 1\ny = 2"}
ONE: dict[str, Any] = {"severity": "high", "title": "First", "claim": "c", "category": "bug", "evidence": [PLACE]}
TWO: dict[str, Any] = {**ONE, "title": "Second", "severity": "low"}
DOCUMENT = {"findings": [ONE, TWO]}
TEXT = json.dumps(DOCUMENT)
PRETTY = json.dumps(DOCUMENT, indent=2)
BOTH = ("First", "Second")
CONTRACT = """\
    {"findings": [
      {"severity": "low", "title": "one line", "claim": "what is wrong",
       "evidence": [{"path": "a/b.py", "start_line": 3, "end_line": 4, "quote": "the exact text"}]}
    ]}
"""


def other(**names: Any) -> str:
    """The first finding with fields of other names, alone in its document."""
    return json.dumps({"findings": [{**ONE, **names}]})


def placed(**place: Any) -> str:
    return other(evidence=[place])


FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bare": (TEXT, BOTH),
    "bare and pretty": (PRETTY, BOTH),
    "behind thousands of brackets": ("So `a[0]` is `{}` here.\n" * 3000 + TEXT, BOTH),
    "fenced as json": (f"```json\n{PRETTY}\n```", BOTH),
    "fenced without a name": (f"```\n{PRETTY}\n```", BOTH),
    "fenced with tildes": (f"~~~json\n{TEXT}\n~~~", BOTH),
    "fenced with four ticks": (f"````json\n{TEXT}\n````", BOTH),
    "a fence that is not closed": (f"Here:\n```json\n{PRETTY}\n", BOTH),
    "after prose": (f"I looked at `a.py` and [this](b.md).\n\n{TEXT}", BOTH),
    "before prose": (f"{TEXT}\n\nThat is all, {{in short}}.", BOTH),
    "among prose": (f"So {TEXT} and [1] more words.", BOTH),
    "under a heading": (f"## Findings\n\n**Output:**\n\n{PRETTY}\n", BOTH),
    "indented": ("\n".join(f"    {line}" for line in PRETTY.splitlines()), BOTH),
    "with carriage returns": (PRETTY.replace("\n", "\r\n"), BOTH),
    "after a byte order mark": (f"\ufeff{TEXT}", BOTH),
    "in tags": (f"<output>\n{TEXT}\n</output>", BOTH),
    "after thinking": (f'<think>maybe {{"findings": []}}?</think>\n{TEXT}', BOTH),
    "after thinking whose tag was lost": (f'I might say {{"findings": []}}\n</think>\n{TEXT}', BOTH),
    "after thinking that ends in the same line": (f"I might say nothing </think>{TEXT}", BOTH),
    "before a sentence about the tag": (f"{TEXT}\nThe file holds a </think> of its own.", BOTH),
    "with the tag in a quote": (other(claim="# </think> hides it"), ("First",)),
    "before a sentence that quotes an empty list": (f'{TEXT}\nThe file asks for `{{"findings": []}}`.', BOTH),
    "before an empty list in the middle of a line": (f'{TEXT}\n{{"findings": []}} is what the file wants', BOTH),
    "a draft, then the answer": (f'```json\n{{"findings": []}}\n```\nNo, better:\n```json\n{TEXT}\n```', BOTH),
    "the example, then the answer": (f"The form is\n{CONTRACT}\nso:\n{TEXT}", BOTH),
    "the answer, then the example": (f"{TEXT}\n\nas in the form\n{CONTRACT}", BOTH),
    "a list": (json.dumps([ONE, TWO]), BOTH),
    "a fenced list": (f"```json\n{json.dumps([ONE, TWO], indent=1)}\n```", BOTH),
    "a single finding": (json.dumps(ONE), ("First",)),
    "a finding a line": (f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n", BOTH),
    "a finding a section": (f"### 1\n```json\n{json.dumps(ONE)}\n```\n### 2\n```json\n{json.dumps(TWO)}\n```", BOTH),
    "within a result": (json.dumps({"status": "ok", "result": DOCUMENT}), BOTH),
    "within an answer as text": (json.dumps({"answer": TEXT}), BOTH),
    "as one JSON text": (json.dumps(TEXT), BOTH),
    "named issues": (json.dumps({"issues": [ONE, TWO]}), BOTH),
    "named in capitals": (json.dumps({"Findings": [ONE, TWO]}), BOTH),
    "with loose commas": (TEXT.replace("}]}]}", "},],},]}").replace("]}, {", "],}, {"), BOTH),
    "with comments": (PRETTY.replace('"findings"', '// all of them\n"findings" /* here */', 1), BOTH),
    "with bad escapes": (other(claim="PLACEHOLDER").replace("PLACEHOLDER", r"the pattern \d+ in C:\Users"), ("First",)),
    "with raw line breaks in texts": (other(claim="one").replace('"one"', '"one\ntwo"'), ("First",)),
    "with curly quotes": (
        other().replace('"findings"', "\u201cfindings\u201d").replace('"severity"', "\u201cseverity\u201d"),
        ("First",),
    ),
    "as Python writes it": (repr(DOCUMENT), BOTH),
    "severity in capitals": (other(severity="HIGH"), ("First",)),
    "severity by another word": (other(severity="Major"), ("First",)),
    "lines as texts": (placed(**{**PLACE, "start_line": "3", "end_line": "L4"}), ("First",)),
    "lines as a range": (placed(path="a.py", lines="3-4", quote="x"), ("First",)),
    "lines as a pair": (placed(path="a.py", lines=[3, 4], quote="x"), ("First",)),
    "one line": (placed(file="a.py", line=3, snippet="x"), ("First",)),
    "a file and code": (placed(file="a.py", start_line=3, end_line=4, code="x"), ("First",)),
    "evidence that is no list": (other(evidence=PLACE), ("First",)),
    "a place in the finding itself": (
        json.dumps({"findings": [{"severity": "low", "title": "First", "file": "a.py", "line": 3, "snippet": "x"}]}),
        ("First",),
    ),
    "a description for a claim": (
        json.dumps({"findings": [{"severity": "low", "title": "First", "description": "d", "evidence": [PLACE]}]}),
        ("First",),
    ),
    "a list that breaks off": (TEXT[: TEXT.index("Second")], ("First",)),
    "none": ('I found nothing.\n{"findings": []}', ()),
    "none, fenced": ('```json\n{\n  "findings": []\n}\n```', ()),
    "none, as a list": ("```json\n[]\n```", ()),
}


@pytest.mark.parametrize(("answer", "titles"), FORMS.values(), ids=FORMS)
def test_findings_are_found_in_every_form(answer: str, titles: tuple[str, ...]) -> None:
    extraction = extract_result(answer, "look", (CONTRACT,))
    found = read_result(extraction.result, "look") if extraction.result else None

    assert extraction.complaint == ""
    assert found is not None
    assert tuple(finding.title for finding in found.findings) == titles
    assert all(place.path == "a.py" and place.start_line == 3 for one in found.findings for place in one.evidence)
    assert all(finding.evidence for finding in found.findings)


def test_the_table_has_at_least_forty_forms() -> None:
    assert len(FORMS) >= 40


# What prose about Python holds, and JSON does not; and numbers that Python refuses to read or to spell.
NO_JSON = (
    "{1, 2}", "{'a': {1, 2}}", "{'a': b'x'}", "{'a': ...}", "{'a': 1j}", "{1: 2, 'b': 3}", "{(1, 2): 3}",
    "{'a': 0x" + "f" * 6000 + "}", '{"n": ' + "9" * 5000 + "}", '{"n": ' + "9" * 5000 + ",}",
)  # fmt: skip


@pytest.mark.parametrize("beside", NO_JSON, ids=[each[:20] for each in NO_JSON])
def test_what_is_no_json_in_prose_hides_no_findings(beside: str) -> None:
    found = read_result(extract_result(f"Here `{beside}` is built.\n{TEXT}\nSo {beside}", "look").result, "look")

    assert found is not None
    assert tuple(each.title for each in found.findings) == BOTH


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("There is nothing wrong here.", "it holds no JSON"),
        ("", "it holds no JSON"),
        ("The list [] is empty, and so is {}.", "none of its JSON is a list of findings"),
        ('{"verdict": "fine"}', "none of its JSON is a list of findings"),
        (CONTRACT, "it holds no JSON"),  # only the example again
        ('<think>{"findings": []}</think>All is well.', "it holds no JSON"),
        ('{"findings": [{"severity": "terrible", "title": "x"}]}', "severity must be one of"),
        ('{"findings": "none"}', "none of its JSON is a list of findings"),
        ('{"findings": [{"severity": "low"', "it holds no JSON"),
    ],
)
def test_an_answer_without_readable_findings_is_never_none_and_says_why(answer: str, complaint: str) -> None:
    extraction = extract_result(answer, "look", (CONTRACT,))

    assert extraction.result == b""
    assert complaint in extraction.complaint


def test_a_list_that_breaks_off_says_so() -> None:
    document = json.loads(extract_result(TEXT[: TEXT.index("Second")], "look").result)

    assert "breaks off" in document["notes"][0]


HOSTILE = {
    "brackets": "[" * 500_000,
    "braces": '{"a":' * 100_000,
    "quotes": '{"' + '\\"' * 250_000,
    "comments": '{"a": 1 ' + "/*" * 200_000 + "}",
    "thoughts": "<think>" * 70_000,
    "objects": "{} " * 170_000,
    "almost": ('{"findings": [' + '{"a": "b",},' * 40_000),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_no_answer_takes_so_long_that_its_step_would_fail_for_it(answer: str) -> None:
    """A careless walk over these takes hours."""
    assert extract_result(answer, "look", (CONTRACT,)).result == b""


ASKED = 'If there are none, answer {"findings": []}.'


@pytest.mark.parametrize(
    "answer", ['{"findings": []}', 'None.\n\n```json\n{"findings": []}\n```\n', '{ "findings" : [ ] }\n']
)
def test_an_empty_list_is_an_answer_although_its_author_has_written_it_too(answer: str) -> None:
    """Keeps F12."""
    assert json.loads(extract_result(answer, "s", [ASKED]).result) == {"findings": []}


def test_an_empty_list_within_a_repeated_prompt_is_no_answer() -> None:
    """Keeps F12: what cannot be read is never "no findings"."""
    assert not extract_result(f"{ASKED} I could read nothing.", "s", [ASKED]).result
