"""Citations as models and attackers write them: what does not stand there is not verified, and what does is. Keeps F4."""

import json

import pytest

from agenthost.core.output.redaction import redacted
from conductor.evaluation.answers.extraction import extract_result
from conductor.evaluation.answers.results import read_result
from conductor.evaluation.evidence.citations import CitationCheck
from conductor.evaluation.evidence.findings import Evidence, Finding, Found, count, read_document, tell_apart
from conductor.evaluation.evidence.words import cuts_word

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ3lM6"
FILE = f"""\
price = 10000
rate = 1.500 + 1,500 - 11.5
delta = -1000
def load_user_name(path):
    TOKEN = os.environ["GITHUB_TOKEN"]
    return None
}}
# оценка готова, naïveté
# 大数据分析平台用于测试
limit = 1_000_000
PASSWORD = os.environ.get("DB_PASSWORD_VALUE")
KEY = "{TOKEN}"
call(x);{" " * 3}call(y)
# TODO
x = 1

# TODO
"""


def place(start: object, end: object, quote: str, path: str = "a.py") -> dict[str, object]:
    return {"path": path, "start_line": start, "end_line": end, "quote": quote}


def judged(start: object, end: object, quote: str, data: str = FILE) -> Evidence:
    """Returns how a citation is judged that an agent gives as JSON."""
    finding = {"severity": "high", "title": "t", "evidence": [place(start, end, quote)]}
    found = read_result(json.dumps({"findings": [finding]}).encode(), "s")
    assert found is not None
    return CitationCheck({"a.py": data.encode()}).judge(found.findings[0]).evidence[0]


@pytest.mark.parametrize(
    "end",
    [
        -1,
        0,
        1e9,
        1.5,
        "nonsense",
        "",
        "-1",
        "1.5",
        "1e0",
        True,
        False,
        [1],
        [],
        {},
        {"line": 1},
        10**400,
        "9" * 5000,
        "٣",
        "1 2",
    ],
    ids=repr,
)
def test_a_last_line_that_is_no_number_verifies_nothing(end: object) -> None:
    assert judged(1, end, "price = 10000").status == "missing"
    assert "its lines are invalid" in judged(1, end, "price = 10000").reason


@pytest.mark.parametrize("start", [None, -1, 0, 1.5, "nonsense", True, [1], {}, "1-1"], ids=repr)
def test_a_first_line_that_is_no_number_verifies_nothing(start: object) -> None:
    assert judged(start, 1, "price = 10000").status == "missing"


@pytest.mark.parametrize(("start", "end"), [(1, 1), ("1", "1"), (1.0, 1.0), (1, None), (" 1 ", 1), ("01", 1)], ids=repr)
def test_digits_are_read_also_in_a_string(start: object, end: object) -> None:
    assert judged(start, end, "price = 10000").status == "verified"


@pytest.mark.parametrize("end", ["-1", "1.5", [1], True, "later"])
def test_an_answer_s_prose_gives_no_line_either(end: object) -> None:
    finding = {"severity": "high", "title": "t", "evidence": [place(1, end, "price = 10000")]}
    found = read_result(extract_result(json.dumps({"findings": [finding]}), "s").result, "s")

    assert found is not None
    assert CitationCheck({"a.py": FILE.encode()}).judge(found.findings[0]).status == "missing"


@pytest.mark.parametrize(
    ("line", "quote"),
    [
        (1, "price = 1000"),
        (1, "rice = 10000"),
        (2, "rate = 1"),
        (2, "500 + 1,500"),
        (2, "1.500 + 1"),
        (2, "500 - 11.5"),
        (2, "1.500 + 1,500 - 1"),
        (2, "500 - 11"),
        (3, "1000"),
        (4, "def load"),
        (4, "load_user"),
        (4, "user_name(path)"),
        (8, "ценка готова"),
        (8, "оценка готов"),
        (8, "готова, naïvet"),
        (10, "limit = 1"),
        (10, "000_000"),
        (7, "}"),
        (13, ");"),
        (13, "();;"),
    ],
)
def test_a_part_that_cuts_a_word_or_a_number_or_is_too_small_is_missing(line: int, quote: str) -> None:
    whole = FILE.splitlines()[line - 1]

    assert judged(line, line, quote).status == ("verified" if whole == quote else "missing")


