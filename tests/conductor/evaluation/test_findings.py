"""Findings as agents hand them in: tolerant of form, never of substance, bounded. Keeps F4."""

import hashlib
import json
from typing import Any

import pytest

from conductor.evaluation.answers.results import MAX_QUOTE_CHARACTERS, ResultError, read_result
from conductor.evaluation.evidence.findings import (
    MAX_EVIDENCE,
    MAX_FINDINGS,
    MAX_NOTES,
    Evidence,
    Finding,
    Found,
    count,
    read_document,
)
from tests.conductor.evaluation.story import claim


def read(*claims: Any) -> Found:
    found = read_result(json.dumps({"findings": list(claims)}).encode(), "risks")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://docs.astral.sh/ruff/rules/undefined-name", True),
        ("https://example.org:8443/a?b=c#d", True),
        ("http://example.org/", False),
        ("javascript:alert(1)", False),
        ("https://example.org/ x", False),
        ("https://example.org/](https://bad.example)", False),
        ('https://example.org/"><script>', False),
        ("https://user@example.org/", False),
        ("https://example.org/\n", False),
        ("https://example.org/" + "x" * 300, False),
        (["https://example.org/"], False),
        (None, False),
    ],
)
def test_a_link_is_a_short_one_by_https_or_none(link: Any, *, kept: bool) -> None:
    (finding,) = read({**claim(), "help": link}).findings

    assert finding.help == (link if kept else "")


@pytest.mark.parametrize("data", [b"{}", b"[]", b'"text"', b'{"findings": null}', b'{"answer": 3}'])
def test_a_result_without_findings_is_fine(data: bytes) -> None:
    assert read_result(data, "risks") is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"nonsense", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"findings": {}}', "not a list"),
        (b'{"findings": [1, 2]}', "none of the 2"),
        (b" " * (1024 * 1024 + 1), "limit"),
        (b"\xff", "not JSON"),
    ],
)
def test_a_result_that_cannot_be_read_is_an_error_that_says_why(data: bytes, said: str) -> None:
    """Keeps F4."""
    with pytest.raises(ResultError, match=said):
        read_result(data, "risks")


@pytest.mark.parametrize(
    "broken",
    [
        {"severity": "urgent"},
        {"severity": None},
        {"title": " \n"},
        {"title": 3},
        {"claim": ["x"]},
        {"evidence": "a.py:3"},
        {"evidence": ["a.py:3"]},
        {"evidence": [{"path": "a.py", "start_line": 1}]},
        {"evidence": [{"path": 3, "start_line": 1, "quote": "x"}]},
    ],
)
def test_what_cannot_be_read_as_a_finding_is_left_out_and_told(broken: dict[str, Any]) -> None:
    """Keeps F4."""
    found = read(claim("good"), claim("bad") | broken)

    assert [finding.title for finding in found.findings] == ["good"]
    assert found.left_out == 1
    assert found.notes[0].startswith("findings[1] was left out: ")


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        ({"start_line": 0}, "its lines are invalid"),
        ({"start_line": -1}, "its lines are invalid"),
        ({"start_line": 1.5}, "its lines are invalid"),
        ({"start_line": True}, "its lines are invalid"),
        ({"start_line": "3"}, "its lines are invalid"),
        ({"start_line": 5, "end_line": 4}, "its lines are invalid"),
        ({"start_line": 10**30}, "its lines are invalid"),
        ({"quote": " \n\t"}, "quotes nothing"),
        ({"quote": "x" * (MAX_QUOTE_CHARACTERS + 1)}, "more than 4000"),
        ({"path": "x" * 5000}, "more than 1000"),
    ],
)
def test_evidence_that_cannot_be_checked_is_missing_with_its_reason(evidence: dict[str, Any], reason: str) -> None:
    """Keeps F4."""
    place = {"path": "a.py", "start_line": 1, "end_line": 1, "quote": "one"} | evidence
    (finding,) = read(claim(evidence=[place])).findings

    assert finding.status == "missing"
    assert reason in finding.evidence[0].reason
    assert len(finding.evidence[0].quote) <= MAX_QUOTE_CHARACTERS


