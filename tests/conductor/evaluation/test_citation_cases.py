"""Citations that were invented, cut, or cited sloppily: a false VERIFIED is the worst answer, a wrong MISSING the second worst."""

import json
from typing import Any

import pytest

from conductor.evaluation.answers.results import read_result
from conductor.evaluation.evidence.citations import CitationCheck
from conductor.evaluation.evidence.findings import Evidence, tell_apart

NUMBERS = "price = 10000\nrate = 1.25\nbig = 1,000,000\nlow = -500.5\ntiny = 1e-5000\nat = 10:3000\ngap = 10 000 m\nhex = 0xFFFF\n"
WORDS = (
    "user_name = load()\ndon't trust this\nnon-blocking call\nпроверка = да\nहिन्दी शब्द है\n"  # noqa: RUF001
    "東京都庁の鍵\ncafe\u0301 au lait\nstraße = 1\n"
)
CODE = """\
import os

def load(path):
    with open(path) as file:
        return eval(file.read())
    }

# TODO
x = 1
# TODO
------------
end
"""
FILES = {
    "numbers": NUMBERS.encode(),
    "words": WORDS.encode(),
    "code": CODE.encode(),
    "bom": b"\xef\xbb\xbffirst = 1\nsecond = 2\n",
    "breaks": "one\x0cstill one\u2028still one\x85still one\x0bstill\x1cone\ntwo = 2\rtwo too\nthree = 3\r\nfour = 4\n".encode(),
}
ENDS = "its lines are invalid"


def judged(path: str, start: Any, end: Any, quote: str) -> Evidence:
    place = {"path": path, "start_line": start, "end_line": end, "quote": quote}
    value = {"findings": [{"severity": "low", "title": "t", "claim": "c", "evidence": [place]}]}
    found = read_result(json.dumps(value).encode(), "s")
    assert found is not None
    return CitationCheck(FILES).judge(found.findings[0]).evidence[0]


@pytest.mark.parametrize(
    ("path", "start", "end", "quote"),
    [
        # a part of a line, cut out of no word and no number
        ("numbers", 1, 1, "= 10000"),
        ("numbers", 3, 3, "1,000,000"),
        ("numbers", 4, 4, "-500.5"),
        ("numbers", 5, 5, "= 1e-5000"),
        ("words", 1, 1, "user_name"),
        ("words", 2, 2, "trust this"),
        ("words", 3, 3, "call"),
        ("words", 4, 4, "проверка"),
        ("words", 5, 5, "हिन्दी शब्द"),
        ("words", 7, 7, "cafe\u0301 au"),
        ("code", 5, 5, "eval(file.read())"),
        # a part of a line, or whole lines, inside a wider range
        ("code", 3, 6, "eval(file.read())"),
        ("code", 1, 12, "with open(path) as file:"),
        ("code", 1, 5, "import os"),
        ("code", 8, 10, "x = 1"),
        ("code", 3, 7, "def load(path):\n    with open(path) as file:"),
        # whole lines, however short
        ("code", 6, 6, "}"),
        ("code", 6, 7, "    }\n"),
        ("code", 12, 12, "end"),
        # a byte order mark is no text
        ("bom", 1, 1, "first = 1"),
        ("bom", 1, 1, "\ufefffirst = 1"),
        ("bom", 1, 2, "first = 1\r\nsecond = 2"),
        # only a newline ends a line
        ("breaks", 1, 1, "one\x0cstill one\u2028still one\x85still one\x0bstill\x1cone"),
        ("breaks", 2, 2, "two = 2\rtwo too"),
        ("breaks", 3, 3, "three = 3"),
        ("breaks", 3, 4, "three = 3\nfour = 4\r\n"),
        # digits are read, however they are written
        ("code", "1", "1", "import os"),
        ("code", 1.0, "01", "import os"),
    ],
)
def test_what_stands_there_is_verified(path: str, start: Any, end: Any, quote: str) -> None:
    assert judged(path, start, end, quote).status == "verified"


