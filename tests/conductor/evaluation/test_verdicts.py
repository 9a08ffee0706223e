"""Verdicts reach the ranking, contradictions stand together, and only a counter-quote that is found refutes. Keeps F4 F5."""

from dataclasses import replace
from typing import Any

import pytest

from conductor.evaluation.answers.guards import TOO_MANY, judge_places
from conductor.evaluation.evidence.findings import Evidence, Finding, read_document
from conductor.evaluation.evidence.merging import merge, order
from conductor.evaluation.evidence.verdicts import join_verdicts
from conductor.flows.library.bundle import canonical_json


def finding(
    title: str, severity: str = "high", step: str = "one", lines: tuple[int, int] = (1, 2), **fields: Any
) -> Finding:
    status = fields.pop("status", "verified")
    values = {"category": title, **fields}
    return Finding(
        severity, title, "Why.", values.pop("category"), (Evidence("a.py", *lines, "x = 1", status),), step, **values
    )


def said(about: Finding, verdict: str, *statuses: str, **more: Any) -> dict[str, Any]:
    """An item of a `foreach` over findings whose only step is a sceptic."""
    places = [
        {"path": "a.py", "start_line": 9, "end_line": 9, "quote": "held = True", "status": status}
        for status in statuses
    ]
    output = {"verdict": verdict, "reason": "Line 9 says so.", "evidence": places}
    return {
        "item": about.as_json(),
        "state": "succeeded",
        "steps": {"sceptic": {"state": "succeeded", "output": output}, **more},
    }


ONE, TWO, THREE = finding("One"), finding("Two"), finding("Three")


@pytest.mark.parametrize(
    ("verdict", "statuses", "counts"),
    [
        ("CONFIRMED", (), "confirmed"),
        ("confirmed", (), "confirmed"),
        ("PARTLY", ("missing",), "partly"),
        ("UNSURE", (), "unsure"),
        ("REFUTED", ("verified",), "refuted"),
        ("REFUTED", ("moved", "missing"), "refuted"),
        ("REFUTED", ("missing",), "unsure"),
        ("REFUTED", (), "unsure"),
        ("MAYBE", (), ""),
        (None, (), ""),
    ],
)
def test_refuted_counts_only_with_a_counter_quote_that_was_found(
    verdict: str, statuses: tuple[str, ...], counts: str
) -> None:
    (judged,), notes = join_verdicts([ONE], [said(ONE, verdict, *statuses)])

    assert judged.verdict == counts
    assert [place.status for place in judged.verdict_evidence] == (list(statuses) if counts else [])
    is_unproven = verdict == "REFUTED" and counts == "unsure"
    assert any("not count: " in note for note in notes) == is_unproven
    assert ("does not count" in judged.verdict_reason) == is_unproven


@pytest.mark.parametrize("quote", [")", "}", " \n", "x", "--"])
def test_a_counter_quote_that_stands_in_every_file_refutes_nothing(quote: str) -> None:
    item = said(ONE, "REFUTED", "verified")
    item["steps"]["sceptic"]["output"]["evidence"][0]["quote"] = quote
    (judged,), _ = join_verdicts([ONE], [item])

    assert judged.verdict == "unsure"


def test_half_a_character_in_the_reason_of_a_sceptic_breaks_no_document() -> None:
    item = said(ONE, "UNSURE")
    item["steps"]["sceptic"]["output"]["reason"] = "a cut emoji \ud83d"
    (judged,), _ = join_verdicts([ONE], [item])

    assert b"a cut emoji ?" in canonical_json(judged.as_json())


def test_no_place_of_a_value_keeps_what_its_agent_says_of_it() -> None:
    places = [{"path": "a.py", "start_line": 1, "end_line": 1, "quote": "q", "status": "verified"} for _ in range(300)]

    judge_places({"padding": places[:-1], "evidence": places[-1:]}, lambda place: replace(place, status="moved"))

    assert {place["status"] for place in places[:200]} == {"moved"}
    assert {(place["status"], place["reason"]) for place in places[200:]} == {("missing", TOO_MANY)}


