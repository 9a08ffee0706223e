"""What a report says was judged, and what was not: of the coverage that tools hand in."""

from typing import Any

import pytest

from conductor.evaluation.reports.judged import judged

INVENTORY = {
    "tool": "lens inventory",
    "files": {"Python": 120, "Shell": 12, "Markdown": 9, ".inl": 3},
    "left_out": {"vendored": 40, "not text": 7},
    "history": "1,234 commits since 2015",
}
RUFF = {
    "tool": "ruff 0.17.6",
    "agent": "ruff",
    "judged": {"Python": 118},
    "skipped": {"Python": 2},
    "narrowed": {"ruff:E501": 40, "ruff:F401": 2},
    "narrowed_by": "Settings that left results out: pyproject.toml (lint.ignore).",
}
LENSES = [{"tool": f"lens {name}", "judged": {"Python": 120}} for name in ("structure", "tests")]


def told(*coverage: dict[str, Any], notes: tuple[str, ...] = (), **step: Any) -> dict[str, Any]:
    found = judged({"coverage": coverage, "steps": [step], "snapshot": {"notes": list(notes)}})
    assert found is not None
    return found


def test_it_names_the_kinds_of_files_with_the_tools_that_judged_them() -> None:
    found = told(INVENTORY, RUFF, *LENSES)

    assert found["rows"] == [{"kind": "Python", "files": 120, "by": "ruff (118); lenses structure, tests"}]
    assert (
        found["line"]
        == "144 files (Python 120, Shell 12, Markdown 9, .inl 3); no rule covers Shell (12), Markdown (9), .inl (3)"
    )


def test_it_says_what_was_left_out_and_why() -> None:
    table = {"step": "merged", "dropped": {"ruff:F841": 1}}
    found = told(INVENTORY, RUFF, table, absent=["zizmor", "hadolint"])

    assert found["told"] == [
        "No rule covers Shell (12), Markdown (9), .inl (3).",
        "No host can run zizmor, hadolint: they were not asked.",
        "Files passed over: Python by ruff (2).",
        "The repository's own configuration leaves out 42 results of 2 rules: ruff:E501 (40), ruff:F401 (2).",
        "Settings that left results out: pyproject.toml (lint.ignore).",
        "The flow's table of rules drops 1 result of 1 rule; the JSON names them.",
        "Nothing to judge: 40 vendored, 7 not text.",
        "History: 1,234 commits since 2015.",
    ]


def test_an_agent_of_a_users_own_is_missed_without_advice() -> None:
    found = told(INVENTORY, absent=["semgrep"])

    assert "No host can run semgrep: it was not asked." in found["told"]
    assert (found["bring"], told(INVENTORY, absent=["ruff"])["bring"]) == (
        "",
        "pip install 'conductor-agenthost[survey]'",
    )


@pytest.mark.parametrize(
    ("history", "notes", "said"),
    [
        ("1 commit since 2026", (), "History: 1 commit since 2026."),
        ("No history came with the snapshot", (), "No history came with the snapshot."),
        (
            "No history came with the snapshot",
            ("history left out: the folder is a part of the repository /src",),
            "No history: the folder is a part of the repository /src.",
        ),
    ],
)
def test_it_says_which_history_there_was_or_why_none(history: str, notes: tuple[str, ...], said: str) -> None:
    assert told({**INVENTORY, "history": history}, notes=notes)["told"][-1] == said


def test_what_a_tool_passed_over_has_a_rule_and_what_was_not_read_is_no_void() -> None:
    left_out = {"folders with files beyond the first 60,000": 1400, "vendored": 2}
    lizard = {"tool": "lizard 1.24", "skipped": {"C": 8}}
    names = "vendored: b/vendor/a.c, go.mod"
    inventory = {"tool": "lens inventory", "files": {"C": 8, "Lua": 1}, "left_out": left_out, "left_out_names": names}
    found = told(inventory, lizard)

    assert found["told"] == [
        "No rule covers Lua (1).",
        "Files passed over: C by lizard (8).",
        "Not read: 1,400 folders with files beyond the first 60,000.",
        f"Nothing to judge: 2 vendored ({names}).",
    ]
    assert found["line"] == "9 files (C 8, Lua 1); no rule covers Lua (1)"


def test_data_that_no_rule_covers_is_told_last_and_together() -> None:
    files = {"JSON": 900, ".svg": 70, "Shell": 2, "Text": 1, ".csv": 1}
    found = told({"tool": "lens inventory", "files": files}, {"tool": "lens delivery", "judged": {"JSON": 1}})

    assert found["told"] == ["No rule covers Shell (2) and 972 files of data (JSON, .svg, .csv, …)."]
    assert found["line"] == "974 files (Shell 2); no rule covers Shell (2)"


def test_many_kinds_are_folded_into_a_sentence() -> None:
    many = {f".{number:02}": 30 - number for number in range(20)}
    found = told(
        {"tool": "lens inventory", "files": many}, {"tool": "typos 1.40", "judged": dict(list(many.items())[:14])}
    )

    assert [row["files"] for row in found["rows"]] == list(range(30, 20, -1))
    assert found["told"][0] == "Also judged: .10 (20), .11 (19), .12 (18), .13 (17)."
    assert found["told"][1].startswith("No rule covers .14 (16), ")


@pytest.mark.parametrize("values", [{"steps": []}, {"coverage": [], "steps": []}])
def test_a_run_whose_agents_tell_no_coverage_says_nothing(values: dict[str, Any]) -> None:
    assert judged(values) is None