@pytest.mark.parametrize(
    ("start", "end", "quote"),
    [
        (2, 2, "rate = 1.500"),
        (2, 2, "1,500 - 11.5"),
        (3, 3, "= -1000"),
        (4, 4, "def load_user_name"),
        (4, 4, "(path):"),
        (5, 5, 'os.environ["GITHUB_TOKEN"]'),
        (8, 8, "оценка готова"),
        (9, 9, "数据分析平台"),
        (1, 6, "def load_user_name(path):"),
        (1, 6, "return None"),
        (4, 12, "os.environ.get"),
        (1, 13, "call(y)"),
        (1, 13, 'TOKEN = os.environ["GITHUB_TOKEN"]\n    return None'),
        (13, 13, "call(x);   call(y)"),
        (14, 14, "# TODO"),
        (17, 17, "# TODO"),
    ],
)
def test_a_quote_that_stands_within_the_cited_lines_is_verified(start: int, end: int, quote: str) -> None:
    assert judged(start, end, quote).status == "verified"


@pytest.mark.parametrize("quote", ["}", "x", ");", "//", "----", "# a"])
def test_a_quote_of_next_to_nothing_is_not_looked_for_elsewhere(quote: str) -> None:
    evidence = judged(1, 1, quote, f"start\n{quote}\n" * 3)

    assert evidence.status == "missing"
    assert "too short to be looked for elsewhere" in evidence.reason


@pytest.mark.parametrize(
    ("line", "quote"),
    [
        (5, "TOKEN = [redacted:github-token]"),
        (5, "TOKEN = [redacted:secret]"),
        (5, 'TOKEN = os.environ["[redacted:github-token]"]'),
        (5, "TOKEN = ghp_[redacted:github-token]"),
        (11, 'PASSWORD = [redacted:secret]("DB_PASSWORD_VALUE")'),
        (11, 'PASSWORD = os.environ.get("[redacted:api-key]")'),
        (12, 'KEY = "[redacted:github-token]"'),  # a host keeps the head
        (12, 'KEY = "ghp_[redacted:gitlab-token]"'),
        (12, '[redacted:secret]"'),
    ],
)
def test_a_mask_that_an_agent_writes_verifies_nothing(line: int, quote: str) -> None:
    told = redacted(quote)  # as its host passes it on

    assert judged(line, line, told).status == "missing"
    assert line == 11 or judged(line, line, quote).status == "missing", "nor does one that an earlier host let pass"


def test_a_mask_that_the_host_made_and_one_that_stands_in_the_file_verify() -> None:
    data = 'say("[redacted:secret] is not told")\n'

    assert judged(12, 12, redacted(f'KEY = "{TOKEN}"')).status == "verified"
    assert judged(1, 1, redacted(data), data).status == "verified"
    assert judged(1, 1, redacted(data), data).quote == data
    assert judged(1, 1, redacted(f"{data}{TOKEN}"), f"{data}{TOKEN}\n").status == "missing", "it cites one line"
    assert judged(1, 2, redacted(f"{data}{TOKEN}"), f"{data}{TOKEN}\n").status == "verified"


@pytest.mark.parametrize(
    ("data", "line", "quote"),
    [
        ("\ufeffimport os\nx = 1\n", 1, "\ufeffimport os"),
        ("\ufeffimport os\nx = 1\n", 1, "import os"),
        ("one\x0c\ntwo words\n", 2, "two words"),
        ("one\x0btwo\nthree words\n", 2, "three words"),
        ("one\u2028two\x85three\nfour words\n", 2, "four words"),
        ("a\rb words\rc\n", 2, "b words"),  # as Python and old editors count
        ("a\rb words\r\nsecond line\n", 2, "second line"),  # as git and JavaScript do
        ("a\r\nb words\r\n", 2, "b words"),
    ],
)
def test_lines_are_those_of_editors_whatever_characters_a_file_holds(data: str, line: int, quote: str) -> None:
    assert judged(line, line, quote, data).status == "verified"


@pytest.mark.parametrize(
    ("start", "end", "quote", "reason"),
    [
        (1, 1, "not here at all", "line 1 does not hold the quote, and no whole lines elsewhere"),
        (1, 3, "not here at all", "lines 1 to 3 do not hold the quote, and no whole lines elsewhere"),
        (99, 99, "not here at all", "this file has 17 lines, and no whole lines elsewhere"),
        (
            1,
            1,
            "call(y)",
            "no whole lines elsewhere in this file are it",
        ),  # a part stands elsewhere: nobody looked for one
        (1, 9_000, "not here at all", "this file has 17 lines"),
    ],
)
def test_a_reason_says_only_what_was_looked_for(start: int, end: int, quote: str, reason: str) -> None:
    assert reason in judged(start, end, quote).reason