@pytest.mark.parametrize(
    ("words", "combined"),
    [
        (("CONFIRMED", "CONFIRMED"), "confirmed"),
        (("CONFIRMED", "UNSURE"), "confirmed"),
        (("CONFIRMED", "PARTLY"), "partly"),
        (("CONFIRMED", "REFUTED"), "unsure"),
        (("REFUTED", "UNSURE"), "refuted"),
        (("UNSURE", "UNSURE"), "unsure"),
    ],
)
def test_sceptics_who_disagree_resolve_nothing(words: tuple[str, str], combined: str) -> None:
    items = [said(ONE, word, "verified") for word in words]
    (judged,), _ = join_verdicts([ONE], items)

    assert judged.verdict == combined
    assert all(f"{word}: Line 9 says so." in judged.verdict_reason for word in words)


def test_findings_that_no_sceptic_judged_are_told() -> None:
    failed = {**said(TWO, "CONFIRMED"), "steps": {"sceptic": {"state": "failed"}}}
    judged, notes = join_verdicts([ONE, TWO, THREE], [said(ONE, "CONFIRMED"), failed])

    assert [one.verdict for one in judged] == ["confirmed", "", ""]
    assert notes == ["1 of 3 findings reached no sceptic", "1 of 3 findings has no verdict: its sceptics gave none"]


def test_the_rank_is_severity_then_verdict_then_agreement_and_what_does_not_hold_is_last() -> None:
    places = iter(range(1, 1000, 10))
    every = [
        finding(title, severity, lines=(line := next(places), line), **fields)
        for title, severity, fields in [
            ("refuted", "critical", {"verdict": "refuted"}),
            ("missing", "critical", {"status": "missing"}),
            ("low", "low", {"verdict": "confirmed"}),
            ("unsure", "high", {"verdict": "unsure"}),
            ("unasked, two models", "high", {"models": ("a", "b"), "found_by": ("x", "y")}),
            ("unasked, one model twice", "high", {"models": ("a",), "found_by": ("x", "y", "z")}),
            ("partly", "high", {"verdict": "partly"}),
            ("confirmed", "high", {"verdict": "confirmed"}),
        ]
    ]
    ranked = order(every, 7)

    assert [one.title for one in ranked.findings] == [
        "confirmed", "partly", "unasked, two models", "unasked, one model twice", "unsure", "low", "missing",
    ]  # fmt: skip
    assert [one.rank for one in ranked.findings] == list(range(1, 8))
    assert ranked.left_out == 1
    assert [one.as_json() for one in read_document(ranked.as_json())] == ranked.as_json()["findings"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("The lock is held in flush", "high"), ("The lock is not held in flush", "high")),
        (("The lock is held in flush", "high"), ("The lock isn't held in flush", "medium")),
        (("Input is checked", "info"), ("Input is never checked", "critical")),
    ],
)
def test_findings_that_deny_one_another_are_never_one_and_stand_side_by_side(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    between = finding("Something else", "high", "three", (40, 41))
    merged = merge(
        [finding(*one, step="one", category="c"), between, finding(*other, step="two", category="c")], 50
    ).findings

    assert len(merged) == 3
    first, second = (next(finding for finding in merged if finding.title == title) for title, _ in (one, other))
    assert (first.contradicts, second.contradicts) == ((second.id,), (first.id,))
    assert abs(first.rank - second.rank) == 1
    assert between.contradicts == ()


@pytest.mark.parametrize(
    ("one", "other", "step"),
    [
        (("The lock is held", "high"), ("The lock is not held", "high"), "one"),  # its agent saw both
        (("No test for flush", "high"), ("Missing test for flush", "high"), "two"),
        (("Eval on input", "high"), ("Eval on input", "low"), "two"),  # one claim, rated differently
    ],
)
def test_what_only_looks_like_a_contradiction_is_none(one: tuple[str, str], other: tuple[str, str], step: str) -> None:
    merged = merge([finding(*one, step="one", category="c"), finding(*other, step=step, category="c")], 50).findings

    assert not any(finding.contradicts for finding in merged)


def test_two_rules_of_a_table_may_rate_one_place_differently() -> None:
    rights = finding("Too many rights", "medium", category="workflows", calibrated=True)
    limit = finding("No time limit", "info", "two", category="workflows", calibrated=True)

    assert not any(found.contradicts for found in merge([rights, limit], 50).findings)


def test_agreement_counts_distinct_models_and_not_steps() -> None:
    steps = [("one", "a"), ("two", "a"), ("three", "b")]
    (merged,) = merge([finding("Same", step=step, models=(model,)) for step, model in steps], 50).findings

    assert (merged.models, merged.found_by) == (("a", "b"), ("one", "three", "two"))
    assert merged.as_json()["corroborations"] == 2
