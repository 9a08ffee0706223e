"""What each band shows of findings that tools' rules made. Nothing is dropped because there is much of it."""

from typing import Any

import pytest

from conductor.evaluation.reports.bands import beside, is_in_full, seen_too
from conductor.evaluation.reports.overview import falls_short, is_proven, other_places, values


def found(severity: str, number: int, **more: Any) -> list[dict[str, Any]]:
    rule = {"rule": f"ruff:{severity}"}
    return [
        {"id": f"{severity}{one}", "severity": severity, "status": "placed", **rule, **more} for one in range(number)
    ]


REST = [*found("high", 3), *found("medium", 12), *found("low", 30)]


@pytest.mark.parametrize(
    ("band", "lines", "told"),
    [
        ("small", 10, "5 medium, 30 low seen too, shown by band large"),
        ("medium", 15, "30 low seen too, shown by band large"),
        ("large", 15, "30 low: all below, a line each"),
    ],
)
def test_a_band_has_lines_for_some_findings_of_tools_and_counts_the_others(band: str, lines: int, told: str) -> None:
    shown = beside(REST, band)

    assert len(shown) == lines
    assert seen_too([one for one in REST if one not in shown], band) == told


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "2 medium (outside the change) seen too, shown by band large"),
        (found("low", 1), "2 medium, 1 low (2 of them outside the change) seen too, shown by band large"),
    ],
)
def test_what_tools_found_outside_of_a_change_is_counted_in_a_small_report(
    more: list[dict[str, Any]], told: str
) -> None:
    outside = found("medium", 2, outside_scope=True)

    assert beside(outside, "small") == []
    assert seen_too([*outside, *more], "small") == told


@pytest.mark.parametrize(("band", "full"), [("small", ["low0"]), ("medium", ["high0", "medium0", "low0"])])
def test_a_band_shows_the_things_to_do_in_full_and_a_larger_one_everything_of_weight(
    band: str, full: list[str]
) -> None:
    listed = [*found("high", 1), *found("medium", 1), *found("low", 2)]

    assert [one["id"] for one in listed if is_in_full(one, {"low0"}, band)] == full


@pytest.mark.parametrize("more", [{"rule": ""}, {"status": "missing"}, {"verdict": "refuted"}])
def test_what_a_model_found_or_was_judged_is_always_shown_in_full(more: dict[str, Any]) -> None:
    (finding,) = found("low", 1, **more)

    assert is_in_full(finding, (), "small")
    assert beside([*REST, finding], "small")[-1] is finding


def test_nothing_is_said_where_every_finding_has_a_line() -> None:
    assert seen_too([], "small") == ""


@pytest.mark.parametrize(
    ("more", "is_short", "is_proof"),
    [
        ({"status": "placed", "calibrated": True}, False, True),
        ({"status": "placed"}, False, False),  # of a tool that the table does not know
        ({"status": "verified", "verdict": "refuted"}, True, False),
        ({"status": "missing"}, True, False),
    ],
)
def test_what_a_users_own_tool_found_proves_nothing_and_falls_not_short(
    more: dict[str, Any], is_short: object, is_proof: object
) -> None:
    """`--verified-only` leaves it out; the report has it under its severity."""
    assert (falls_short(more), is_proven(more)) == (is_short, is_proof)


def test_a_line_names_a_few_other_places_of_its_finding() -> None:
    evidence = [{"path": "a.py", "start_line": line, "end_line": line, "status": "placed"} for line in range(1, 9)]

    assert other_places({"evidence": evidence}) == ["a.py:2", "a.py:3", "a.py:4", "a.py:5"]


def test_a_line_of_a_finding_holds_the_values_that_it_is_about() -> None:
    quotes = ["  - uses: a/b@v1", "  - uses: a/b@v1", "  - uses: c/d@v2", "name: CI", "two\nlines", "x" * 100, ""]
    evidence = [{"path": "a.yml", "start_line": 1, "status": "placed", "quote": quote} for quote in quotes]
    evidence.append({"path": "a.md", "start_line": 1, "status": "placed", "quote": "A sentence."})
    finding = {"title": "2 actions are old", "evidence": evidence}

    assert values(finding) == ["- uses: a/b@v1", "- uses: c/d@v2"]
    assert values({**finding, "title": "`a/b` is old"}) == []