@pytest.mark.parametrize(
    ("path", "start", "end", "quote", "reason"),
    [
        ("numbers", 1, 1, "price = 1000", "the quote"),
        ("numbers", 1, 1, "rice = 10000", "the quote"),
        ("numbers", 2, 2, "rate = 1", "the quote"),
        ("numbers", 2, 2, "rate = 1.2", "the quote"),
        ("numbers", 3, 3, "big = 1,000", "the quote"),
        ("numbers", 4, 4, "500.5", "the quote"),
        ("numbers", 5, 5, "tiny = 1e", "the quote"),
        ("numbers", 5, 5, "5000", "the quote"),
        ("numbers", 6, 6, "at = 10", "the quote"),
        ("numbers", 7, 7, "gap = 10", "the quote"),
        ("numbers", 8, 8, "hex = 0xFF", "the quote"),
        ("words", 1, 1, "name = load()", "the quote"),
        ("words", 2, 2, "trust thi", "the quote"),
        ("words", 3, 3, "blocking call", "the quote"),
        ("words", 4, 4, "проверк", "the quote"),
        ("words", 5, 5, "हिन्द", "the quote"),
        ("words", 7, 7, "cafe", "the quote"),
        ("words", 8, 8, "stra", "the quote"),
        ("numbers", 1, 3, "price = 1000", "the quote"),
        ("code", 1, 1, "}", "too short"),
        ("code", 99, 99, "}", "too short"),
        ("code", 1, 1, "------------", "too short"),
        ("code", 3, 6, "}", "too short"),
        ("code", 3, 5, "as", "too short"),
        ("code", 1, 12, "eval", "only as a part"),
        ("code", 1, 2, "eval(file.read())", "the quote"),
        ("code", 1, 1, "return exec(file.read())", "the quote"),
        ("code", 1, 1, "\ufeff", "quotes nothing"),
        ("breaks", 2, 2, "three = 33", "the quote"),
        *(
            ("code", 1, end, "import os", ENDS)
            for end in (-1, 0, 1e9, 1.5, "nonsense", True, [1], {}, "1.0", "-1", "+1")
        ),
        *(
            ("code", 1, end, "import os", ENDS)
            for end in ("9" * 5000, 10**400, "1" * 9, "\u0661", "²", "", "1-2", 2**63)
        ),
        *(
            ("code", start, 1, "import os", ENDS)
            for start in (-1, 0, 1.5, "one", None, False, True, [1], "9" * 5000, 2)
        ),
    ],
)
def test_what_does_not_stand_there_is_missing_and_told_why(
    path: str, start: Any, end: Any, quote: str, reason: str
) -> None:
    evidence = judged(path, start, end, quote)

    assert evidence.status == "missing"
    assert reason in evidence.reason


@pytest.mark.parametrize(
    ("path", "start", "end", "quote", "line"),
    [
        ("code", 9, 9, "import os", 1),
        ("code", 4, 4, "def load(path):", 3),
        ("code", 8, 8, "x = 1", 9),
        ("code", 9, 9, "# TODO", 8),
        ("code", 11, 11, "# TODO", 10),
        ("bom", 2, 2, "first = 1", 1),
    ],
)
def test_what_stands_elsewhere_is_moved(path: str, start: Any, end: Any, quote: str, line: int) -> None:
    evidence = judged(path, start, end, quote)

    assert (evidence.status, evidence.actual_start_line) == ("moved", line)


def finding(line: int, title: str = "a note") -> dict[str, Any]:
    place = {"path": "code", "start_line": line, "end_line": line, "quote": "# TODO"}
    return {"severity": "low", "title": title, "claim": f"line {line}", "evidence": [place]}


def ids_of(*values: dict[str, Any]) -> list[str]:
    found = read_result(json.dumps({"findings": values}).encode(), "s")
    assert found is not None
    check = CitationCheck(FILES)
    return [one.id for one in tell_apart(map(check.judge, found.findings))]


def test_equal_lines_are_findings_of_their_own_with_ids_of_their_own() -> None:
    first, second = ids_of(finding(8), finding(10))

    assert first != second
    assert ids_of(finding(10), finding(8)) == [second, first]
    assert ids_of(finding(10)) == [second]  # also where another step hands in but one of them
    assert ids_of(finding(8), finding(8)) == [first]
    assert ids_of(finding(9), finding(8)) == [first]  # cited one line too far: the same place


def test_findings_that_stand_nowhere_keep_their_places() -> None:
    assert (
        len(
            set(
                ids_of(
                    *(
                        {**finding(line), "evidence": [{**finding(line)["evidence"][0], "path": "no"}]}
                        for line in (1, 2, 3)
                    )
                )
            )
        )
        == 3
    )
