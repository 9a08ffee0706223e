"""Issue templates that GitHub does not offer and pins that were left behind are told; those that work are not."""

import io
from pathlib import Path

import pytest

from agenthost.agents.manifests.github import find_passed_over
from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

TEMPLATE = "---\nname: Bug report\nabout: Tell us of a bug\n---\n\nWhat happened?\n"
NEW, OLD = "a" * 40 + " # v4.2.1", "b" * 40 + " # v4.1.0"


def told(root: Path) -> list[tuple[str, int]]:
    found = find_passed_over(Survey(Snapshot(root), Voice(io.StringIO()), seconds=60))
    return [(finding.evidence[0].path.rpartition("/")[2], finding.evidence[0].start_line) for finding in found]


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize("name", ["bug_report", "bug.txt", "bug.markdown", "Bug report"])
def test_a_template_that_github_does_not_offer_is_told(tmp_path: Path, name: str) -> None:
    write(tmp_path, f".github/ISSUE_TEMPLATE/{name}", TEMPLATE)
    assert told(tmp_path) == [(name, 1)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bug.md", TEMPLATE),
        ("bug.yml", "name: Bug\n"),
        ("bug.yaml", "name: Bug\n"),
        ("config.yml", "blank_issues_enabled: true\n"),
        ("README", TEMPLATE),
        ("notes", "For those who triage.\n"),
        ("old/bug", TEMPLATE),
    ],
)
def test_a_template_that_is_offered_and_what_is_none_are_not_told(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, f".github/ISSUE_TEMPLATE/{name}", text)
    assert told(tmp_path) == []


def pins(root: Path, *pinned: str) -> list[tuple[str, int]]:
    for number, one in enumerate(pinned):
        write(root, f".github/workflows/{number}.yml", f"jobs:\n  a:\n    steps:\n      - uses: shop/act@{one}\n")
    return told(root)


def test_a_pin_that_all_others_left_behind_is_told(tmp_path: Path) -> None:
    assert pins(tmp_path, NEW, NEW, OLD, NEW, NEW) == [("2.yml", 4)]


@pytest.mark.parametrize(
    "pinned",
    [
        (NEW, NEW, NEW, NEW),
        (NEW, OLD),
        (NEW, NEW, NEW, NEW, OLD, OLD, OLD),
        (OLD, OLD, OLD, OLD, NEW),
        (NEW, NEW, NEW, NEW, "c" * 40),
        (NEW, NEW, NEW, NEW, "v3"),
        (NEW, NEW, NEW, NEW, "d" * 40 + " # v4.2.1"),
    ],
)
def test_other_pins_are_not_told(tmp_path: Path, pinned: tuple[str, ...]) -> None:
    assert pins(tmp_path, *pinned) == []
