"""Coverage as agents hand it in: bounded, and without what does not have its form."""

from typing import Any

import pytest

from conductor.evaluation.answers.coverage import MAX_NEEDS, MAX_RULES, gather_coverage, read_coverage
from conductor.evaluation.evidence.findings import Found
from conductor.evaluation.evidence.merging import agree, gather

GOOD = {
    "tool": "ruff 0.17.6",
    "history": "1,234 commits since 2015",
    "files": {"Python": 130},
    "judged": {"Python": 120},
    "skipped": {"Python": 2},
    "rules": {"ruff:F821": 300},
    "in_tests": {"ruff:F821": 10},
    "narrowed": {"ruff:E501": 40},
    "left_out": {"in vendored files": 3},
}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (GOOD, GOOD),
        (None, {}),
        ([GOOD], {}),
        ("ruff", {}),
        ({"tool": 3, "judged": [], "rules": {"a": 1}}, {"rules": {"a": 1}}),
        ({"rules": {"a": -1, "b": "3", "c": 1.5, "d": True, "e": 10**30, "": 1, "f": 0}}, {"rules": {"f": 0}}),
        ({"unknown": {"a": 1}, "step": "other", "dropped": {"a": 1}}, {}),
        ({"tool": "x" * 400, "judged": {"y" * 200: 1}}, {"tool": "x" * 300, "judged": {"y" * 100: 1}}),
        ({"tool": "a\n\ud800 b"}, {"tool": "a ? b"}),
    ],
)
def test_only_what_has_its_form_is_kept(told: Any, kept: dict[str, Any]) -> None:
    assert read_coverage(told) == kept


def test_of_too_many_rules_the_most_frequent_are_kept() -> None:
    kept = read_coverage({"rules": {f"r{number}": number for number in range(MAX_RULES + 5)}})

    assert sorted(kept["rules"].values()) == list(range(5, MAX_RULES + 5))


def test_coverage_goes_through_panels_and_items_each_step_once() -> None:
    documents = [Found((), coverage=({"step": f"s{number % 60}", **GOOD},)).as_json() for number in range(120)]

    assert [one["step"] for one in gather(documents).coverage] == [f"s{number}" for number in range(MAX_NEEDS)]
    assert len(agree(documents[:2], 2).coverage) == 2
    assert gather_coverage(()) == ()
