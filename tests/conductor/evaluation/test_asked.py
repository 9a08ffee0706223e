"""A question orders what tools found, and a report says which of its subjects nothing that ran looks at."""

from typing import Any

import pytest

from conductor.evaluation.reports.asked import asked, first_about

COVERAGE = [
    {"tool": "lens delivery", "judged": {"GitHub workflow": 3}},
    {"tool": "zizmor 1.18", "judged": {"GitHub workflow": 3}},
    {"tool": "ruff 0.17.6", "judged": {"Python": 40}},
    {"tool": "hadolint 2.14"},
]


def finding(title: str, path: str, rule: str, category: str, **more: Any) -> dict[str, Any]:
    evidence = [{"path": path}]
    told = {"title": title, "rule": rule, "category": category, "evidence": evidence}
    return {**told, "found_by": ["analyzers"], "status": "placed", **more}


NAME = finding("A name is used that is not defined", "shop/price.py", "ruff:F821", "python")
PIN = finding("12 actions are not pinned", ".github/workflows/ci.yml", "zizmor:unpinned-uses", "workflows")
RING = finding("Two files import each other", "shop/cart.py", "lens:import-ring", "structure")
FOUND = [NAME, PIN, RING]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("How safe is the CI pipeline?", PIN),
        ("What is wrong with price.py?", NAME),
        ("Which modules import each other?", RING),
        ("What must be mended first in this project?", NAME),
        ("", NAME),
    ],
)
def test_findings_about_what_a_question_names_come_first(question: str, first: dict[str, Any]) -> None:
    assert first_about(FOUND, question)[0] is first


def test_what_stands_nowhere_comes_not_first_for_a_question() -> None:
    invented = {**PIN, "status": "missing"}

    assert first_about([NAME, invented], "How safe is the CI pipeline?") == [NAME, invented]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("How safe is the CI?", ["1 of 3 findings is about what the question names, and comes first."]),
        ("Is it slow?", ["No finding is about what the question names.", "Nothing that ran looks at performance."]),
        (
            "Are the release pipelines in Jenkins and the Dockerfiles fine?",
            [
                "1 of 3 findings is about what the question names, and comes first.",
                "Nothing that ran looks at Jenkins and containers.",
            ],
        ),
        ("Is the Rust code fine?", ["No finding is about what the question names.", "Nothing that ran looks at Rust."]),
        ("What must be mended first in this project?", []),
        ("", []),
    ],
)
def test_it_says_what_findings_and_tools_have_to_do_with_the_question(question: str, told: list[str]) -> None:
    assert asked({"question": question, "coverage": COVERAGE, "findings": FOUND}) == told


def test_a_run_without_tools_says_nothing_since_models_read_the_question() -> None:
    assert asked({"question": "Is it slow?", "findings": FOUND}) == []
