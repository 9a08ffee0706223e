"""Citations: the rules at the head of `citations`, one by one. Keeps F4."""

import time
from dataclasses import replace

import pytest

from conductor.evaluation.evidence import citations
from conductor.evaluation.evidence.citations import CitationCheck, Unread, cited_paths, normal_path
from conductor.evaluation.evidence.findings import Evidence, Finding

FILE = """\
import os

def load(path):
    with open(path) as file:
        return eval(file.read())

def save(path):
    pass

def again(path):
    with open(path) as file:
        return eval(file.read())
"""

DATA = FILE.encode()


def judged(quote: str, start: int, end: int = 0, *, data: bytes | Unread | None = DATA, path: str = "a.py") -> Evidence:
    finding = Finding("high", "t", "c", "risks", (Evidence(path, start, end or start, quote),), "risks")
    return CitationCheck({"a.py": data}).judge(finding).evidence[0]


@pytest.mark.parametrize(
    ("quote", "start", "end"),
    [
        ("import os", 1, 1),
        ("import os\n", 1, 1),
        ("def load(path):\n    with open(path) as file:", 3, 4),
        ("def load(path):\r\n    with open(path) as file:\r\n", 3, 4),
        ("with open(path) as file:\n        return eval(file.read())", 4, 5),
        ("        return eval(file.read())", 5, 5),
        ("eval(file.read())", 5, 5),
        ("as file:\n        return", 4, 5),
        ("pass", 8, 8),
        ("import os", 1, 2),
        ("import os", 1, 5),
        ("\ndef load(path):", 2, 3),
    ],
)
def test_a_quote_that_stands_there_is_verified(quote: str, start: int, end: int) -> None:
    """Keeps F4: rules 1 to 3."""
    assert judged(quote, start, end).status == "verified"


@pytest.mark.parametrize(
    ("quote", "start", "end", "line"),
    [
        ("import os", 2, 2, 1),
        ("def save(path):", 3, 3, 7),
        ("def save(path):\n    pass", 1, 2, 7),
        ("with open(path) as file:", 5, 5, 4),
        ("with open(path) as file:", 9, 9, 11),
        ("        return eval(file.read())", 8, 8, 5),
        ("        return eval(file.read())", 9, 9, 12),
        ("import os", 99, 99, 1),
        ("pass", 99, 99, 8),
    ],
)
def test_a_quote_that_stands_elsewhere_as_whole_lines_is_moved_to_the_nearest_place(
    quote: str, start: int, end: int, line: int
) -> None:
    """Keeps F4: rule 4."""
    evidence = judged(quote, start, end)

    assert (evidence.status, evidence.actual_start_line) == ("moved", line)


@pytest.mark.parametrize(
    ("quote", "start", "end"),
    [
        ("import sys", 1, 1),
        ("import  os", 1, 1),
        ("eval(file.read())", 4, 4),
        (")", 5, 5),
        ("os", 1, 1),
        ("def load(path): with open(path) as file:", 3, 4),
        ("def load(path):\n…\n        return eval(file.read())", 3, 5),
        ("import .*", 1, 1),
        ("(((((", 1, 1),
        ("file", 4, 5),
    ],
)
def test_a_quote_that_stands_nowhere_is_missing(quote: str, start: int, end: int) -> None:
    """Keeps F4: rules 3 to 5."""
    evidence = judged(quote, start, end)

    assert evidence.status == "missing"
    assert evidence.reason


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a.py",
        "x/../a.py",
        "a.py/",
        "x//a.py",
        ".",
        "./",
        "a\0.py",
        "/workspace",
        "/workspace/../a.py",
        "././/a.py",
    ],
)
def test_a_path_that_leaves_the_snapshot_is_missing(path: str) -> None:
    """Keeps F4: rule 6."""
    assert normal_path(path) == ""
    assert judged("import os", 1, path=path).status == "missing"