def test_equal_lines_of_a_file_are_findings_of_their_own_and_keep_their_ids() -> None:
    """Keeps F2: 79 equal remarks in CPython's library were 75 findings."""
    listed = [
        {"severity": "low", "title": "A remark", "evidence": [place(line, line, "# TODO")]} for line in (17, 14, 14)
    ]
    found = read_result(json.dumps({"findings": listed}).encode(), "s")
    assert found is not None
    checked = Found(tell_apart(map(CitationCheck({"a.py": FILE.encode()}).judge, found.findings)))
    ids = {finding.evidence[0].start_line: finding.id for finding in checked.findings}

    assert list(ids) == [17, 14]
    assert len(set(ids.values())) == 2
    assert ids[14] == found.findings[0].id, "the first of them has the id that it always had"
    assert [one.id for one in read_document(checked.as_json())] == list(ids.values())
    assert count(checked.findings)["verified"] == 2


@pytest.mark.parametrize(
    ("text", "piece"),
    [("naïve", "nai\u0308"[:2]), ("e\u0301t", "e"), ("👩\u200d💻 x", "👩"), ("ابجد", "بج"), ("ไทยแลนด์", "แลนด")],
)
def test_signs_that_belong_together_are_not_cut(text: str, piece: str) -> None:
    at = text.find(piece)

    assert at < 0 or cuts_word(text, at, at + len(piece))


@pytest.mark.parametrize(
    ("line", "quote"),
    [
        ("price = 1.e5", "price = 1"),
        ("price = 1.e5", "price = 1."),
        ("price = 1.e-5", "price = 1.e"),
        ("price = 3\u00b714", "price = 3"),
        ("price = 1\u2008000", "price = 1"),
        ("price = \u0e51\u0e50\u0e50\u0e50", "price = \u0e51\u0e50"),
        ("price = \u17e1\u17e0\u17e0", "price = \u17e1\u17e0"),
        ("price = \u4e00\u767e\u4e07", "price = \u4e00\u767e"),
        ("price = 1000\u4e07", "price = 1000"),
        ("change = \u20135 units", "5 units"),
        ("change = \uff0d5 units", "5 units"),
        ("change = \u00b75 units", "5 units"),
        ("rate = 10%", "rate = 10"),
        ("price = 10\u200b00", "price = 10"),
        ("price = 10\u00ad00", "price = 10"),
        ("price = 10\u2060\u200b00", "price = 10"),
        ("call un\u200bsafe_thing()", "safe_thing()"),
        ("call un\ufeffsafe_thing()", "\u2060safe_thing()"),
    ],
)
def test_no_number_and_no_word_is_cut_in_any_script(line: str, quote: str) -> None:
    assert status_of(line, quote) == "missing"


@pytest.mark.parametrize(
    ("line", "quote"),
    [
        ("\u4ef7\u683c = 1000\u5186", "\u4ef7\u683c = 1000"),
        ("run(1).exp() and more", "run(1)"),
        ("from 10 \u2013 15 units", "15 units"),
        ("rate = 10 % 3", "rate = 10"),
    ],
)
def test_what_ends_with_its_number_is_whole(line: str, quote: str) -> None:
    assert status_of(line, quote) == "verified"


def status_of(line: str, quote: str) -> str:
    place = Evidence("a.py", 1, 1, quote)
    finding = Finding("low", "t", "c", "general", (place,), "s")
    return CitationCheck({"a.py": f"{line}\n".encode()}).judge(finding).status


def test_a_quote_of_bytes_that_are_no_text_is_read_as_the_file_is() -> None:
    place = {"path": "a.py", "start_line": 1, "end_line": 1, "quote": "caf\udce9 = 1"}
    found = read_result(
        json.dumps({"findings": [{"severity": "low", "title": "t", "evidence": [place]}]}).encode(), "s"
    )
    assert found is not None

    assert CitationCheck({"a.py": b"caf\xe9 = 1\n"}).judge(found.findings[0]).status == "verified"


def test_no_finding_hides_a_graver_one_or_one_with_other_places() -> None:
    first, second, invented = (
        {"path": "a.py", "start_line": line, "end_line": line, "quote": quote}
        for line, quote in ((1, "alpha beta"), (2, "gamma delta"), (2, "invented"))
    )
    told = [
        ("info", [first]),
        ("critical", [first]),
        ("info", [first, invented]),
        ("info", [first, second]),
        ("info", [first]),
    ]
    values = [{"severity": severity, "title": "t", "claim": "c", "evidence": places} for severity, places in told]
    found = read_result(json.dumps({"findings": values}).encode(), "s")
    assert found is not None
    kept = tell_apart(map(CitationCheck({"a.py": b"alpha beta\ngamma delta\n"}).judge, found.findings))

    assert [(one.severity, one.status) for one in kept] == [
        ("info", "verified"), ("critical", "verified"), ("info", "missing"), ("info", "verified"),
    ]  # fmt: skip
    assert len({one.id for one in kept}) == len(kept)
