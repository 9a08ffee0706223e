"""The report that a terminal shows at the end of a run holds what its verdict refers to. Keeps K2."""

from importlib import resources

import pytest

from conductor.cli.text.brief_report import DETAILS, LEFT_OUT, SHOWN_NOTES, brief

FOUND = f"# Survey\n\n**No findings: see what was left out.**\n\n```\n{DETAILS}\n```\n"
HOW = "\n| step | outcome |\n"
READ = "\n## What was read\n\n- Snapshot 1\n"
NOTES = [f"- docs: note {number}" for number in range(SHOWN_NOTES + 2)]


@pytest.mark.parametrize(
    ("whole", "shown"),
    [
        (FOUND + DETAILS + HOW + READ, FOUND),
        (FOUND + DETAILS + HOW + LEFT_OUT + "\n- docs: 3 files\n" + READ, f"{FOUND}\n{LEFT_OUT}\n- docs: 3 files\n"),
        ("# Own template\n", "# Own template\n"),
    ],
    ids=["nothing was left out", "something was left out", "another form"],
)
def test_a_brief_report_ends_before_what_ran_and_keeps_what_was_left_out(whole: str, shown: str) -> None:
    assert brief(whole) == shown


def test_of_many_notes_the_first_are_shown_and_the_others_counted() -> None:
    told = brief("\n".join([FOUND, DETAILS, LEFT_OUT, *NOTES, READ]))

    assert told.splitlines()[-2:] == [NOTES[SHOWN_NOTES - 1], "- … and 2 more"]


def test_the_built_in_report_has_the_headings_that_a_brief_one_is_made_by() -> None:
    template = resources.files("conductor.evaluation.reports").joinpath("report.md.jinja").read_text("utf-8")

    assert template.count(DETAILS) == template.count(LEFT_OUT) == 1