@pytest.mark.parametrize("path", ["a.py", "./a.py", "/workspace/a.py", "/workspace/./a.py"])
def test_the_agent_s_own_names_of_a_file_are_that_file(path: str) -> None:
    """Keeps F4: rule 6."""
    evidence = judged("import os", 1, path=path)

    assert (evidence.status, evidence.path) == ("verified", "a.py")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(None, "no such file"), (Unread("too large"), "too large"), (b"\0ELF import os", "not text")],
)
def test_what_cannot_be_read_is_missing_with_its_reason(data: bytes | Unread | None, reason: str) -> None:
    """Keeps F4."""
    evidence = judged("import os", 1, data=data)

    assert evidence.status == "missing"
    assert reason in evidence.reason


@pytest.mark.parametrize(
    ("data", "quote", "line"),
    [
        (b"a\r\nsecond\r\n", "second", 2),
        (b"a\rsecond\r", "second", 2),
        (b"\xef\xbb\xbffirst\nsecond", "first", 1),
        ("a\u2028b\nsecond\x0cline\n".encode(), "second\x0cline", 2),
        ("é\nnaïve\n".encode("latin-1"), "na\ufffdve", 2),
        (b"first\n\n\nlast", "last", 4),
    ],
)
def test_lines_are_counted_as_editors_do(data: bytes, quote: str, line: int) -> None:
    """Keeps F4: rule 2."""
    assert judged(quote, line, data=data).status == "verified"


def test_lines_that_do_not_exist_verify_nothing() -> None:
    assert judged("last", 2, 3, data=b"first\nlast\n").status == "moved"
    assert judged("last", 2, data=b"first\nlast\n").status == "verified"


def test_a_hostile_result_costs_a_bounded_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps F4: a quote that begins everywhere, in a file of one letter, ten thousand times."""
    monkeypatch.setattr(citations, "MAX_SEARCHED_CHARACTERS", 5_000_000)
    evidence = tuple(Evidence("a.py", number, number, "a" * 3000 + "b") for number in range(1, 21))
    findings = [
        Finding("low", str(n), "", "x", tuple(replace(e, quote=f"{e.quote}{n}") for e in evidence), "x")
        for n in range(500)
    ]
    check = CitationCheck({"a.py": b"a\n" * 100 + b"a" * 1_000_000})

    judged = [item for finding in findings for item in check.judge(finding).evidence]

    assert {item.status for item in judged} == {"missing"}
    assert {item.reason.rpartition(", and ")[2] for item in judged} == {
        "no whole lines elsewhere in this file are it",
        "this result cites too much to look for this quote everywhere",
    }


def test_ten_thousand_places_in_one_long_line_cost_a_bounded_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps F4: each place must be looked at, since the quote is cut out of a word there."""
    monkeypatch.setattr(citations, "MAX_SEARCHED_CHARACTERS", 5_000_000)
    check = CitationCheck({"a.py": b"a" * 2_000_000})
    evidence = tuple(Evidence("a.py", 1, 1, "aaaaaa") for _ in range(10_000))
    started = time.process_time()

    assert {item.status for item in check.judge(Finding("low", "t", "", "x", evidence, "x")).evidence} == {"missing"}
    assert time.process_time() - started < 5


def test_many_equal_lines_are_found_at_the_nearest() -> None:
    assert judged("x = 1", 5001, data=b"x = 1\n" * 5000).actual_start_line == 5000
    assert judged("x = 1", 40, data=b"x = 1\n" * 20 + b"y\n" * 100 + b"x = 1\n").actual_start_line == 20


def test_the_cited_files_are_told_once_and_in_order() -> None:
    evidence = [Evidence(path, 1, 1, "x") for path in ("b", "/etc/x", "./a", "b", "../c")]
    judged_before = Evidence("d", 1, 1, "x", status="missing")

    assert cited_paths((*evidence, judged_before)) == ("b", "a")