def test_numbers_that_went_through_a_struct_are_lines() -> None:
    place = {"path": "a.py", "start_line": 3.0, "end_line": 4.0, "quote": "one"}
    (finding,) = read(claim(evidence=[place])).findings

    assert (finding.evidence[0].start_line, finding.evidence[0].end_line) == (3, 4)


def test_ten_thousand_findings_and_a_hundred_places_are_cut_and_told() -> None:
    """Keeps F4."""
    result = json.dumps({"findings": [{"severity": "low", "title": f"{number}"} for number in range(10_000)]}).encode()
    found = read_result(result, "risks")
    many = read(claim(evidence=[{"path": f"{n}", "start_line": 1, "quote": "x"} for n in range(100)]))

    assert found is not None
    assert len(found.findings) == MAX_FINDINGS
    assert found.left_out == 9500
    assert found.notes == ("only the first 500 of 10000 findings were read",)
    assert len(many.findings[0].evidence) == MAX_EVIDENCE
    assert many.notes == ("findings[0]: only its first 20 places were read",)


def test_a_quote_of_a_megabyte_is_one_finding_that_is_missing() -> None:
    """Keeps F4."""
    (finding,) = read(claim(quote="x" * 1_000_000)).findings

    assert (finding.status, len(finding.evidence[0].quote)) == ("missing", MAX_QUOTE_CHARACTERS)


def test_form_is_made_good() -> None:
    (finding,) = read(
        claim(" Two\n lines \ud800 ", severity=" High", category="Code  Smell", claim=None, unknown={"x": 1})
    ).findings

    assert (finding.severity, finding.title, finding.category, finding.claim) == (
        "high",
        "Two lines ?",
        "code smell",
        "",
    )


def test_the_id_is_of_the_claim_and_its_first_place_and_of_nothing_else() -> None:
    """Keeps F4."""

    def id_of(**fields: Any) -> str:
        return read(claim(**fields)).findings[0].id

    assert id_of() == hashlib.sha256(b"risks\0Found\0a.py\0one").hexdigest()[:16]
    assert id_of(severity="low", claim="otherwise", lines=(9, 9), quote=" one\n") == id_of()
    assert len({id_of(), id_of(quote="two"), id_of(path="b.py"), id_of(title="x"), id_of(category="x")}) == 5


def test_the_same_finding_twice_is_one() -> None:
    found = read(claim(), claim())

    assert (len(found.findings), found.left_out) == (1, 1)


def test_a_finding_is_as_good_as_its_worst_place_and_without_one_it_is_missing() -> None:
    """Keeps F4."""
    places = {status: Evidence("a", 1, 1, "x", status) for status in ("verified", "moved", "missing")}

    def status(*names: str) -> str:
        return Finding("low", "t", "c", "x", tuple(places[name] for name in names), "s").status

    assert status("verified", "verified") == "verified"
    assert status("verified", "moved") == "moved"
    assert status("moved", "missing", "verified") == "missing"
    assert status() == "missing"


def test_a_document_reads_back_as_what_it_was_made_of() -> None:
    moved = Evidence("a", 1, 1, "x", "moved", 7)
    missing = Evidence("b", 2, 3, "y", "missing", 0, "why")
    finding = Finding("low", "t", "c", "x", (moved, missing), "s", ("s", "r"))
    document = json.loads(json.dumps(Found((finding,)).as_json()))

    assert read_document(document) == (finding,)
    assert count([finding]) == {"verified": 0, "moved": 0, "placed": 0, "missing": 1}


def test_an_agent_says_itself_what_its_findings_do_not_speak_of() -> None:
    told = ["no rule for\nRust", "", 7, "x" * 600, *map(str, range(30))]
    found = read_result(json.dumps({"findings": [], "notes": told}).encode(), "risks")
    other = read_result(b'{"findings": [], "notes": "no list"}', "risks")

    assert found is not None
    assert found.notes[:3] == ("no rule for Rust", "x" * 500, "0")
    assert len(found.notes) <= MAX_NOTES
    assert other is not None
    assert other.notes == ()
